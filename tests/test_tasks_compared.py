"""Several targets compared: each alone and all together, on the same rows, with what is planted coming out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import plait


def planted(n: int = 200) -> pd.DataFrame:
    """Two targets of one hidden number, one labelled in a fifth of the rows only; and one that has nothing to do with it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4))
    hidden = x @ rng.normal(size=4)
    frame = pd.DataFrame(x, columns=list("abcd"))
    frame["many"] = hidden + 0.1 * rng.normal(size=n)
    frame["few"] = np.where(rng.random(n) < 0.2, np.where(hidden > 0, "up", "down"), None)
    frame["other"] = np.where(rng.random(n) < 0.5, "x", "y")
    return frame


@pytest.fixture(scope="module")
def found() -> Any:
    return plait.compare(
        planted(), ["many", "few", "other"], fusions="concat", encoders="scratch", seeds=2, epochs=3, quiet=True
    )


def test_every_target_is_learned_alone_and_together_by_each_weighing(found: Any) -> None:
    facts = found.to_json()
    assert [t["target"] for t in facts["tasks"]] == ["many", "few", "other"]
    for task in facts["tasks"]:
        assert [w["way"] for w in task["ways"]] == ["alone", "supervised", "uncertainty", "gradnorm"]
        alone = task["ways"][0]
        sign = -1 if task["metric"] == "rmse" else 1
        for way in task["ways"][1:]:
            assert way["gain"]["value"] == pytest.approx(sign * (way["value"] - alone["value"]))
    labelled = {t["target"]: t["labelled"] for t in facts["tasks"]}
    assert labelled["many"] == 200 and labelled["few"] < 60
    json.dumps(facts, allow_nan=False)


def test_it_is_said_in_text_and_on_a_page(found: Any, tmp_path: Path) -> None:
    text = str(found)
    assert "many (number" in text and "together, gradnorm" in text and found.facts["advice"] in text
    page = found.save_html(tmp_path / "tasks.html").read_text("utf-8")
    assert page.startswith("<!doctype html>") and "Do these targets help one another?" in page and "gradnorm" in page
    assert page == found.save_html(tmp_path / "again.html").read_text("utf-8")


def test_alone_is_what_a_fit_of_that_target_gives(found: Any) -> None:
    """The first seed's figure of "other" alone, by plait.fit on the same split."""
    frame = planted()
    one = plait.compare(
        frame,
        ["many", "other"],
        inputs=list("abcd"),
        fusions="concat",
        encoders="scratch",
        seeds=1,
        epochs=3,
        quiet=True,
    )
    alone = next(t for t in one.to_json()["tasks"] if t["target"] == "other")["ways"][0]["value"]
    fitted = plait.fit(frame, "other", inputs=list("abcd"), fusion="concat", epochs=3, quiet=True)
    assert alone == pytest.approx(fitted.figures["other"]["accuracy"], abs=1e-9)
