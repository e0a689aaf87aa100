"""The page of a comparison of fusions: whole, safe whatever a column is called; its pictures hold every way at its place."""

from __future__ import annotations

import copy
import re
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from plait.comparing.entries import ALONE, DECISION, FEATURE, LEARNER
from plait.comparing.fusionpage import fusion_page
from plait.comparing.fusionpicture import contest_picture, missing_panels, shown_missing
from plait.comparing.fusiontext import fusion_advice
from plait.fusion import FUSIONS
from plait.learners import LEARNERS
from plait.report.markup import html_of
from plait.report.page import POLICY
from plait.robustness import HOWS, RATES
from tests.inspection.test_page import Tags

EVIL = '"><script>alert(1)</script>'
COLUMNS = ("note", "picture", EVIL)
FLOOR = 0.25


def curves_of(value: float, columns: tuple[str, ...]) -> dict[str, Any]:
    found = []
    for place, column in enumerate((*columns, None)):
        loss = 0.1 * (place + 1) if column else 0.95
        for how in HOWS:
            values = [value - (value - FLOOR) * loss * rate / RATES[-1] for rate in RATES]
            found.append({"column": column, "how": how, "values": values, "left": 1 - loss * RATES[4] / RATES[-1]})
    return {"rates": list(RATES), "floor": FLOOR, "curves": found}


def entry(name: str, kind: str, value: float, seconds: float, *, columns: tuple[str, ...] = COLUMNS) -> dict[str, Any]:
    several = len(columns) > 1
    return {
        "name": name,
        "kind": kind,
        "columns": list(columns),
        "fusion": None,
        "learner": None,
        "value": value,
        "low": value - 0.03,
        "high": value + 0.03,
        "metrics": {"accuracy": value},
        "seeds": [value],
        "seconds": seconds,
        "cpu_seconds": seconds,
        "rows_per_second": 1234.5,
        "parameters": 4321,
        "weights": {c: 0.5 / (i + 1) for i, c in enumerate(columns)} if kind == LEARNER and several else None,
        "missing": curves_of(value, columns) if several else None,
    }


def facts_of(ways: list[dict[str, Any]], **other: Any) -> dict[str, Any]:
    ways = sorted(ways, key=lambda e: -(e["value"] or 0))
    alone, joint = ([e for e in ways if (e["kind"] == ALONE) == one] for one in (True, False))
    names = [e["name"] for e in joint]
    facts: dict[str, Any] = {
        "table": f"{EVIL} table",
        "rows": 724,
        "target": f"{EVIL} target",
        "modality": "category",
        "metric": "accuracy",
        "seeds": [0, 1, 2],
        "judged_on": "test",
        "judged_rows": [155, 155, 154],
        "interval": "splits",
        "floor": {"name": "the most frequent class", "value": FLOOR, "low": 0.2, "high": 0.3},
        "entries": ways,
        "not_tried": [{"name": f"tensor {EVIL}", "error": f"no room for {EVIL}"}],
        "best_alone": alone[0]["name"] if alone else None,
        "best": names[0] if names else None,
        "plain": "logistic" if "logistic" in names else (names or [None])[0],
        "columns": [{"name": c, "modality": "text", "encoder": {"name": "text_tfidf"}} for c in COLUMNS],
        **other,
    }
    for e in joint:
        for key, against in (
            ("over_alone", alone[:1]),
            ("over_plain", [j for j in joint if j["name"] == facts["plain"]]),
        ):
            if against and against[0] is not e:
                gap = e["value"] - against[0]["value"]
                e[key] = {"value": gap, "low": gap - 0.02, "high": gap + 0.02, "sure": abs(gap) > 0.05}
    facts["advice"] = fusion_advice(facts)
    return facts


@pytest.fixture(scope="module")
def many() -> dict[str, Any]:
    """Every fusion and learner there is, close together, and each input alone."""
    draw = np.random.default_rng(0)
    ways = [entry(f"{c} alone, logistic", ALONE, v, 2.0, columns=(c,)) for c, v in zip(COLUMNS, (0.65, 0.58, 0.4))]
    for name in FUSIONS:
        ways.append(entry(name, FUSIONS.load(name).level, float(draw.normal(0.68, 0.02)), 10 ** draw.uniform(0.7, 1.6)))
    for name in LEARNERS:
        ways.append(entry(name, LEARNER, float(draw.normal(0.69, 0.02)), 10 ** draw.uniform(-1, 1)))
    ways += [entry("blend, mean", DECISION, 0.69, 4.0), entry("gated, hidden=32", FEATURE, 0.9, 9.0)]
    return facts_of(ways)


def test_the_page_is_whole_and_holds_every_way(many: dict[str, Any]) -> None:
    page = fusion_page(many)
    tags = Tags()
    tags.feed(page)
    assert tags.open == [] and all(link.startswith(("data:", "#")) for link in tags.links)
    assert not re.search(r"https?:|<script|@import", page) and html_of(POLICY) in page
    assert page == fusion_page(copy.deepcopy(many))
    listed = re.findall(r"<li[^>]*><b>(\d+)</b><svg.*?</svg><bdi>(.*?)</bdi>", page, re.S)
    assert listed == [(str(i + 1), html_of(e["name"])) for i, e in enumerate(many["entries"])]
    rows = re.findall(r'<th scope="row"><div><b>\d+</b><svg.*?</svg>(?:<strong>)?<bdi>(.*?)</bdi>', page, re.S)
    assert rows == [html_of(e["name"]) for e in many["entries"]]
    assert html_of(many["advice"]) in page and f"tensor {html_of(EVIL)}" in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids)) and {link[1:] for link in tags.links if link.startswith("#")} <= set(ids)
    sure = sum(e.get(k, {}).get("sure", False) for e in many["entries"] for k in ("over_alone", "over_plain"))
    assert 0 < sure == len(re.findall(r'<span class="sure[^>]*>[^<]* !</span>', page))


def test_no_name_that_a_user_gave_is_drawn(many: dict[str, Any]) -> None:
    drawn = re.findall(r"<text[^>]*>([^<]*)</text>", fusion_page(many))
    assert any(not re.fullmatch(r"[\d.]+", t) for t in drawn)
    assert not [t for t in drawn if "alone" in t or "script" in t or "note" in t or "hidden=32" in t]
    best = [next(e["name"] for e in many["entries"] if e["kind"] == k) for k in (DECISION, LEARNER)]
    assert all(name in drawn for name in (*best, "logistic"))


def test_every_way_is_a_point_and_no_label_covers_another(many: dict[str, Any]) -> None:
    svg = contest_picture(many)
    for place in range(len(many["entries"])):
        assert svg.count(f'id="ways-curve{place}-dot"') == svg.count(f'id="ways-curve{place}-name"') == 1
    boxes = []
    for size, x, y, text in re.findall(
        r'<text style="font-size: ([\d.]+)px[^>]*?transform="translate\(([-\d.]+) ([-\d.]+)\)[^>]*>([^<]+)</text>', svg
    ):
        wide, high = 0.5 * float(size) * len(text), 0.6 * float(size)
        left = float(x) - (wide if "end" in size else 0)
        boxes.append((left, float(y) - high, left + wide, float(y), text))
    over = [
        (a[4], b[4])
        for a, b in combinations(boxes, 2)
        if min(a[2], b[2]) - max(a[0], b[0]) > 1 and min(a[3], b[3]) - max(a[1], b[1]) > 1
    ]
    assert len(over) <= 2, over


def places(facts: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Name -> where its marker is drawn: x, y, the larger the lower."""
    svg, found = contest_picture(facts), {}
    for place, e in enumerate(facts["entries"]):
        group = svg[svg.index(f'id="ways-curve{place}-dot"') :]
        x, y = re.search(r'<use [^>]*?x="([-\d.]+)" y="([-\d.]+)"', group).groups()  # type: ignore[union-attr]
        found[e["name"]] = (float(x), float(y))
    return found


@pytest.mark.parametrize("metric", ["accuracy", "rmse"])
def test_points_stand_in_the_order_of_their_figures_and_costs(many: dict[str, Any], metric: str) -> None:
    facts = copy.deepcopy(many)
    if metric == "rmse":
        facts["metric"] = "rmse"
        for e in (*facts["entries"], facts["floor"]):
            e["value"], e["low"], e["high"] = (10 * (1 - e[k]) for k in ("value", "high", "low"))
    at = places(facts)
    least = 0.2 if metric == "rmse" else 0.02
    for a, b in combinations(facts["entries"], 2):
        if abs(a["value"] - b["value"]) > least:
            assert (at[a["name"]][1] > at[b["name"]][1]) == (a["value"] < b["value"])
        if max(a["seconds"], b["seconds"]) > 1.2 * min(a["seconds"], b["seconds"]):
            assert (at[a["name"]][0] > at[b["name"]][0]) == (a["seconds"] > b["seconds"])


def test_what_is_far_below_has_a_strip_of_its_own(many: dict[str, Any]) -> None:
    at = places(many)
    main = [at[e["name"]][1] for e in many["entries"] if e["value"] >= 0.62 and e["kind"] != ALONE]
    assert max(main) - min(main) > 150  # points of 440: not pressed together by a floor far off
    few = facts_of([e for e in many["entries"] if e["kind"] == ALONE] + many["entries"][:1])
    assert contest_picture(few).count("font-size: 9px") < contest_picture(many).count("font-size: 9px")


def test_missing_cells_have_a_panel_a_column_and_one_for_all(many: dict[str, Any]) -> None:
    panels = missing_panels(many)
    assert [column for column, _ in panels] == [None, *COLUMNS]
    shown = [e["name"] for e, _ in shown_missing(many)]
    assert shown[:2] == [many["best"], many["plain"]] and len(shown) <= 4
    assert len({colour for _, colour in shown_missing(many)}) == len(shown)
    for _, picture in panels:
        assert picture.count("stroke-dasharray") == len(shown) + 1  # by value, and the floor
    assert fusion_page(many).count("<figcaption>") == 2 + len(panels)


@pytest.mark.parametrize("kind", [ALONE, FEATURE])
def test_a_page_of_one_kind_alone(kind: str) -> None:
    columns = ("note",) if kind == ALONE else COLUMNS
    names = ["note alone, logistic", "note alone, average"] if kind == ALONE else ["concat", "gated"]
    page = fusion_page(facts_of([entry(n, kind, 0.6, 0.0, columns=columns) for n in names], not_tried=[]))
    assert ('id="missing"' in page) == (kind == FEATURE) and 'id="left-out"' not in page and 'id="weights"' not in page


def test_what_has_no_figure_or_no_interval_breaks_nothing(many: dict[str, Any]) -> None:
    facts = copy.deepcopy(many)
    facts["entries"][-1].update(value=None, low=None, high=None)
    facts["floor"]["value"] = None
    for e in facts["entries"]:
        e.update(low=None, high=None)
    page = fusion_page(facts)
    assert "not defined" in page and page.count('class="span"') == 0
    facts["entries"][1]["missing"]["curves"][0]["left"] = None
    fusion_page(facts)
