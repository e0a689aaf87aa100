"""What plait chooses by itself where nobody says: by a word, or by none at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from plait.errors import PlaitError, unknown
from plait.optional import need
from plait.presets import fixed_here
from plait.spec import Spec

FAST: dict[str, Any] = {"name": "blend", "members": "auto", "on": "both", "rule": "auto"}
PRESETS: dict[str, dict[str, Any]] = {
    "fast": FAST,
    "balanced": {**FAST, "search": 40},
    "best": {**FAST, "search": 300},
}  # word -> learner of fixed features
WIDE = ("balanced", "best")  # these take all networks for a column that are here, side by side
LARGE = 50_000  # rows above which a table is trained on by the loop, where nobody says


def top_for(
    preset: str | None,
    fusion: Spec | None,
    learner: Spec | None,
    said: Mapping[str, Any],
    *,
    rows: int,
    kinds: Iterable[str],
) -> tuple[Spec | None, Spec | None]:
    """(fusion, learner): what answers, None for what the encoders decide. `said`: other arguments by name that a preset would
    contradict, None where not given. Where nothing at all is said, "fast" on tables that are not large, if each of the
    inputs' modalities can be encoded with nothing to train here. Raises PlaitError, UnknownNameError."""
    kinds = list(kinds)
    given = {k: v for k, v in {"fusion": fusion, "learner": learner, **said}.items() if v}
    if preset is not None:
        if preset not in PRESETS:
            raise unknown("preset", preset, PRESETS)
        if given:
            raise PlaitError(
                f"preset={preset!r} chooses by itself, but {' and '.join(given)} {'is' if len(given) == 1 else 'are'} given too. "
                f"Give one or the other."
            )
        learner = PRESETS[preset]
    trials = learner.get("search", 0) if isinstance(learner, Mapping) else 0
    if not isinstance(trials, int) or isinstance(trials, bool) or trials < 0:
        raise PlaitError(f"search is {trials!r}; expected a whole number of trials, from 0.")
    if trials:
        need("optuna", "tune")
    if preset is not None:
        return None, learner
    if given or rows > LARGE or not fixed_here(kinds):
        return fusion, learner
    return None, FAST


def encoders_for(preset: str | None, encoders: Any) -> Any:
    """Which encoders are taken where nothing is said of them."""
    return "all" if preset in WIDE and encoders == "auto" else encoders
