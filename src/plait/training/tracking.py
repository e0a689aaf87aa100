"""Trackers: what each epoch gave is told to TensorBoard, Weights & Biases, MLflow or a file, through accelerate, offline."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plait.errors import MissingExtraError, PlaitError, unknown

PACKAGES = {"jsonl": None, "tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
FOLDER = "logs"  # within the folder of the run, then of the model
PROJECT = "plait"


def asked(log: Any, *, out: Any) -> list[Any]:
    """The trackers that are asked for: names, or objects of accelerate's GeneralTracker. Raises PlaitError."""
    found = [] if log is None else list(log) if isinstance(log, (list, tuple)) else [log]
    for each in found:
        if not isinstance(each, str):
            _check_object(each)
            continue
        if each not in PACKAGES:
            raise unknown("tracker", each, PACKAGES)
        package = PACKAGES[each]
        if package is not None and importlib.util.find_spec(package) is None:
            raise MissingExtraError(
                f"log={each!r} needs the package {package}, which is not installed. pip install {package}, or "
                f"log='jsonl', which needs none."
            )
        if out is None:
            raise PlaitError(
                f"log={each!r} writes into the folder of the model, and there is none. Give one: out= (--out)."
            )
    return found


def _check_object(tracker: Any) -> None:
    from accelerate.tracking import GeneralTracker

    if not isinstance(tracker, GeneralTracker):
        raise PlaitError(
            f"log holds {tracker!r}; expected {', '.join(PACKAGES)}, or an object of accelerate.tracking.GeneralTracker."
        )


@dataclass
class Log:
    """The trackers of one run, and the folder they write to. Without any, nothing."""

    trackers: list[Any] = field(default_factory=list)
    folder: Path | None = None
    _accelerator: Any = None

    @contextmanager
    def kept(self, config: Mapping[str, Any], *, epoch: int) -> Iterator[None]:
        """A block whose epochs are told, from `epoch` on, which is above 0 where a run goes on. `config`: plain JSON."""
        if not self.trackers:
            yield
            return
        self._begin(config, epoch)
        try:
            yield
        finally:
            for tracker in self._accelerator.trackers:
                try:
                    tracker.finish()
                except Exception as error:
                    warnings.warn(f"A log was not ended: {type(error).__name__}: {error}", RuntimeWarning, stacklevel=2)

    def _begin(self, config: Mapping[str, Any], epoch: int) -> None:
        from accelerate import Accelerator

        folder, given = self.folder, self.trackers
        if folder is not None:
            from plait.training.lines import Lines

            folder.mkdir(parents=True, exist_ok=True)
            given = [Lines(folder, again=epoch + 1) if t == "jsonl" else t for t in given]
        self._accelerator = Accelerator(log_with=given, project_dir=None if folder is None else str(folder))
        if "mlflow" in given and "MLFLOW_TRACKING_URI" not in os.environ:
            import mlflow  # type: ignore[import-not-found]

            mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        options = {
            "tensorboard": {"purge_step": epoch + 1},
            "wandb": {"dir": str(folder), "mode": os.environ.get("WANDB_MODE", "offline")},
            "mlflow": {"logging_dir": str(folder)},
        }
        plain = {k: v if isinstance(v, (str, int, float)) else json.dumps(v) for k, v in config.items()}
        self._accelerator.init_trackers(PROJECT, config=plain, init_kwargs=options)

    def tell(self, entry: Mapping[str, Any], *, rate: float, speed: float) -> None:
        """An epoch: its entry in the history, the learning rate at its end, rows a second. A tracker that breaks does not
        break the run: it is warned of, and nothing more is told."""
        if not self.trackers:
            return
        try:
            self._accelerator.log(figures(entry, rate, speed), step=entry["epoch"] + 1)
        except Exception as error:
            self.trackers = []
            warnings.warn(f"Nothing more is logged: {type(error).__name__}: {error}", RuntimeWarning, stacklevel=2)


def figures(entry: Mapping[str, Any], rate: float, speed: float) -> dict[str, float]:
    """Name -> figure of an epoch; those that there are. Names hold what every tracker takes."""
    found = {"loss": entry["loss"], "score": entry["score"], "learning_rate": rate, "rows_per_second": speed}
    found |= {f"valid/{t}/{name}": v for t, by in entry.get("valid", {}).items() for name, v in by.items()}
    return {re.sub(r"[^\w\-. /:]", "_", name): float(v) for name, v in found.items() if v is not None}
