"""Options are checked by name, kind and range; what goes with an optimizer or a schedule is filled in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plait.errors import PlaitError
from plait.training.options import OPTIMIZERS, Options


def test_nobody_saying_anything_gives_what_it_always_gave() -> None:
    options = Options()
    before = {
        "epochs": None, "batch_size": 32, "learning_rate": 2e-3, "weight_decay": 0.05, "warmup": 0.05, "clip": 1.0,
        "patience": None, "modality_dropout": 0.3, "precision": "auto", "metric": None,
    }  # fmt: skip
    assert {k: v for k, v in options.to_json().items() if k in before} == before
    assert options.optimizer == "adamw" and options.schedule == "cosine" and options.betas == (0.9, 0.999)
    still = {"alone_first": 0.0, "alternate": False, "balance": "none"}
    assert {k: getattr(options, k) for k in still} == still
    off = {"accumulate": 1, "l1": 0.0, "ema": 0.0, "soup": 0, "init": "default", "curriculum": 0.0}
    assert {k: getattr(options, k) for k in off} == off
    assert options.patience_for(30) == 10 and options.patience_for(6) == 5 and options.decay_epochs_for(30) == 10


def test_options_go_through_json() -> None:
    for given in (
        {},
        {"optimizer": "lion"},
        {"schedule": "one-cycle", "betas": [0.8, 0.9]},
        {"modality_dropout": [0.0, 0.5]},
    ):
        options = Options.of(given)
        assert Options.of(json.loads(json.dumps(options.to_json()))) == options


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_goes_with_an_optimizer_is_filled_in_but_not_over_what_was_said(optimizer: str) -> None:
    usual = OPTIMIZERS[optimizer]
    options = Options(optimizer=optimizer)
    assert (options.learning_rate, options.weight_decay, options.momentum, options.betas) == usual
    said = Options(optimizer=optimizer, learning_rate=0.125, weight_decay=0.0, momentum=0.0, betas=(0.5, 0.5))
    assert (said.learning_rate, said.weight_decay, said.momentum, said.betas) == (0.125, 0.0, 0.0, (0.5, 0.5))
    assert Options(schedule="one-cycle").warmup == 0.3 and Options(schedule="one-cycle", warmup=0.0).warmup == 0.0


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no such optimizer": ({"optimizer": "adamm"}, "Did you mean 'adam"),
    "no such schedule": ({"schedule": "one_cycle"}, "Did you mean 'one-cycle'"),
    "no such start": ({"init": "xavvier"}, "Did you mean 'xavier'"),
    "no such option": ({"lr": 1.0}, "lr"),
    "part of a batch": ({"accumulate": 0}, "accumulate: 0 is out of range, expected from 1"),
    "half a batch": ({"accumulate": 1.5}, "accumulate: found 1.5, expected a whole number"),
    "true is no number": ({"soup": True}, "soup: found True, expected a whole number"),
    "a soup of one": ({"soup": 1}, "expected from 2, or 0 for none"),
    "never forgets": ({"ema": 1.0}, "ema: 1.0 is out of range, expected from 0 to below 1"),
    "ema and soup": ({"ema": 0.9, "soup": 3}, "ema=0.9 and soup=3, expected one of them"),
    "below zero": ({"l1": -0.1}, "l1: -0.1 is out of range"),
    "grows": ({"decay": 1.5}, "decay: 1.5 is out of range, expected above 0, to 1"),
    "never falls": ({"decay_epochs": 0}, "decay_epochs: 0 is out of range"),
    "one beta": ({"betas": 0.9}, "betas: found 0.9, expected two numbers"),
    "beta of one": ({"betas": [0.9, 1.0]}, "betas: .* is out of range"),
    "yes": ({"nesterov": "yes"}, "nesterov: found 'yes', expected true or false"),
    "momentum of one": ({"momentum": 1.0}, "momentum: 1.0 is out of range"),
    "words": ({"learning_rate": "fast"}, "learning_rate: found 'fast', expected a number"),
    "more than all": ({"curriculum": 1.5}, "curriculum: 1.5 is out of range, expected from 0 to 1"),
    "one end": ({"modality_dropout": [0.1]}, "modality_dropout: found .0.1., expected a number, or two"),
    "a word at the end": ({"modality_dropout": [0.1, "all"]}, "expected a number, or two"),
    "all hidden at last": ({"modality_dropout": [0.1, 1.0]}, "modality_dropout: .0.1, 1.0. is out of range"),
    "longer than all": ({"alone_first": 1.1}, "alone_first: 1.1 is out of range, expected from 0 to 1"),
    "now and then": ({"alternate": 2}, "alternate: found 2, expected true or false"),
    "no such balance": ({"balance": "ogm"}, "Did you mean 'ogm-ge'"),
    "no alpha": ({"balance_alpha": 0}, "balance_alpha: 0 is out of range, expected above 0"),
    "alternate and alone": ({"alternate": True, "alone_first": 0.2}, "alternate: found true beside alone_first=0.2"),
    "alternate and ogm": ({"alternate": True, "balance": "ogm-ge"}, "alternate: found true beside balance='ogm-ge'"),
    "alternate and blend": ({"alternate": True, "balance": "blend"}, "alternate: found true beside balance='blend'"),
    "never together": ({"alone_first": 1, "balance": "ogm-ge"}, "'ogm-ge' beside alone_first=1"),
    "mixed and weighed": ({"mixup": 0.2, "balance": "blend"}, "mixup: found 0.2 beside balance='blend'"),
    "no depth": ({"stochastic_depth": 1}, "stochastic_depth: 1 is out of range, expected from 0 to below 1"),
    "not a number": ({"learning_rate": float("nan")}, "learning_rate: nan is out of range"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_told(case: str) -> None:
    given, text = BAD[case]
    with pytest.raises(PlaitError, match=text):
        Options.of(given)


def test_plateau_needs_validation_rows() -> None:
    Options(schedule="plateau").check(valid=1)
    Options().check(valid=0)
    with pytest.raises(PlaitError, match=r"found .plateau.*no validation row"):
        Options(schedule="plateau").check(valid=0)


def test_steps_count_all_rows_that_are_added_up() -> None:
    assert Options(batch_size=8, accumulate=4).epochs_for(457) == Options(batch_size=32).epochs_for(457) == 40
    assert Options(soup=3).copies == 7 and Options(ema=0.9).copies == 5 and Options().copies == 4
