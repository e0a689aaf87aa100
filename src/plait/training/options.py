"""How to train: the options of the loop, and what they are when nobody says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from plait.errors import PlaitError, unknown

PRECISIONS = ("auto", "fp32", "bf16")
SCHEDULES = ("cosine", "constant", "step", "exponential", "one-cycle", "plateau")
INITS = ("default", "orthogonal", "xavier", "kaiming")
BALANCES = ("none", "ogm-ge", "blend")


class Usual(NamedTuple):
    """What an optimizer is run with when nobody says."""

    learning_rate: float
    weight_decay: float
    momentum: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)


OPTIMIZERS = {
    "adamw": Usual(2e-3, 0.05),
    "adam": Usual(2e-3, 0.0),
    "sgd": Usual(0.05, 5e-4, momentum=0.9),
    "rmsprop": Usual(1e-3, 0.0),
    "lion": Usual(6e-4, 0.15, betas=(0.9, 0.99)),  # a third of the rate, three times the decay (Chen et al. 2023, 5)
    "muon": Usual(2e-3, 0.05, momentum=0.95),
}

WARMUP, CYCLE = 0.05, 0.3  # shares of all steps in which the rate rises: as usual, and with "one-cycle" (Smith 2018)
WHOLE = ("epochs", "batch_size", "accumulate", "patience", "decay_epochs", "soup")
REAL = ("learning_rate", "weight_decay", "momentum", "l1", "warmup", "decay", "clip", "ema", "curriculum", "alone_first",
        "balance_alpha", "mixup", "cutmix", "stochastic_depth")  # fmt: skip
YES_OR_NO = ("nesterov", "alternate", "shard")
NONE = ("epochs", "patience", "decay_epochs")  # may be None
ASKED = None  # until __post_init__: then the value that goes with the optimizer, or the schedule


@dataclass(frozen=True)
class Options:
    """Options of the training loop; docs/training.md says when each is of use. Raises PlaitError."""

    epochs: int | None = None  # None: as many as make about 600 steps, within 8 and 60
    batch_size: int = 32  # rows that pass the model at once
    accumulate: int = 1  # batches to a step: their gradients are added up
    optimizer: str = "adamw"
    learning_rate: float = ASKED  # type: ignore[assignment]  # at its peak
    momentum: float = ASKED  # type: ignore[assignment]  # of sgd, rmsprop, muon
    nesterov: bool = True  # sgd and muon look ahead, where there is momentum
    betas: tuple[float, float] = ASKED  # type: ignore[assignment]  # of adamw, adam, lion
    weight_decay: float = ASKED  # type: ignore[assignment]  # L2 of matrices; vectors are not decayed
    l1: float = 0.0  # L1 of matrices, by proximal steps
    schedule: str = "cosine"
    warmup: float = ASKED  # type: ignore[assignment]  # share of all steps in which the rate rises to its peak
    decay: float = 0.1  # "step", "exponential" and "plateau" multiply the rate by it ...
    decay_epochs: int | None = None  # ... after so many epochs; None: a third of all, "plateau": of the patience
    clip: float = 1.0  # largest norm of the gradient
    patience: int | None = None  # epochs without a better validation metric before stopping; None: a third of all
    modality_dropout: float | tuple[float, float] = 0.3  # chance that a present cell is hidden; [at first, at last]
    alone_first: float = 0.0  # share of the steps, the first ones, in which each row shows one of its columns
    alternate: bool = False  # each step shows another column alone, then one all of them
    balance: str = "none"  # between columns: "ogm-ge" scales their gradients, "blend" their losses
    balance_alpha: float = 0.3  # how strongly "ogm-ge" does
    mixup: float = 0.0  # alpha of the Beta distribution by which two rows are added up; 0: none
    cutmix: float = 0.0  # the same for a box of one picture in another
    stochastic_depth: float = 0.0  # chance that a row goes past the last residual block; less for those before
    ema: float = 0.0  # decay of a moving average of the weights, which is judged and kept; 0: none
    soup: int = 0  # the mean of the weights after the best so many epochs is judged too; 0: none
    init: str = "default"  # how the matrices of adapters, fusion and heads begin
    curriculum: float = 0.0  # share of the epochs in which short rows come first
    precision: str = "auto"  # bf16 where the chip computes in it, else fp32
    shard: bool = False  # several processes each keep a part of the weights, gradients and moments only
    metric: str | None = None  # what early stopping looks at; None: the head's own, with several targets the loss

    def __post_init__(self) -> None:
        for name, value, known in (
            ("precision", self.precision, PRECISIONS),
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("schedule", self.schedule, SCHEDULES),
            ("init", self.init, INITS),
            ("balance", self.balance, BALANCES),
        ):
            if value not in known:
                raise unknown(name, value, known)
        usual = {**OPTIMIZERS[self.optimizer]._asdict(), "warmup": CYCLE if self.schedule == "one-cycle" else WARMUP}
        for name, value in usual.items():
            if getattr(self, name) is ASKED:
                object.__setattr__(self, name, value)
        self._check_kinds()
        self._check_ranges()
        if self.ema and self.soup:
            raise PlaitError(
                f"Training options ema and soup: found ema={self.ema!r} and soup={self.soup!r}, expected one of them: both "
                f"average weights, ema over steps, soup over epochs."
            )
        self._check_balance()
        self._check_shard()

    def _check_shard(self) -> None:
        beside = {"ema": bool(self.ema), "optimizer": self.optimizer == "muon", "balance": self.balance != "none"}
        for name, wrong in beside.items():
            if self.shard and wrong:
                raise PlaitError(
                    f"Training option shard: found true beside {name}={getattr(self, name)!r}, which needs whole weights in each "
                    f"process. Leave one of them out."
                )

    def _check_balance(self) -> None:
        why = ""
        if self.alternate and self.alone_first:
            why = f"alone_first={self.alone_first!r}; both say which columns a step shows"
        elif self.alternate and self.balance != "none":
            why = f"balance={self.balance!r}, which compares columns that are shown together"
        mixed = next((n for n in ("mixup", "cutmix") if getattr(self, n)), "")
        if mixed and self.balance != "none":
            raise PlaitError(
                f"Training option {mixed}: found {getattr(self, mixed)!r} beside balance={self.balance!r}, which asks how well "
                f"each column answers for the label of its row. Leave one of them out."
            )
        if why:
            raise PlaitError(
                f"Training option alternate: found true beside {why}. Expected one of the two: leave the other out."
            )
        if self.balance == "ogm-ge" and self.alone_first == 1:
            raise PlaitError(
                "Training option balance: found 'ogm-ge' beside alone_first=1, where no step shows columns together; expected "
                "an alone_first below 1, such as 0.2."
            )

    def _check_kinds(self) -> None:
        for name in WHOLE:
            value = getattr(self, name)
            if not _number(value, int) and not (value is None and name in NONE):
                raise PlaitError(f"Training option {name}: found {value!r}, expected a whole number.")
        for name in REAL:
            if not _number(getattr(self, name), (int, float)):
                raise PlaitError(f"Training option {name}: found {getattr(self, name)!r}, expected a number.")
        for name in YES_OR_NO:
            if not isinstance(getattr(self, name), bool):
                raise PlaitError(f"Training option {name}: found {getattr(self, name)!r}, expected true or false.")
        betas: Any = self.betas
        if not isinstance(betas, (tuple, list)) or len(betas) != 2 or not all(_number(b, (int, float)) for b in betas):
            raise PlaitError(f"Training option betas: found {betas!r}, expected two numbers, such as [0.9, 0.99].")
        object.__setattr__(self, "betas", tuple(betas))
        hidden: Any = self.modality_dropout
        if isinstance(hidden, (tuple, list)) and len(hidden) == 2:
            object.__setattr__(self, "modality_dropout", tuple(hidden))
        if not all(_number(h, (int, float)) for h in self._dropouts()):
            raise PlaitError(
                f"Training option modality_dropout: found {hidden!r}, expected a number, or two: [at the first step, at the "
                f"last], such as [0.0, 0.5]."
            )

    def _dropouts(self) -> tuple[Any, ...]:
        """The modality dropout, or that of the first and the last step."""
        hidden: Any = self.modality_dropout
        return hidden if isinstance(hidden, tuple) else (hidden,)

    def _check_ranges(self) -> None:
        checks = {
            "epochs": ("from 1", self.epochs is None or self.epochs >= 1),
            "batch_size": ("from 1", self.batch_size >= 1),
            "accumulate": ("from 1", self.accumulate >= 1),
            "learning_rate": ("above 0", self.learning_rate > 0),
            "momentum": ("from 0 to below 1", 0 <= self.momentum < 1),
            "betas": ("from 0 to below 1", all(0 <= b < 1 for b in self.betas)),
            "weight_decay": ("from 0", self.weight_decay >= 0),
            "l1": ("from 0", self.l1 >= 0),
            "warmup": ("from 0 to below 1", 0 <= self.warmup < 1),
            "decay": ("above 0, to 1", 0 < self.decay <= 1),
            "decay_epochs": ("from 1", self.decay_epochs is None or self.decay_epochs >= 1),
            "clip": ("above 0", self.clip > 0),
            "patience": ("from 1", self.patience is None or self.patience >= 1),
            "modality_dropout": ("from 0 to below 1", all(0 <= h < 1 for h in self._dropouts())),
            "alone_first": ("from 0 to 1", 0 <= self.alone_first <= 1),
            "balance_alpha": ("above 0", self.balance_alpha > 0),
            "mixup": ("from 0", self.mixup >= 0),
            "cutmix": ("from 0", self.cutmix >= 0),
            "stochastic_depth": ("from 0 to below 1", 0 <= self.stochastic_depth < 1),
            "ema": ("from 0 to below 1", 0 <= self.ema < 1),
            "soup": ("from 2, or 0 for none", self.soup == 0 or self.soup >= 2),
            "curriculum": ("from 0 to 1", 0 <= self.curriculum <= 1),
        }
        for name, (expected, fine) in checks.items():
            if not fine:
                found = getattr(self, name)
                raise PlaitError(f"Training option {name}: {found!r} is out of range, expected {expected}.")

    @classmethod
    def of(cls, given: Mapping[str, Any], **more: Any) -> Options:
        """Options from a mapping; raises UnknownNameError."""
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise unknown("training option", name, known)
        return cls(**{**given, **{k: v for k, v in more.items() if v is not None}})

    def check(self, *, valid: int) -> None:
        """Raises PlaitError where an option needs validation rows, and there are none."""
        if self.schedule == "plateau" and not valid:
            raise PlaitError(
                "Training option schedule: found 'plateau', which looks at the validation rows, and no validation row. Hold "
                "some out (valid=0.15 of the split, --valid), or choose another schedule, such as 'cosine'."
            )
        if self.balance == "blend" and not valid:
            raise PlaitError(
                "Training option balance: found 'blend', which measures overfitting on the validation rows, and no validation "
                "row. Hold some out (valid=0.15 of the split, --valid), or choose another, such as 'ogm-ge'."
            )

    @property
    def step_rows(self) -> int:
        """Rows of a step, at most."""
        return self.batch_size * self.accumulate

    @property
    def copies(self) -> int:
        """How many times the weights stand in a checkpoint: themselves, two moments, the best, and their averages."""
        return 4 + bool(self.ema) + self.soup

    def epochs_for(self, rows: int) -> int:
        steps = -(-rows // self.step_rows)
        return self.epochs or min(60, max(8, -(-600 // steps)))

    def patience_for(self, epochs: int) -> int:
        """Epochs without a better score before the run stops."""
        return self.patience or max(5, epochs // 3)

    def decay_epochs_for(self, epochs: int) -> int:
        """Epochs until the rate falls by `decay`."""
        span = self.patience_for(epochs) if self.schedule == "plateau" else epochs
        return self.decay_epochs or max(1, span // 3)

    def to_json(self) -> dict[str, Any]:
        hidden = self.modality_dropout
        dropout = list(hidden) if isinstance(hidden, tuple) else hidden
        return {**asdict(self), "betas": list(self.betas), "modality_dropout": dropout}


def _number(value: Any, kinds: Any) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)
