"""Specs: names and options to objects, learned facts, errors that name the nearest, and the command line's form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import pytest

from plait.errors import PlaitError, UnknownNameError
from plait.spec import Table, parse

HERE = __name__


class Scaled:
    """A part that learns a mean and has options of both kinds."""

    def __init__(self, *, mean: float, width: int = 4, kind: str = "x") -> None:
        assert width > 0, f"width {width} is not positive"
        self.mean, self.width, self.kind = mean, width, kind

    @classmethod
    def learn(cls, cells: Iterable[float], *, trim: int = 0, kind: str = "x") -> dict[str, Any]:
        values = sorted(cells)[trim:]
        return {"mean": sum(values) / len(values)}


class Plain:
    """A part that learns nothing and has no constructor."""

    def __repr__(self) -> str:  # the name of a test case is the same in every process
        return "Plain()"


class Fussy:
    """A part whose constructor refuses in its own ways."""

    def __init__(self, *, how: str = "value") -> None:
        raise {"value": ValueError, "type": TypeError, "run": RuntimeError, "plait": PlaitError}[how]("not like this")


PARTS = Table(
    "part",
    {
        "scaled": f"{HERE}:Scaled",
        "plain": f"{HERE}:Plain",
        "fussy": f"{HERE}:Fussy",
        "gone": f"{HERE}:Gone",
        "nowhere": "no_such_package.module:Class",
    },
)


def test_a_completed_spec_holds_constructor_arguments_and_builds() -> None:
    spec = PARTS.complete({"name": "scaled", "trim": 1, "width": 8}, iter([1.0, 100.0, 3.0]))
    assert spec == {"name": "scaled", "mean": 51.5, "width": 8}
    part = PARTS.build(json.loads(json.dumps(spec)))
    assert (part.mean, part.width, part.kind) == (51.5, 8, "x")
    assert PARTS.complete("scaled", [2.0]) == {"name": "scaled", "mean": 2.0}


def test_what_the_user_gave_wins_over_what_was_learned() -> None:
    assert PARTS.complete({"name": "scaled", "mean": 7.0}, [1.0])["mean"] == 7.0
    assert (
        PARTS.complete({"name": "scaled", "kind": "both"}, [1.0])["kind"] == "both"
    )  # an option of learn and constructor


def test_runtime_arguments_go_where_there_is_a_place_for_them() -> None:
    assert PARTS.build({"name": "scaled", "mean": 1.0}, width=16, columns=["a"]).width == 16
    assert isinstance(PARTS.build("plain", width=16), Plain)


def test_normal_checks_and_copies() -> None:
    given = {"name": "scaled", "width": 2}
    assert PARTS.normal(given) == given and PARTS.normal(given) is not given
    assert PARTS.normal("plain") == {"name": "plain"}


@pytest.mark.parametrize(
    "spec, said",
    [
        ("scald", r"Unknown part 'scald'\. Did you mean 'scaled'\? Known: scaled, plain"),
        ("SCALED", "Did you mean 'scaled'"),
        ({"name": "scaled", "widht": 3}, r"Unknown option of part 'scaled': 'widht'\. Did you mean 'width'"),
        ({"name": "plain", "width": 3}, "Known: none"),
    ],
)
def test_unknown_names_and_options_suggest_the_nearest(spec: Any, said: str) -> None:
    with pytest.raises(UnknownNameError, match=said):
        PARTS.normal(spec)
    with pytest.raises(UnknownNameError, match=said):
        PARTS.build(spec)


@pytest.mark.parametrize(
    "spec", [None, 3, {"width": 3}, {"name": None}, Plain(), ["scaled"], {"name": ["scaled"]}], ids=repr
)
def test_what_is_no_spec_is_refused(spec: Any) -> None:
    with pytest.raises(PlaitError, match="given as a name or as"):
        PARTS.normal(spec)
    with pytest.raises(PlaitError, match="given as a name or as"):
        PARTS.build(spec)


@pytest.mark.parametrize(
    "spec, said",
    [
        ({"name": "scaled"}, "'scaled' cannot be built.*mean"),
        ({"name": "scaled", "mean": 1, "width": -1}, "width -1 is not positive"),
        ({"name": "fussy"}, "not like this"),
        ({"name": "fussy", "how": "run"}, "not like this"),
        ({"name": "fussy", "how": "type"}, "not like this"),
        ({"name": "fussy", "how": "plait"}, "not like this"),
    ],
    ids=str,
)
def test_a_constructor_that_refuses_is_an_error_for_users(spec: Any, said: str) -> None:
    with pytest.raises(PlaitError, match=said):
        PARTS.build(spec)


@pytest.mark.parametrize("name", ["gone", "nowhere", f"{HERE}:Gone", "no_such_package:X", ":X", "x:", "a:b:c", "..x:y"])
def test_what_cannot_be_imported_is_an_error_for_users(name: str) -> None:
    with pytest.raises(PlaitError, match="cannot be imported"):
        PARTS.load(name, outside=True)


def test_a_class_from_outside_is_taken_from_users_and_never_from_saved_models() -> None:
    outside = f"{HERE}:Scaled"
    assert PARTS.normal({"name": outside, "width": 2})["name"] == outside
    assert PARTS.complete(outside, [4.0])["mean"] == 4.0
    assert PARTS.build({"name": outside, "mean": 4.0}, outside=True).mean == 4.0
    for name in (outside, "os:getcwd", "plait.spec:Table"):
        with pytest.raises(UnknownNameError):
            PARTS.build({"name": name})


def test_a_table_is_a_mapping() -> None:
    assert list(PARTS) == ["scaled", "plain", "fussy", "gone", "nowhere"] and len(PARTS) == 5
    assert "plain" in PARTS and PARTS["plain"] == f"{HERE}:Plain" and "x" not in PARTS


@pytest.mark.parametrize(
    "text, spec",
    [
        ("gru", {"name": "gru"}),
        ("gru:", {"name": "gru"}),
        ("gru:cell=lstm", {"name": "gru", "cell": "lstm"}),
        ('a:x=1,y=2.5,z=true,w=null,v="1"', {"name": "a", "x": 1, "y": 2.5, "z": True, "w": None, "v": "1"}),
        ("a:path=b=c, width = 3", {"name": "a", "path": "b=c", "width": 3}),
        ('a:names=["x","y"],width=3', {"name": "a", "names": ["x", "y"], "width": 3}),
        ('a:o={"k":[1,2]},t="p,q"', {"name": "a", "o": {"k": [1, 2]}, "t": "p,q"}),
        (
            'a:t="p,,q",u={"k": [1, "x,y"]} , v=[ 1, 2 ]',
            {"name": "a", "t": "p,,q", "u": {"k": [1, "x,y"]}, "v": [1, 2]},
        ),
        ("a:t={} Category:,pool=last", {"name": "a", "t": "{} Category:", "pool": "last"}),
        ("a:t={},pool=last", {"name": "a", "t": "{}", "pool": "last"}),
        ("a:t={x,pool=last", {"name": "a", "t": "{x", "pool": "last"}),
        ('a:t="{} is,pool=last', {"name": "a", "t": '"{} is', "pool": "last"}),
        ('a:t="It": {},pool=last', {"name": "a", "t": '"It": {}', "pool": "last"}),
        ('a:t="query, {}",pool=last', {"name": "a", "t": "query, {}", "pool": "last"}),
        ("a:t=[INST] {},pool=last", {"name": "a", "t": "[INST] {}", "pool": "last"}),
        ("a:parts=[p,q],join=tokens", {"name": "a", "parts": "[p,q]", "join": "tokens"}),
        ("a:day=2020-01-01,id=007", {"name": "a", "day": "2020-01-01", "id": "007"}),
    ],
)
def test_the_form_of_the_command_line(text: str, spec: dict[str, Any]) -> None:
    assert parse(text) == spec


@pytest.mark.parametrize("text", ["a:x", "a:x=1,y", "a:=3", "a:name=b", "a:edges=[1,2", "a:x, y=2"])
def test_a_part_that_is_no_option_is_refused(text: str) -> None:
    with pytest.raises(PlaitError, match="NAME:option=value"):
        parse(text)


@pytest.mark.parametrize("given", ["query, {}", "{}, in a word:", "[INST], {}", "the end, of {}, 番茄"])
def test_a_text_with_a_comma_is_refused_with_the_way_to_write_it(given: str) -> None:
    with pytest.raises(PlaitError, match="is not option=value") as caught:
        parse(f"a:size=2,prompt={given}")
    way = re.search(r"as JSON: (.*)\.$", str(caught.value))
    assert way is not None and parse(f"a:size=2,{way[1]},pool=last") == {
        "name": "a",
        "size": 2,
        "prompt": given,
        "pool": "last",
    }
