"""What every modality, encoder, fusion, head and objective promises, run over everything that is listed in a table."""

from __future__ import annotations

import datetime
import decimal
import inspect
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import plait
from plait.encoders import DEFAULTS as ENCODER_OF
from plait.encoders import ENCODERS
from plait.encoders.base import Encoder
from plait.errors import MediaError
from plait.fusion import DEFAULT as FUSION
from plait.fusion import FUSIONS
from plait.fusion.base import Decision, Fusion
from plait.heads import DEFAULTS as HEAD_OF
from plait.heads import HEADS
from plait.heads.base import Head
from plait.metrics import LOWER_IS_BETTER
from plait.modalities import MODALITIES, modality
from plait.modalities.base import Modality
from plait.nn import rows
from plait.objectives import OBJECTIVES
from plait.objectives.base import Objective
from plait.presets import CLASSIC, FIXED
from plait.spec import dumps, loads
from plait.types import Inputs, Pass, Prepared, Tokens
from tests import tiny
from tests.conftest import cells_of

WIDTH = 32
HERE = Path(__file__).parent
TABLES = {
    "modalities": (MODALITIES, Modality),
    "encoders": (ENCODERS, Encoder),
    "fusion": (FUSIONS, (Fusion, Decision)),
    "heads": (HEADS, Head),
    "objectives": (OBJECTIVES, Objective),
}


# The tables


@pytest.mark.parametrize("folder", TABLES)
def test_every_file_of_a_folder_is_listed_in_its_table(folder: str) -> None:
    table, base = TABLES[folder]
    files = {p.stem for p in (Path(plait.__file__).parent / folder).glob("*.py")} - {
        "__init__",
        "base",
        "containers",
        "tape",
        "steps",
        "several",
    }
    listed = {table[name].split(":")[0] for name in table}
    assert listed == {f"plait.{folder}.{stem}" for stem in files}
    assert all(issubclass(table.load(name), base) for name in table)


@pytest.mark.parametrize("folder", TABLES)
def test_constructors_take_keyword_only_arguments(folder: str) -> None:
    table, _ = TABLES[folder]
    for name in table:
        kinds = {p.kind for k, p in inspect.signature(table.load(name).__init__).parameters.items() if k != "self"}
        # a class without a constructor of its own has object's (*args, **kwargs)
        assert kinds <= {inspect.Parameter.KEYWORD_ONLY} or table.load(name).__init__ is object.__init__, name


def test_defaults_name_parts_of_the_right_modality() -> None:
    assert FUSION in FUSIONS
    assert ENCODER_OF.keys() == MODALITIES.keys()
    assert all(ENCODERS.load(name).modality == kind for kind, name in ENCODER_OF.items())
    assert all(HEADS.load(name).modality == kind for kind, name in HEAD_OF.items())


# Modalities

SAMPLES: dict[str, list[Any]] = {
    "text": [f"a sentence about the thing number {i}" for i in range(50)],
    "image": [f"pictures/{i}.PNG" for i in range(50)],
    "audio": [f"sounds/{i}.ogg" for i in range(50)],
    "video": [f"clips/{i}.MP4" for i in range(50)],
    "images": [[f"pictures/{i}-{j}.png" for j in range(1 + i % 3)] for i in range(50)],
    "texts": [[f"a sentence about the thing number {i + j}" for j in range(1 + i % 3)] for i in range(50)],
    "number": [i * 1.37 for i in range(50)],
    "date": [f"{1 + i % 28:02d}/{1 + i % 12:02d}/{2000 + i}" for i in range(50)],
    "category": ["abc"[i % 3] for i in range(50)],
    "labels": [["a", "b"][: i % 3] for i in range(50)],
    "series": [[i * 0.5, None, 2, i][: 2 + i % 3] for i in range(50)],
}
ABSENT = [None, float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT")]
STRANGE = [
    object(),
    {"a": 1},
    {1, 2},
    [1, [2]],
    [],
    (),
    b"\xff\xfe",
    b"",
    "\0",
    "a\0b.png",
    "\ud800",
    "\ud800.png",
    "x" * 10_000,
    "no/such/file.png",
    ".",
    "/",
    "/dev/zero",
    "http://localhost/x.png",
    "10 000",
    "1e400",
    "-inf",
    10**400,
    -1,
    2**70,
    float("inf"),
    1e308,
    1 + 2j,
    decimal.Decimal("sNaN"),
    decimal.Decimal("1.5"),
    True,
    np.True_,
    np.float32(1.5),
    np.int8(3),
    np.array([1, 2]),
    np.array(1.5),
    np.zeros((2, 2)),
    datetime.date(2020, 1, 1),
    pd.Timestamp("2020"),
    "[" * 100_000,
    '["a", 1]',
    '[1.5, {"a": []}]',
    "{}",
    "٣",
    "1_000",
    "",
    " ",
    "\n",
    Path("x.png"),
    lambda: 0,
]


@pytest.mark.parametrize("kind", MODALITIES)
def test_a_modality_claims_its_own_sample_most_strongly(kind: str) -> None:
    claims = {m: c for m in MODALITIES if (c := modality(m).claim(SAMPLES[kind], target=False))}
    assert max(claims, key=lambda m: claims[m].strength) == kind
    assert all(0 <= c.strength <= 1 and c.reason for c in claims.values())


@pytest.mark.parametrize("kind", MODALITIES)
def test_missing_values_load_as_none(kind: str) -> None:
    assert [modality(kind).load(value, HERE) for value in ABSENT] == [None] * len(ABSENT)


@pytest.mark.parametrize("kind", MODALITIES)
def test_strange_values_are_read_or_raise_a_media_error(kind: str) -> None:
    part, wrong = modality(kind), []
    for value in STRANGE:
        try:
            for target in (False, True):
                part.claim([value, value], target=target)
            raw = part.load(value, HERE)
            hash(raw)  # equal cells are prepared once
            cell = None if raw is None else part.read(raw)
            json.dumps(cell, ensure_ascii=False, default=np.ndarray.tolist).encode("utf-8")
        except MediaError as error:
            assert str(error)
        except Exception as error:
            wrong.append((ascii(value)[:40], repr(error)))
    assert wrong == []


@pytest.mark.parametrize("kind", [k for k in MODALITIES if modality(k).suffixes])
@pytest.mark.parametrize(
    "content",
    [b"\0" * 100, b"<html>", b"RIFF", b"\x89PNG\r\n\x1a\n", b"OggS" * 50, b"GIF89a\xff\xff\xff\xff"],
    ids=lambda c: str(c[:8]),
)
def test_files_of_nonsense_raise_a_media_error(kind: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    part = modality(kind)
    with pytest.raises(MediaError):
        part.read(part.load("x", tmp_path))


# Encoders


HELD = tempfile.TemporaryDirectory(prefix="plait-contracts-")


@cache
def tiny_weights(kind: str) -> str:
    """A folder with a tiny network for cells of this modality, its parameters drawn at random."""
    folder = Path(HELD.name) / kind
    folder.mkdir()
    make = {"text": tiny.bert, "image": tiny.vit, "audio": tiny.wav2vec2, "video": tiny.vit}[kind]
    return str(make(folder))


def spec_of(name: str) -> dict[str, Any]:
    """An encoder that learns its features is asked for a width; one of fixed features has its own; a pretrained one is given
    weights."""
    known, kind = inspect.signature(ENCODERS.load(name).__init__).parameters, ENCODERS.load(name).modality
    if "sha256" in known:
        return {"name": name, "weights": tiny_weights(kind)}
    if name.endswith("_union"):  # one with nothing to train, and one from scratch
        fixed = {**CLASSIC, **FIXED}[kind]
        return {"name": name, "width": WIDTH, "parts": [fixed, ENCODER_OF[kind]]}
    if "path" in known:
        return {"name": name, "path": f"tests.nets:{kind.title()}", "arguments": {"width": WIDTH}}
    return {"name": name, "width": WIDTH} if "width" in known else {"name": name}


@cache
def completed(name: str) -> dict[str, Any]:
    return ENCODERS.complete(spec_of(name), cells_of(ENCODERS.load(name).modality))


@cache
def prepared(name: str) -> list[Prepared | None]:
    cells = cells_of(ENCODERS.load(name).modality)
    ready = iter(ENCODERS.build(completed(name), outside=True).prepare([c for c in cells if c is not None]))
    return [None if c is None else next(ready) for c in cells]


def encoder_of(name: str) -> Encoder:
    """A new encoder in eval mode, whose batch statistics are not those of a new one."""
    encoder: Encoder = ENCODERS.build(completed(name), outside=True)
    encoder.train()(encoder.collate(prepared(name)))
    return encoder.eval()


def same(a: Tensor | None, b: Tensor | None, atol: float = 0.0) -> bool:
    return a is b is None or (
        a is not None and b is not None and torch.allclose(a, b, rtol=0, atol=atol, equal_nan=True)
    )


def is_present(inputs: Inputs) -> Tensor:
    return inputs["present"] if "present" in inputs else inputs["lengths"] > 0


every_encoder = pytest.mark.parametrize("name", ENCODERS)
DEEP = {"text", "image", "audio", "video", "series"}  # modalities whose encoders from scratch have much to learn


@every_encoder
def test_an_encoder_says_whether_it_is_a_deep_network_that_knows_nothing(name: str) -> None:
    kind, encoder = ENCODERS.load(name), encoder_of(name)
    made_of = encoder.parts or encoder.nets or name.endswith(("_set", "_module"))
    trained = sum(p.ndim > 1 for p in encoder.parameters()) > 1
    assert kind.scratch == (kind.modality in DEEP and not made_of and trained)


@every_encoder
def test_tokens_have_their_shapes_and_missing_cells_no_token(name: str) -> None:
    encoder, cells = encoder_of(name), prepared(name)
    inputs = encoder.collate(cells)
    assert is_present(inputs).tolist() == [c is not None for c in cells]
    for batch in (inputs, encoder.augment(inputs)):
        tokens = encoder(batch)
        b, n, d = tokens.x.shape
        assert (b, d) == (len(cells), encoder.width) and spec_of(name).get("width", d) == d
        assert tokens.mask.shape == (b, n) and tokens.mask.dtype == torch.bool
        assert tokens.mask.any(1).tolist() == [c is not None for c in cells]
        assert tokens.x.isfinite().all()
        assert tokens.position is None or tokens.position.shape == (b, n, 3)
        if tokens.position is not None:
            places = tokens.position[tokens.mask][:, 1:]
            assert ((places.isnan()) | ((places >= 0) & (places <= 1))).all()


@every_encoder
def test_a_row_does_not_depend_on_the_other_rows_of_its_batch(name: str) -> None:
    encoder, cells = encoder_of(name), prepared(name)
    together = encoder(encoder.collate(cells))
    for row, cell in enumerate(cells):
        alone = encoder(encoder.collate([cell]))
        assert alone.mask.sum() == together.mask[row].sum()
        assert same(alone.x[0][alone.mask[0]], together.x[row][together.mask[row]], atol=1e-5), f"row {row}"
        if alone.position is not None and together.position is not None:
            assert same(alone.position[0][alone.mask[0]], together.position[row][together.mask[row]], atol=1e-6)


@every_encoder
def test_augmenting_is_seeded_keeps_shapes_and_leaves_the_batch_alone(name: str) -> None:
    encoder = encoder_of(name).train()
    inputs = encoder.collate(prepared(name))
    before = {k: v.clone() for k, v in inputs.items()}
    results = []
    for _ in range(2):
        torch.manual_seed(7)
        results.append(encoder.augment(inputs))
    first, second = results
    assert all(same(inputs[k], before[k]) for k in before)
    assert {k: v.shape for k, v in first.items()} == {k: v.shape for k, v in inputs.items()}
    assert same(is_present(first), is_present(inputs))
    assert all(same(first[k], second[k]) for k in first)


@every_encoder
def test_a_batch_with_every_cell_missing_is_finite_and_changes_nothing_learned(name: str) -> None:
    encoder = encoder_of(name)
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    for mode in (False, True):
        encoder.train(mode)
        tokens = encoder(encoder.augment(encoder.collate([None, None, None])))
        assert tokens.x.isfinite().all() and not tokens.mask.any() and len(tokens.x) == 3
        loss = tokens.x.sum() + sum(p.sum() * 0 for p in encoder.parameters())
        if loss.requires_grad:
            loss.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())
    assert all(same(v, before[k]) for k, v in encoder.state_dict().items())
    assert all(m.training for m in encoder.modules())


@every_encoder
def test_missing_cells_touch_no_batch_statistic(name: str) -> None:
    cells, state = prepared(name), encoder_of(name).state_dict()
    found = []
    for batch in (cells, [c for c in cells if c is not None]):
        encoder: Encoder = ENCODERS.build(completed(name), outside=True)
        encoder.load_state_dict(state)
        encoder.train()(encoder.collate(batch))
        found.append(encoder.state_dict())
    assert all(same(found[0][k], found[1][k], atol=1e-5) for k in state)


NORM = (
    "running_mean",
    "running_var",
    "num_batches_tracked",
)  # what a pretrained encoder's states are standardised with


@every_encoder
def test_gradients_reach_every_parameter(name: str) -> None:
    encoder = encoder_of(name).train()
    tokens = encoder(encoder.augment(encoder.collate(prepared(name))))
    if not list(encoder.parameters()):  # fixed features: training changes nothing
        assert not tokens.x.requires_grad
        assert encoder.state_dict().keys() <= {"pretrained.norm." + k for k in NORM}
        return
    (tokens.x * tokens.mask[..., None] * torch.randn(tokens.x.shape)).sum().backward()
    for key, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), key


@every_encoder
def test_preparing_is_pure(name: str) -> None:
    encoder, other = ENCODERS.build(completed(name), outside=True), encoder_of(name)
    cells = [c for c in cells_of(encoder.modality) if c is not None]

    def mark(ready: list[Prepared]) -> list[Any]:
        return [[(k, v.dtype.str, v.shape, v.tobytes()) for k, v in sorted(p.items())] for p in ready]

    expected = mark(encoder.prepare(cells))
    assert mark(encoder.prepare(cells)) == expected
    assert mark([other.prepare([c])[0] for c in cells]) == expected
    with ThreadPoolExecutor(4) as pool:
        assert all(mark(r) == expected for r in pool.map(encoder.prepare, [cells] * 8))
    assert all(v.ndim >= 1 for p in encoder.prepare(cells) for v in p.values())
    assert encoder.prepare([]) == []


@every_encoder
def test_a_stored_encoder_gives_arrays_that_fit_on_a_shelf(name: str) -> None:
    ready = [p for p in prepared(name) if p is not None]
    if ENCODERS.load(name).stored:
        for field in ready[0]:
            assert len({(p[field].shape[1:], p[field].dtype) for p in ready}) == 1
            assert all(len(p[field]) for p in ready)


@every_encoder
def test_a_spec_goes_through_json_and_builds_the_same_encoder(name: str) -> None:
    encoder = encoder_of(name)
    text = dumps(completed(name))
    assert dumps(loads(text)) == text
    twin: Encoder = ENCODERS.build(loads(text), outside=True)
    twin.load_state_dict(encoder.state_dict())
    twin.eval()
    assert json.loads(json.dumps(encoder.preparation)) == encoder.preparation == twin.preparation
    assert json.loads(json.dumps(encoder.reading)) == encoder.reading == twin.reading
    inputs = encoder.collate(prepared(name))
    assert all(same(a, b) for a, b in zip(encoder(inputs), twin(inputs)))


@every_encoder
def test_an_encoder_learns_from_columns_with_nothing_in_them(name: str) -> None:
    for cells in ([], [None, None]):
        encoder = ENCODERS.build(ENCODERS.complete(spec_of(name), cells), outside=True).eval()
        some = [c for c in cells_of(encoder.modality) if c is not None]
        assert encoder(encoder.collate(encoder.prepare(some))).x.isfinite().all()


@every_encoder
def test_dropping_rows_of_a_batch_equals_missing_cells(name: str) -> None:
    encoder, cells = encoder_of(name), prepared(name)
    keep = torch.arange(len(cells)) % 2 == 0
    dropped = encoder(rows.drop(encoder.collate(cells), keep))
    missing = encoder(encoder.collate([c if k else None for c, k in zip(cells, keep)]))
    assert dropped.mask.any(1).tolist() == missing.mask.any(1).tolist()
    n = missing.mask.shape[1]
    assert same(dropped.x[:, :n][missing.mask], missing.x[missing.mask], atol=1e-5)


# Fusions

NAMES = ["a.b", "文本", "keys", "type", "forward", "weight", "", "a b/c", "0", "é\n"]
FEATURE = [f for f in FUSIONS if issubclass(FUSIONS.load(f), Fusion)]
DECISION = [f for f in FUSIONS if issubclass(FUSIONS.load(f), Decision)]
every_fusion = pytest.mark.parametrize("name", FEATURE)


def fused(name: str, columns: list[str]) -> Fusion:
    """A fusion in eval mode whose parameters are all away from where they start."""
    fusion: Fusion = FUSIONS.build({"name": name}, columns=columns, width=WIDTH)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return fusion.eval()


def streams_of(columns: list[str], b: int = 6) -> dict[str, Tokens]:
    """Streams of several lengths; the last row has nothing, the one before everything, the others some."""
    streams = {}
    for i, column in enumerate(columns):
        n = 1 + 3 * (i % 3)
        lengths = torch.randint(1, n + 1, (b,)) * (torch.rand(b) < 0.6)
        lengths[-1], lengths[-2] = 0, n
        position = torch.rand(b, n, 3)
        position[..., i % 3] = torch.nan
        streams[column] = Tokens(torch.randn(b, n, WIDTH), rows.length_mask(lengths, n), position if i % 2 else None)
    return streams


@pytest.mark.parametrize("columns", [NAMES[:1], NAMES[:3], NAMES], ids=len)
@every_fusion
def test_a_fusion_gives_finite_tokens_where_anything_is_present(name: str, columns: list[str]) -> None:
    fusion, streams = fused(name, columns), streams_of(columns)
    x, mask, _ = fusion(streams)
    assert x.shape == (6, mask.shape[1], WIDTH) and mask.dtype == torch.bool
    assert x.isfinite().all()
    assert same(mask.any(1), torch.stack([s.mask.any(1) for s in streams.values()]).any(0))
    assert not mask[-1].any()


@every_fusion
def test_a_fusion_does_not_care_about_the_order_of_streams(name: str) -> None:
    fusion, streams = fused(name, NAMES), streams_of(NAMES)
    twin: Fusion = FUSIONS.build({"name": name}, columns=NAMES[::-1], width=WIDTH).eval()
    twin.load_state_dict(fusion.state_dict())
    for again in (fusion(dict(reversed(streams.items()))), twin(streams)):
        assert same(again.x, fusion(streams).x, atol=1e-6) and same(again.mask, fusion(streams).mask)
    assert twin.weights() == fusion.weights()


@every_fusion
def test_absent_streams_and_padding_have_no_influence(name: str) -> None:
    fusion, streams = fused(name, NAMES[:4]), streams_of(NAMES[:4])

    def elsewhere(s: Tokens, values: Tensor | None, noise: float) -> Any:
        return None if values is None else torch.where(s.mask[..., None], values, noise * torch.rand(values.shape))

    noisy = {c: Tokens(elsewhere(s, s.x, 100), s.mask, elsewhere(s, s.position, 1)) for c, s in streams.items()}
    longer = {
        c: Tokens(
            torch.nn.functional.pad(s.x, (0, 0, 0, 3), value=9.0),
            torch.nn.functional.pad(s.mask, (0, 3)),
            None if s.position is None else torch.nn.functional.pad(s.position, (0, 0, 0, 3), value=0.5),
        )
        for c, s in streams.items()
    }
    expected, some = fusion(streams), fusion(streams).mask.any(1)
    assert same(fusion(noisy).x[some], expected.x[some], atol=1e-5)
    assert same(fusion(longer).x[some][:, : expected.x.shape[1]], expected.x[some], atol=1e-5)


@every_fusion
def test_every_present_stream_has_an_influence(name: str) -> None:
    fusion, streams = fused(name, NAMES[:4]), streams_of(NAMES[:4])
    expected = fusion(streams).x[-2]
    for column, s in streams.items():
        other = fusion({**streams, column: s._replace(x=torch.randn(s.x.shape))}).x[-2]
        gone = fusion({**streams, column: s._replace(mask=torch.zeros_like(s.mask))}).x[-2]
        assert not same(other, expected, atol=1e-4) and not same(gone, expected, atol=1e-4), column


@every_fusion
def test_gradients_of_a_fusion_are_finite_with_nothing_present(name: str) -> None:
    fusion, streams = fused(name, NAMES[:3]).train(), streams_of(NAMES[:3])
    for s in streams.values():
        s.x.requires_grad_()
    out = fusion(streams)
    (out.x * torch.randn(out.x.shape)).sum().backward()
    grads = [p.grad for p in fusion.parameters()] + [s.x.grad for s in streams.values()]
    assert all(g is not None and g.isfinite().all() for g in grads)
    for s in streams.values():
        assert s.x.grad is not None and s.x.grad[s.mask].any()


@every_fusion
def test_learned_weights_of_a_fusion_sum_to_one(name: str) -> None:
    weights = fused(name, NAMES).weights()
    if weights is not None:
        assert weights.keys() == set(NAMES)
        assert sum(weights.values()) == pytest.approx(1) and min(weights.values()) >= 0


def by_formula(name: str, fusion: Any, columns: list[str], pooled: dict[str, Tensor], here: set[str]) -> Tensor:
    """One row of a fusion, as its docstring writes it; pooled: column -> (D,) of the columns that are there."""
    if name == "weighted":
        share = torch.stack([fusion.score[columns.index(c)] for c in here]).softmax(0)
        return sum(a * fusion.maps[columns.index(c)](pooled[c]) for a, c in zip(share, here))  # type: ignore[return-value]
    if name == "concat":
        parts = [pooled[c] if c in here else fusion.absent[i] for i, c in enumerate(columns)]
        return fusion.norm(fusion.mlp(torch.cat(parts)))  # type: ignore[no-any-return]
    factor = torch.ones(WIDTH)
    for c in here:
        factor = factor * (1 + torch.tanh(fusion.maps[columns.index(c)](pooled[c])))
    return fusion.norm(fusion.mlp(factor - 1))  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["weighted", "concat", "product"])
def test_a_classic_fusion_is_its_formula(name: str) -> None:
    columns = sorted(NAMES[:4])
    fusion, streams = fused(name, columns), streams_of(columns, 12)
    found = fusion(streams).x
    pooled = {c: pool(streams[c]) for c, pool in zip(columns, fusion.pools)}  # type: ignore[arg-type]
    for row in range(11):
        here = {c for c in columns if streams[c].mask[row].any()}
        if here:
            expected = by_formula(name, fusion, columns, {c: p[row] for c, p in pooled.items()}, here)
            assert torch.allclose(found[row, 0], expected, atol=1e-5)


@pytest.mark.parametrize("columns", [NAMES[:1], NAMES[:3], NAMES], ids=len)
@pytest.mark.parametrize("name", DECISION)
def test_decision_weights_are_of_the_streams_present(name: str, columns: list[str]) -> None:
    fusion: Decision = FUSIONS.build({"name": name}, columns=columns, width=WIDTH)
    present = {c: s.mask.any(1) for c, s in streams_of(columns).items()}
    found = fusion(present)
    assert found.keys() == present.keys()
    total = torch.stack(list(found.values())).sum(0)
    if fusion.rule == "sum":
        assert same(total, torch.stack(list(present.values())).any(0).float(), atol=1e-6)
    assert all((found[c][~present[c]] == 0).all() and (found[c] >= 0).all() for c in columns)
    again = fusion(dict(reversed(present.items())))
    assert all(same(again[c], found[c], atol=1e-6) for c in columns)


# Heads

LABELS: dict[str, list[Any]] = {
    "category": ["a", "b", None, "番茄", "a", "b", None, "a"],
    "labels": [("a",), ("a", "b"), None, (), ("番茄",), ("b",), None, ("a", "番茄")],
    "number": [1.0, 2.5, None, -3.0, 10.0, 0.0, None, 4.0],
}
UNSEEN: dict[str, Any] = {"category": "never seen", "labels": ("never seen",), "number": 1e300}
KNOWN = [label is not None for label in LABELS["number"]]
every_head = pytest.mark.parametrize("name", HEADS)


def head_of(name: str) -> Head:
    head: Head = HEADS.build(HEADS.complete({"name": name}, LABELS[HEADS.load(name).modality]), width=WIDTH).eval()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return head


def tokens_of(b: int = 8, n: int = 3) -> Tokens:
    return Tokens(torch.randn(b, n, WIDTH), rows.length_mask(torch.randint(1, n + 1, (b,)), n))


@every_head
def test_a_loss_is_one_number_a_row_and_zero_where_the_label_is_missing(name: str) -> None:
    for mode in (False, True):
        head = head_of(name).train(mode)
        target = head.collate(LABELS[head.modality])
        assert head.known(target).tolist() == KNOWN
        output = head(tokens_of())
        loss = head.loss(output, target)
        assert loss.shape == (8,) and loss.isfinite().all() and (loss >= 0).all()
        assert ((loss == 0) == ~head.known(target)).all()
        loss.sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in head.parameters())
        nothing = head.loss(head(tokens_of()), head.collate([None] * 8))
        assert (nothing == 0).all()


@every_head
def test_labels_that_a_head_does_not_know_raise_nothing(name: str) -> None:
    head = head_of(name)
    target = head.collate([UNSEEN[head.modality], LABELS[head.modality][0]])
    assert head.loss(head(tokens_of(2)), target).isfinite().all()
    assert head.known(target)[1]


@every_head
def test_mixing_equal_outputs_is_that_answer(name: str) -> None:
    head = head_of(name)
    output, share = head(tokens_of()), torch.rand(8)
    for mixed in (head.mix([output], [torch.ones(8)]), head.mix([output] * 2, [share, 1 - share])):
        assert torch.allclose(head.answer(mixed), head.answer(output), atol=1e-5)


@every_head
def test_mixing_is_the_weighted_mean_of_the_answers(name: str) -> None:
    head = head_of(name)
    a, b, share = head(tokens_of()), head(tokens_of()), torch.rand(8)
    parts = [head.answer(a), head.answer(b)]
    spread = share.reshape(-1, *[1] * (parts[0].ndim - 1))
    assert torch.allclose(
        head.answer(head.mix([a, b], [share, 1 - share])), parts[0] * spread + parts[1] * (1 - spread), atol=1e-5
    )


@every_head
def test_an_answer_has_its_shape_and_decodes_to_what_json_can_hold(name: str) -> None:
    head = head_of(name)
    answer = head.answer(head(tokens_of()))
    assert answer.shape == ((8, len(head.names)) if head.names else (8,))
    decoded = head.decode(answer.numpy(force=True))
    assert len(decoded) == 8 and json.loads(json.dumps(decoded)) == decoded
    part = modality(head.modality)
    assert all(
        part.load(value, Path()) is not None for value in decoded
    )  # an answer is a value of the target's modality
    assert head.decode(answer.numpy(force=True)[:0]) == []


@every_head
def test_a_head_judges_by_exactly_its_metrics_and_the_truth_is_best(name: str) -> None:
    head = head_of(name)
    target = head.collate(LABELS[head.modality])
    known = head.known(target)
    answer = head.answer(head(tokens_of()))[known].numpy(force=True)
    truth = target[known].numpy()
    weight = np.concatenate([np.ones((1, len(truth))), np.random.default_rng(0).integers(0, 3, (4, len(truth)))])
    judged = head.judge(answer, truth, weight)
    assert tuple(sorted(judged)) == tuple(sorted(head.metrics))
    assert all(v.shape == (5,) for v in judged.values())
    right = np.eye(len(head.names))[truth] if head.names and truth.ndim == 1 else truth.astype(float)
    best = head.judge(right, truth, weight[:1])
    for metric in head.metrics:
        sign = -1 if metric in LOWER_IS_BETTER else 1
        np.testing.assert_array_equal(head.judge(answer, truth, weight, only=metric)[metric], judged[metric])
        assert sign * best[metric][0] >= sign * judged[metric][0], metric
        assert best[metric][0] == pytest.approx(0 if sign < 0 else 1, abs=1e-9), metric


@every_head
def test_a_head_goes_through_json(name: str) -> None:
    spec = HEADS.complete({"name": name}, LABELS[HEADS.load(name).modality])
    head, twin = HEADS.build(spec, width=WIDTH).eval(), HEADS.build(json.loads(json.dumps(spec)), width=WIDTH).eval()
    twin.load_state_dict(head.state_dict())
    tokens, target = tokens_of(), head.collate(LABELS[head.modality])
    assert same(head(tokens), twin(tokens)) and same(head.answer(head(tokens)), twin.answer(twin(tokens)))
    assert same(head.loss(head(tokens), target), twin.loss(twin(tokens), target))


@every_head
def test_a_head_refuses_labels_that_teach_nothing(name: str) -> None:
    for cells in ([], [None, None]):
        with pytest.raises(plait.PlaitError, match="no label"):
            HEADS.complete({"name": name}, cells)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 3.0]])
def test_the_loss_of_a_category_is_smoothed_weighted_cross_entropy(
    smoothing: float, weights: list[float] | None
) -> None:
    head = HEADS.build(
        {"name": "category", "classes": ["a", "b", "c"], "weights": weights, "smoothing": smoothing}, width=WIDTH
    )
    logits, target = torch.randn(5, 3), head.collate(["a", "b", "c", "a", None])
    surprise = -(logits - logits.logsumexp(1, keepdim=True)).numpy()
    w = np.array(weights or [1.0, 1.0, 1.0])
    for mode, s in ((True, smoothing), (False, 0.0)):
        expected = [w[y] * row[y] * (1 - s) + s / 3 * (w * row).sum() for row, y in zip(surprise, [0, 1, 2, 0])] + [0.0]
        np.testing.assert_allclose(head.train(mode).loss(logits, target).numpy(), expected, rtol=1e-5)


def test_balance_makes_classes_count_alike() -> None:
    spec = HEADS.complete({"name": "category", "balance": 1.0}, ["a"] * 6 + ["b"] * 3 + ["c", None])
    np.testing.assert_allclose(np.array(spec["weights"]) * [6, 3, 1], 10 / 3)
    half = HEADS.complete({"name": "category", "balance": 0.5}, ["a"] * 6 + ["b"] * 3 + ["c", None])
    np.testing.assert_allclose(np.array(half["weights"]) ** 2, spec["weights"])


def test_the_loss_of_labels_is_the_mean_binary_cross_entropy() -> None:
    head = head_of("labels")
    logits, target = torch.randn(2, 3), head.collate([("a", "番茄"), None])
    p = 1 / (1 + np.exp(-logits[0].double().numpy()))
    expected = -(np.log(p[0]) + np.log(1 - p[1]) + np.log(p[2])) / 3
    np.testing.assert_allclose(head.loss(logits, target).numpy(), [expected, 0.0], rtol=1e-5)
    assert head.names == ["a", "b", "番茄"]


def test_the_loss_of_a_number_is_the_squared_error_in_standard_deviations() -> None:
    head, labels = head_of("number"), np.array([v for v in LABELS["number"] if v is not None])
    z = (labels - labels.mean()) / labels.std()
    output = torch.randn(len(labels))
    np.testing.assert_allclose(
        head.loss(output, head.collate(labels.tolist())).numpy(), (output.numpy() - z) ** 2, rtol=1e-4
    )
    np.testing.assert_allclose(head.answer(output).numpy(), output.numpy() * labels.std() + labels.mean(), rtol=1e-6)


# Objectives


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_gives_named_finite_scalars(name: str) -> None:
    objective: Objective = OBJECTIVES.build({"name": name}, targets=["a.b", "keys"])
    for known in (torch.tensor([True, False, True]), torch.zeros(3, dtype=torch.bool)):
        losses = {"a.b": torch.rand(3, requires_grad=True) * known, "keys": torch.rand(3) * known}
        found = objective(Pass(streams_of(NAMES[:2], 3), {}, losses, {t: known for t in losses}))
        assert found and all(k.endswith("_loss") and v.shape == () and v.isfinite() for k, v in found.items())
        sum(found.values()).backward()


def test_supervised_is_the_weighted_mean_over_labelled_rows() -> None:
    objective = OBJECTIVES.build({"name": "supervised", "weights": {"y": 3.0}})
    losses = {"x": torch.tensor([1.0, 0.0, 5.0]), "y": torch.tensor([0.0, 0.0, 4.0])}
    known = {"x": torch.tensor([True, False, True]), "y": torch.tensor([False, False, True])}
    found = objective(Pass({}, {}, losses, known))
    assert {k: v.item() for k, v in found.items()} == {"x_loss": 3.0, "y_loss": 12.0}
