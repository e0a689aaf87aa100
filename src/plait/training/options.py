"""How to train: the options of the loop, and what they are when nobody says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from plait.errors import PlaitError, unknown

PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class Options:
    """Options of the training loop."""

    epochs: int | None = None  # None: as many as make about 600 steps, within 8 and 60
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.05  # of matrices; vectors are not decayed
    warmup: float = 0.05  # share of all steps in which the learning rate rises to its peak
    clip: float = 1.0  # largest norm of the gradient
    patience: int | None = None  # epochs without a better validation metric before stopping; None: a third of all
    modality_dropout: float = 0.3  # chance that a present cell is hidden in training
    precision: str = "auto"  # bf16 where the chip computes in it, else fp32
    metric: str | None = None  # what early stopping looks at; None: the head's own, with several targets the loss

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            value = getattr(self, name)
            if not isinstance(value, int) and not (value is None and name != "batch_size"):
                raise PlaitError(f"Training option {name}: found {value!r}, expected a whole number.")
        for name in ("learning_rate", "weight_decay", "warmup", "clip", "modality_dropout"):
            if not isinstance(getattr(self, name), (int, float)):
                raise PlaitError(f"Training option {name}: found {getattr(self, name)!r}, expected a number.")
        checks = {
            "epochs": self.epochs is None or self.epochs >= 1,
            "batch_size": self.batch_size >= 1,
            "learning_rate": self.learning_rate > 0,
            "weight_decay": self.weight_decay >= 0,
            "warmup": 0 <= self.warmup < 1,
            "clip": self.clip > 0,
            "patience": self.patience is None or self.patience >= 1,
            "modality_dropout": 0 <= self.modality_dropout < 1,
        }
        for name, fine in checks.items():
            if not fine:
                raise PlaitError(f"Training option {name}: {getattr(self, name)!r} is out of range.")
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)

    @classmethod
    def of(cls, given: Mapping[str, Any], **more: Any) -> Options:
        """Options from a mapping; raises UnknownNameError."""
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise unknown("training option", name, known)
        return cls(**{**given, **{k: v for k, v in more.items() if v is not None}})

    def epochs_for(self, rows: int) -> int:
        steps = -(-rows // self.batch_size)
        return self.epochs or min(60, max(8, -(-600 // steps)))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
