"""A tracker that needs no package: a line of JSON for each epoch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from accelerate.tracking import GeneralTracker


class Lines(GeneralTracker):
    """Writes `log.jsonl` below `folder`. Lines of epochs from `again` on, which a run that goes on runs once more, are
    dropped."""

    name = "jsonl"
    requires_logging_directory = False
    main_process_only = True

    def __init__(self, folder: Path, *, again: int) -> None:
        super().__init__()
        self._path, self._again = folder / "log.jsonl", again

    @property
    def tracker(self) -> Path:
        return self._path

    def start(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = self._path.read_text("utf-8").splitlines() if self._path.exists() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["epoch"] < self._again]
        self._path.write_text("".join(f"{line}\n" for line in kept), "utf-8")

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        text = json.dumps(values, indent=1, ensure_ascii=False)
        self._path.with_name("config.json").write_text(f"{text}\n", "utf-8")

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"epoch": step, **values}, ensure_ascii=False) + "\n")

    def finish(self) -> None:
        return None
