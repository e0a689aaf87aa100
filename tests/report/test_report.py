"""The report: what it says agrees with the evaluation, and nothing a user named can break or leave it."""

from __future__ import annotations

import base64
import copy
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
import soundfile
from PIL import Image
from sklearn import metrics as oracle
from tests.report.conftest import CLASSES, HOSTILE, INPUTS, Made

from plait.data.table import read_table
from plait.evaluation import Evaluation, Judged
from plait.report import model_card, report_json, report_page, words
from plait.report.content import MOST_CLASSES, WORST, details
from plait.report.markup import VOID, Html, html_of, tag
from plait.report.media import SECONDS, SIDE, Media
from plait.report.plots import epochs, roc
from plait.robustness import at


class Reader(HTMLParser):
    """Keeps elements and text, and checks that what is opened is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title"):
            self.text.append(data)


@pytest.fixture(scope="module")
def page(made: Made) -> str:
    return report_page(made.predictor, made.table, made.evaluation)


@pytest.fixture(scope="module")
def data(made: Made) -> dict:
    return report_json(made.predictor, made.evaluation)


def test_page_is_whole_and_asks_nothing_of_a_network(page: str) -> None:
    read = Reader(page)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", page)
    assert {t for t, _ in read.elements} & {"script", "iframe", "object", "embed", "base", "form"} == set()
    for name, attributes in read.elements:
        assert not any(key.startswith("on") for key in attributes), (name, attributes)
        for key in ("src", "href"):
            assert re.match(r"data:|#", attributes.get(key) or "#"), (name, attributes[key])
    policy = next(a["content"] for t, a in read.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'") and "script" not in policy
    assert len(page.encode("utf-8")) < 1_500_000


def test_ids_are_unique_and_links_lead_somewhere(page: str) -> None:
    elements = Reader(page).elements
    ids = [a["id"] for _, a in elements if "id" in a]
    assert len(ids) == len(set(ids))
    aims = [a["href"][1:] for t, a in elements if t in ("a", "use") and (a.get("href") or "").startswith("#")]
    assert aims and set(aims) <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)


def test_names_are_shown_as_text(page: str) -> None:
    text = "".join(Reader(page).text)
    for name in (*CLASSES, *INPUTS, "类别", "price", "tags", "绿"):
        assert name in text
    assert HOSTILE not in page
    assert text.count("狗 猫") + text.count("tree rose") > 3  # texts of the worst examples


def test_markup_escapes_what_is_not_html() -> None:
    assert tag("p", HOSTILE, title='"><b>') == (
        '<p title="&quot;&gt;&lt;b&gt;">&lt;script&gt;alert(1)&lt;/script&gt;</p>'
    )
    assert tag("p", f"{Html('<b>')}") == "<p>&lt;b&gt;</p>"  # put together by hand: escaped
    assert tag("p", tag("i", "x"), None, id=None, hidden=True) == "<p hidden><i>x</i></p>"
    assert tag("p", "\ud800 \0").encode("utf-8")


def test_the_same_call_gives_the_same_bytes(made: Made, page: str) -> None:
    with matplotlib.rc_context({"font.size": 30, "xtick.major.pad": 30, "svg.fonttype": "path"}):  # a user's settings
        again = report_page(made.predictor, made.table, made.evaluation)
    assert again == page
    other = copy.copy(made.predictor)  # a second run of the same fit takes other times
    other.record = copy.deepcopy(made.predictor.record)
    for epoch in other.record["history"]:
        epoch.update(seconds=77.125, rows_per_second=77.125, data_wait=0.5)
    assert report_page(other, made.table, made.evaluation) == page
    assert report_json(other, made.evaluation) == report_json(made.predictor, made.evaluation)
    assert model_card(other, made.evaluation) == model_card(made.predictor, made.evaluation)


def test_headline_says_the_figures(made: Made, page: str) -> None:
    text = "".join(Reader(page).text).replace("\u2060", "")
    judged = made.evaluation.targets["类别"]
    right = np.mean(judged.answer.argmax(1) == judged.truth)
    prior = judged.figures[()]["accuracy"]["value"]
    assert f"the model is right in {100 * right:.0f}\u202f% (" in text
    assert f"knowing nothing it would be {100 * prior:.0f}\u202f%." in text
    price = made.evaluation.targets["price"]
    off = words.number(float(np.sqrt(np.mean((price.answer - price.truth) ** 2))))
    assert f"the model is off by {off} (" in text


def test_sentence_holds_both_figures_apart() -> None:
    exact = lambda v: {"accuracy": {"value": v, "low": v - 0.07, "high": v + 0.08}}  # noqa: E731
    judged = Judged(
        "category",
        ["a", "b"],
        np.arange(155),
        np.zeros(155),
        np.zeros((155, 2)),
        {("x",): exact(0.63), (): exact(0.34)},
        "accuracy",
        {},
        {},
    )
    assert words.sentence(judged, ("x",), "test").replace("\u202f", " ") == (
        "On 155 held-out rows the model is right in 63 % (56–71 %); knowing nothing it would be 34 %."
    )
    assert words.sentence(judged, ("x",), "train").startswith("On 155 rows it was trained on ")


def test_every_subset_and_dropped_column_is_there(made: Made, page: str) -> None:
    assert page.count('class="track') >= 3 * 2 ** len(INPUTS)
    assert page.count(">without ") == 3 * len(INPUTS)
    assert page.count("Learned weights") == 3 and made.predictor.model.weights() is not None
    text = "".join(Reader(page).text)
    full, less = (
        made.evaluation.targets["类别"].figures[s]["accuracy"]["value"]
        for s in (tuple(made.evaluation.columns), tuple(c for c in made.evaluation.columns if c != "picture"))
    )
    sign = "+" if less > full else "\u2212"
    assert f"{sign}{100 * abs(full - less):.1f} points to {100 * less:.0f}\u202f%" in text


def test_missing_cells_have_a_panel_a_column(made: Made, page: str, data: dict) -> None:
    assert page.count("When cells are missing") == 3
    for number, target in enumerate(made.predictor.targets):
        facts = made.evaluation.missing[target]
        assert data["targets"][target]["missing"] == facts
        part = page[page.index(f'id="target-{number}"') :].split("When cells are missing", 1)[1].split("<h3>")[0]
        part = part[: part.index("</section>")] if "</section>" in part else part
        titles = re.findall(r"<figcaption>(.*?)</figcaption>", part)
        assert titles[:5] == ["every column", *(f"<bdi>{html_of(c)}</bdi>" for c in made.evaluation.columns)]
        assert part.count("opacity: 0.14") >= 5  # a band in each
        none, most = (words.value_text(facts["metric"], at(facts, rate)["value"]) for rate in (0.0, 0.7))
        assert f"goes from {none} to {most}; knowing nothing gives " in part
    without = Evaluation(made.evaluation.columns, made.evaluation.size, made.evaluation.targets)
    assert "When cells are missing" not in report_page(made.predictor, made.table, without)
    assert report_json(made.predictor, without)["targets"]["price"]["missing"] is None


def test_worst_categories_are_the_worst(made: Made, data: dict) -> None:
    judged = made.evaluation.targets["类别"]
    wrong = []
    for row, truth, answer in zip(judged.rows, judged.truth, judged.answer):
        said = max(range(len(answer)), key=lambda c: answer[c])
        if said != truth:
            wrong.append((-float(answer[said]), int(row), judged.names[said], judged.names[truth]))
    assert len(wrong) > WORST  # the fit is short, so there is something to choose from
    found = [(-w["probability"], w["row"], w["answer"], w["truth"]) for w in data["targets"]["类别"]["worst"]]
    assert found == sorted(wrong)[:WORST]
    for _, row, _, truth in found:
        assert made.frame["类别"][row] == truth


def test_worst_numbers_and_labels_are_the_worst(made: Made, data: dict) -> None:
    judged = made.evaluation.targets["price"]
    off = {int(r): abs(float(a) - float(t)) for r, a, t in zip(judged.rows, judged.answer, judged.truth)}
    found = data["targets"]["price"]["worst"]
    assert [w["row"] for w in found] == sorted(off, key=lambda r: -off[r])[:WORST]
    assert found[0]["truth"] == pytest.approx(made.frame["price"][found[0]["row"]])
    judged = made.evaluation.targets["tags"]
    loss = {
        int(r): oracle.log_loss(t, np.asarray(a, dtype=float), labels=[0, 1])
        for r, a, t in zip(judged.rows, judged.answer, judged.truth)
    }
    found = data["targets"]["tags"]["worst"]
    assert [w["row"] for w in found] == sorted(loss, key=lambda r: -loss[r])[:WORST]
    assert sorted(found[0]["truth"]) == sorted(made.frame["tags"][found[0]["row"]])


def test_json_round_trips_and_agrees(made: Made, data: dict) -> None:
    assert json.loads(json.dumps(data, ensure_ascii=False, allow_nan=False)) == data
    for target, judged in made.evaluation.targets.items():
        found = data["targets"][target]
        assert found["metrics"] == judged.figures[tuple(made.evaluation.columns)]
        assert {tuple(s["columns"]): s["metrics"] for s in found["subsets"]} == judged.figures
    judged, found = made.evaluation.targets["类别"], data["targets"]["类别"]
    guess = judged.answer.argmax(1)
    assert found["confusion"] == oracle.confusion_matrix(judged.truth, guess, labels=range(3)).tolist()
    precision, recall, f1, rows = oracle.precision_recall_fscore_support(
        judged.truth, guess, labels=range(3), zero_division=0
    )
    for c, line in enumerate(found["per_class"]):
        assert line["rows"] == rows[c]
        assert [line[k] or 0 for k in ("precision", "recall", "f1")] == pytest.approx([precision[c], recall[c], f1[c]])
    for c, curve in enumerate(found["roc"]):
        assert curve["auc"] == pytest.approx(oracle.roc_auc_score(judged.truth == c, judged.answer[:, c]))
    assert sum(b["rows"] for b in found["calibration"]) == len(judged.rows)
    assert data["learning"]["best_epoch"] == made.predictor.record["best_epoch"] + 1
    assert [e["epoch"] for e in data["learning"]["epochs"]] == [1, 2]


def judged_of(probability: np.ndarray, truth: np.ndarray) -> Judged:
    names = [f"c{i}" for i in range(probability.shape[1])]
    return Judged("category", names, np.arange(len(truth)) * 3, truth, probability, {}, "accuracy", {}, {})


def test_curves_are_thinned_and_their_areas_are_not() -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 2, 5000)
    score = np.clip(draw.normal(0.4 + 0.2 * truth, 0.2), 0, 1)
    found = details(judged_of(np.stack([1 - score, score], 1), truth))
    assert len(found["roc"]) == 1  # two classes: one curve
    curve = found["roc"][0]
    assert 100 < len(curve["points"]) <= 200
    assert curve["points"][0].tolist() == [0, 0] and curve["points"][-1].tolist() == [1, 1]
    assert curve["auc"] == pytest.approx(oracle.roc_auc_score(truth, score), abs=1e-9)


def test_of_many_classes_those_with_most_rows_are_shown() -> None:
    draw = np.random.default_rng(0)
    truth = np.minimum(draw.geometric(0.05, 900) - 1, 69)
    found = details(judged_of(draw.dirichlet(np.full(70, 0.2), 900), truth))
    assert len(found["classes_shown"]) == len(found["confusion"]) == MOST_CLASSES < 70
    assert set(np.argsort(-np.bincount(truth, minlength=70))[:10]) <= set(found["classes_shown"])
    assert len(found["per_class"]) == 70 and len(found["roc"]) <= MOST_CLASSES


def test_a_class_that_no_row_has_breaks_nothing() -> None:
    found = details(judged_of(np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]), np.array([0, 1])))
    assert found["worst"] == [] and found["confused"] == []
    assert found["roc"][2]["auc"] is None and found["roc"][2]["points"] == []
    assert found["per_class"][2]["precision"] is None
    assert "<svg" in roc(found["roc"], "k")


def test_pictures_and_sounds_are_embedded_small(made: Made, tmp_path) -> None:
    Image.fromarray(np.zeros((300, 900, 3), np.uint8)).save(tmp_path / "wide.png")
    wave = np.sin(np.arange(10 * 44100) / 20).astype(np.float32) * 0.3
    soundfile.write(tmp_path / "long.wav", np.stack([wave, wave], 1), 44100)
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    rows = [{"p": "wide.png", "s": "long.wav"}, {"p": "gone<b>.png", "s": None}, {"p": "broken.png", "s": "wide.png"}]
    media = Media(read_table(rows, base=tmp_path))
    picture = media.cell(0, "p", "image")
    raw = base64.b64decode(re.search(r"base64,([^\"]+)", picture)[1])  # type: ignore[index]
    assert Image.open(io.BytesIO(raw)).size == (SIDE, SIDE // 3)
    sound = media.cell(0, "s", "audio")
    raw = base64.b64decode(re.search(r"base64,([^\"]+)", sound)[1])  # type: ignore[index]
    info = soundfile.info(io.BytesIO(raw))
    assert info.channels == 1 and info.duration == pytest.approx(SECONDS, abs=0.2) and len(raw) < 40_000
    assert media.cell(0, "s", "audio") == sound
    assert media.cell(1, "s", "audio") == '<span class="none">missing</span>'
    for row, column, kind in ((1, "p", "image"), (2, "p", "image"), (2, "s", "audio")):
        assert media.cell(row, column, kind).startswith('<span class="bad">cannot be read: ')
    assert "no such file" in media.cell(1, "p", "image") and "<b>" not in media.cell(1, "p", "image")
    assert "left out" in Media(media.table, left=100).cell(0, "p", "image")
    assert "not in this table" in media.cell(7, "p", "image") and "not in this table" in media.cell(0, "q", "image")


def test_a_file_that_went_missing_is_said_in_its_place(made: Made, page: str, data: dict, tmp_path) -> None:
    assert page.count("<img ") == 3 * WORST and "cannot be read" not in page
    row = data["targets"]["类别"]["worst"][0]["row"]
    moved = (made.folder / f"{row}.png").rename(tmp_path / "kept.png")
    try:
        broken = report_page(made.predictor, made.table, made.evaluation)
    finally:
        moved.rename(made.folder / f"{row}.png")
    assert broken.count("cannot be read: no such file") >= 1
    assert broken.count("<img ") == page.count("<img ") - broken.count("cannot be read: no such file")
    Reader(broken)


def test_long_texts_are_cut_and_their_direction_kept() -> None:
    media = Media(read_table([{"t": "שלום <i> " + "x" * 5000}, {"t": ""}]))
    shown = media.cell(0, "t", "text")
    assert shown.startswith('<q dir="auto">שלום &lt;i&gt; xxx') and shown.endswith(" …</q>") and len(shown) < 500
    assert "empty text" in media.cell(1, "t", "text")


@pytest.mark.slow
def test_page_keeps_its_size_with_many_targets(made: Made) -> None:
    targets = {f"t{i}": made.evaluation.targets["类别"] for i in range(60)}
    many = copy.copy(made.predictor)
    many.schema = type(made.predictor.schema)(
        tuple(type(made.predictor.schema.columns[0])(t, "category", "target", "as given") for t in targets)
        + tuple(c for c in made.predictor.schema.columns if c.role == "input")
    )
    result = Evaluation(made.evaluation.columns, made.evaluation.size, targets)
    page = report_page(many, made.table, result)
    assert len(page.encode()) < 3_000_000
    assert "left out to keep this page small" in page and page.count('id="target-') == 60


def test_bad_cells_and_unjudged_targets_are_told(made: Made) -> None:
    bad = [{"row": i, "column": HOSTILE, "path": f"{HOSTILE}{i}", "reason": "damaged"} for i in range(33)]
    result = Evaluation(made.evaluation.columns, made.evaluation.size, {"price": made.evaluation.targets["price"]}, bad)
    page = report_page(made.predictor, made.table, result)
    text = "".join(Reader(page).text)
    assert "33. They count as missing." in text and f"{HOSTILE}19" in text and f"{HOSTILE}20" not in text
    assert text.count("could not be judged") == 2
    assert len(report_json(made.predictor, result)["bad_cells"]) == 33
    assert "Bad cells: 33" in model_card(made.predictor, result)


def test_numbers_on_axes_are_not_rounded_away() -> None:
    drawn = epochs([0.475, 0.57, 0.49, 0.5, 0.556], 2, "k", "Learning curve")
    ticks = [t for t in re.findall(r"<text[^>]*>([^<]+)</text>", drawn) if "." in t]
    assert len(ticks) == len(set(ticks)) >= 3


def test_numbers_are_said_with_the_digits_that_matter() -> None:
    said = {
        1234567.8: "1,234,568",
        2007.0: "2007",
        123.45: "123.5",
        12.34: "12.3",
        1.234: "1.23",
        0.1234: "0.123",
        -12.34: "\u221212.3",
        1.2e-5: "1.2e-05",
        0.0: "0.000",
    }
    assert {v: words.number(v) for v in said} == said
    figure = {"value": 0.634, "low": 0.561, "high": 0.709}
    assert words.figure_words("accuracy", figure) == "63\u202f% (56–71\u202f%)"
    assert words.figure_words("r2", {"value": 0.1, "low": -0.2, "high": 0.3}) == "0.100 (\u22120.200 to 0.300)"
    assert words.figure_words("roc_auc", {"value": None, "low": None, "high": None}) == "not defined"


def test_limits_follow_how_the_model_was_judged(made: Made) -> None:
    record = {**made.predictor.record, "judged_on": "train"}
    assert "No rows were held out" in " ".join(words.limits(record, made.evaluation))
    assert "No rows were held out" not in " ".join(words.limits(made.predictor.record, made.evaluation))
    group = {**made.predictor.record, "split": {"group": "folder"}}
    assert "'folder' stayed on one side" in " ".join(words.limits(group, made.evaluation))


def test_model_card_is_plain_markdown(made: Made) -> None:
    card = model_card(made.predictor, made.evaluation)
    code = card.split("```python\n")[1].split("\n```")[0]
    compile(code, "card", "exec")
    example = json.loads(re.search(r"predict\(\[(.+?)\]\)\n", code)[1])  # type: ignore[index]
    assert list(example) == INPUTS
    outside = card.replace(code, "")
    assert "<" not in outside and "类别" in outside and "&lt;script&gt;" in outside and "\\`code\\`" in outside
    for line in outside.splitlines():
        if line.startswith("|"):
            assert line.endswith("|") and len(re.findall(r"(?<!\\)\|", line)) in (4, 5)
    accuracy = made.evaluation.targets["类别"].figures[tuple(made.evaluation.columns)]["accuracy"]
    assert f"| Accuracy | {words.value_text('accuracy', accuracy['value'])} |" in card
    assert card.count("\n| nothing |") == 3


def test_importing_the_report_loads_no_matplotlib() -> None:
    code = "import sys, plait.report; assert not {'matplotlib', 'PIL', 'soundfile'} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
