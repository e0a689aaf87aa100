"""The page and the command: warnings first, thumbnails and players, nothing from outside, nothing unescaped."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.cli.test_cli import call
from tests.conftest import sounded, tone
from tests.inspection.planted import clean, look, pictured

from plait.errors import OutputError


def page(found: object, folder: Path) -> str:
    return found.save_html(folder / "page.html").read_text("utf-8")  # type: ignore[attr-defined]


class Tags(HTMLParser):
    """Whether tags close as they open, and what is asked for from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [v or "" for k, v in attrs if k in ("src", "href")]
        if tag not in ("meta", "link", "br", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_shows_duplicates_side_by_side(tmp_path: Path) -> None:
    frame = pictured(tmp_path, 40)
    frame["kind"] = ["red", "green"] * 20
    for i in range(40):
        (tmp_path / f"s{i}.wav").write_bytes(sounded(tone(300 * 1.06**i, 0.2)))
    frame["sound"] = [f"s{i}.wav" for i in range(40)]
    shutil.copy(tmp_path / "p0.png", tmp_path / "p1.png")
    frame.loc[5, "picture"] = "gone.png"
    text = page(look(frame, base=tmp_path), tmp_path)
    tags = Tags()
    tags.feed(text)
    assert tags.open == [] and all(link.startswith(("data:", "#")) for link in tags.links)
    thumbnails = re.findall(r'<img src="(data:image/jpeg;base64,[^"]+)"', text)
    assert len(thumbnails) >= 7 and max(map(thumbnails.count, thumbnails)) >= 4  # both rows: in a warning, and below
    assert text.count("<audio") >= 3 and "<svg" in text
    assert text.index('id="findings"') < text.index('id="columns"') < text.index('id="missing"')
    assert "gone.png" in text and "row 1" in text and len(text) < 3_000_000


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    frame = pictured(tmp_path, 30)
    first, second = (page(look(frame, base=tmp_path), tmp_path) for _ in range(2))
    assert first == second


def test_no_name_is_markup(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>\u202e'
    frame = clean(60).rename(columns={"place": evil, "note": "<b>"})
    frame.loc[:20, evil] = evil
    frame.loc[30, "kind"] = evil
    frame.loc[3, "size"] = float("nan")
    text = page(look(frame, against=clean(60).rename(columns={"place": evil})), tmp_path)
    assert "<script" not in text and "<b>" not in text.replace("<b></b>", "") and "&lt;script&gt;" in text


def test_a_page_of_many_pictures_stays_light(tmp_path: Path) -> None:
    import numpy as np
    from tests.conftest import encoded

    frame = clean(40)
    noise = np.random.default_rng(0)
    for c in range(8):
        for i in range(40):
            (tmp_path / f"n{c}_{i}.png").write_bytes(encoded(noise.integers(0, 256, (160, 160, 3), dtype=np.uint8)))
        frame[f"picture{c}"] = [f"n{c}_{i % 20}.png" for i in range(40)]
    assert len(page(look(frame, base=tmp_path), tmp_path)) < 3_000_000


def test_a_page_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Cannot write"):
        look(clean(30)).save_html(tmp_path / "no" / "page.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command_prints_one_object_and_writes_the_page(tmp_path: Path) -> None:
    clean(80).assign(copy=lambda t: t["kind"]).to_csv(tmp_path / "t.csv", index=False)
    clean(60, 1).to_csv(tmp_path / "o.csv", index=False)
    out = tmp_path / "page.html"
    done = call(
        *("inspect", tmp_path / "t.csv", "--target", "kind", "--input", "note", "--input", "place=text"),
        *("--input", "copy", "--against", tmp_path / "o.csv", "--out", out, "--json"),
    )
    found = json.loads(done.stdout)
    assert found["page"] == str(out) and out.exists() and found["drift"]["against"]["rows"] == 60
    assert [f["kind"] for f in found["findings"] if f["severity"] == "serious"] == ["gives_away"]
    assert {c["name"]: c["modality"] for c in found["columns"]}["place"] == "text"
    assert "Read 140 rows" in done.stderr


@pytest.mark.slow
def test_the_command_says_it_in_words_and_quietly(tmp_path: Path) -> None:
    clean(80).to_csv(tmp_path / "t.csv", index=False)
    done: subprocess.CompletedProcess[str] = call("inspect", tmp_path / "t.csv", "--quiet")
    assert done.stderr == "" and "80 rows" in done.stdout and "Nothing to warn of." in done.stdout
    assert "Did you mean 'kind'" in call("inspect", tmp_path / "t.csv", "--target", "knd", code=2).stderr
