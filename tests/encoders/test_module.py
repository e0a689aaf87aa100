"""A module of the user's own: trained, saved as data, and built again only where the caller says that its code may run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests import nets, tiny
from tests.conftest import cells_of, encoded, picture, sounded, tone

import plait
from plait.encoders import ENCODERS
from plait.errors import ModelFormatError, PlaitError

PATH = "tests.nets:Image"


@pytest.fixture
def rows(write: Callable[..., Path]) -> list[dict[str, Any]]:
    """Red and blue pictures, a tone for each, some missing."""
    made: list[dict[str, Any]] = []
    for i in range(40):
        pixels = picture(16, 16, seed=i) // 4
        pixels[..., 2 * (i % 2)] += 150
        write(f"{i}.png", encoded(pixels))
        write(f"{i}.wav", sounded(tone(300 + 400 * (i % 2), 0.3)))
        made.append({"image": f"{i}.png" if i % 7 else None, "sound": f"{i}.wav", "kind": "ab"[i % 2]})
    return made


def trained(rows: list[dict[str, Any]], folder: Path, encoders: dict[str, Any], **options: Any) -> Any:
    return plait.fit(
        rows, "kind", inputs=list(encoders), encoders=encoders, base=folder, epochs=options.pop("epochs", 2), quiet=True,
        **options,
    )  # fmt: skip


def test_tokens_are_what_the_module_gives() -> None:
    cells = cells_of("image")
    encoder = ENCODERS.build(ENCODERS.complete({"name": "image_module", "path": PATH}, cells), outside=True).eval()
    ready = encoder.prepare([c for c in cells if c is not None])
    inputs = encoder.collate(ready)
    with torch.no_grad():
        expected = encoder.foreign.body(inputs["pixels"].float() / 255)
    torch.testing.assert_close(encoder(inputs).x[:, 0], expected)
    assert encoder.width == 8


def test_an_instance_is_trained_from_its_own_parameters(rows: Any, tmp_path: Path) -> None:
    own = nets.Image(6)
    before = {k: v.clone() for k, v in own.state_dict().items()}
    spec = {"name": "module", "module": own, "arguments": {"width": 6}}
    still = trained(rows, tmp_path, {"image": spec}, training={"learning_rate": 1e-12, "weight_decay": 0.0}, epochs=1)
    moved = trained(rows, tmp_path, {"image": spec}, epochs=3)
    for model, same in ((still, True), (moved, False)):
        found = model.model.encoders["image"].foreign.body.state_dict()
        names = [k for k in before if k.endswith("weight") and "norm" not in k]
        assert all(torch.allclose(found[k], before[k], atol=1e-6) == same for k in names)
    assert all(torch.equal(own.state_dict()[k], v) for k, v in before.items()), "what was given stays as it was"


def test_frozen_parameters_stay_and_what_is_all_frozen_needs_no_training(rows: Any, tmp_path: Path) -> None:
    own = nets.Image(6)
    first, *rest = [n for n, _ in own.named_parameters()]
    own.get_parameter(first).requires_grad_(False)
    model = trained(rows, tmp_path, {"image": {"name": "module", "module": own, "arguments": {"width": 6}}}, epochs=3)
    found = dict(model.model.encoders["image"].foreign.body.named_parameters())
    assert torch.equal(found[first], own.get_parameter(first))
    assert any(not torch.equal(found[n], own.get_parameter(n)) for n in rest)
    with pytest.raises(PlaitError, match="has to be trained"):
        plait.fit(
            rows, "kind", encoders={"image": nets.Image()}, inputs=["image"], learner="ridge", base=tmp_path, quiet=True
        )
    own = nets.Image().requires_grad_(False)
    plain = plait.fit(
        rows, "kind", encoders={"image": own}, inputs=["image"], learner="ridge", base=tmp_path, quiet=True
    )
    kept = plain.model.encoders["image"].foreign.body.state_dict()
    assert all(torch.equal(kept[n], t) for n, t in own.state_dict().items())


def test_a_saved_model_is_loaded_where_its_class_is_named_and_nowhere_else(rows: Any, tmp_path: Path) -> None:
    model = trained(rows, tmp_path, {"image": nets.Image(), "sound": nets.Audio()}, out=tmp_path / "m")
    assert {p.suffix for p in (tmp_path / "m").iterdir()} <= {".json", ".safetensors", ".html", ".md", ".parquet"}
    for outside in ((), [PATH], ["tests.nets:Audio"], ["tests.nets"]):
        with pytest.raises(ModelFormatError, match=r"importing it runs its code.*plait\.load\(folder, outside="):
            plait.load(tmp_path / "m", outside=outside)
    again = plait.load(tmp_path / "m", outside=[PATH, "tests.nets:Audio"])
    command = ["-m", "plait", "summary", str(tmp_path / "m")]
    for more, code in (([], 2), (["--outside", PATH, "--outside", "tests.nets:Audio"], 0)):
        done = subprocess.run(
            [sys.executable, *command, *more], capture_output=True, text=True, cwd=Path(__file__).parents[2]
        )
        assert done.returncode == code, done.stderr
    one = model.predict_proba(rows, base=tmp_path).iloc[:, :2].to_numpy()
    np.testing.assert_array_equal(again.predict_proba(rows, base=tmp_path).iloc[:, :2].to_numpy(), one)


def test_nothing_of_it_is_imported_before_the_caller_says_so(rows: Any, tmp_path: Path) -> None:
    trained(rows, tmp_path, {"image": nets.Image()}, out=tmp_path / "m")
    code = (
        "import sys, plait\n"
        "try: plait.load(sys.argv[1])\n"
        "except plait.PlaitError as error: print('refused', 'tests.nets' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "m")], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["refused", "False"]


def test_what_is_no_module_is_not_called(rows: Any, tmp_path: Path) -> None:
    """A folder that names a function of a package, in each place where a part can stand."""
    evil = {"name": "image_module", "path": "tests.nets:run", "width": 8}
    nested = {"name": "image_union", "parts": [evil, evil]}
    lists = {"name": "image_set", "inner": json.dumps(evil)}
    for spec in (evil, nested, lists):
        with pytest.raises(PlaitError, match="importing it runs its code"):
            ENCODERS.build(spec)
        with pytest.raises(PlaitError, match="importing it runs its code"):
            ENCODERS.build(spec, outside=["tests.nets:Image"])
        with pytest.raises(PlaitError, match="expected a class of torch"):
            ENCODERS.build(spec, outside=["tests.nets:run"])
    with pytest.raises(PlaitError):
        ENCODERS.build({**evil, "outside": True})


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"name": "module", "path": "tests.nets:Nothing"}, "cannot be imported"),
        ({"name": "module", "path": "no_such_package:Net"}, "cannot be imported"),
        ({"name": "module", "path": PATH, "arguments": {"wide": 3}}, "cannot be made"),
        ({"name": "module", "path": "tests.nets:Wrong"}, r"gives \(\) for 2 rows"),
        ({"name": "module", "path": "nets"}, "names no class"),
        ({"name": "module", "module": nets.Image(6)}, "Give the arguments it was made with"),
        (
            torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12288, 4)),
            "gives|cannot be made|missing|size|Unexpected",
        ),
    ],
)
def test_what_cannot_be_used_is_told(spec: Any, said: str, rows: Any, tmp_path: Path) -> None:
    with pytest.raises(PlaitError, match=said):
        trained(rows, tmp_path, {"image": spec})


def test_a_killed_run_goes_on_with_the_same_module(rows: Any, tmp_path: Path) -> None:
    torch.manual_seed(3)
    own = nets.Image()
    whole = trained(rows, tmp_path, {"image": own}, out=tmp_path / "whole", epochs=2)
    again = trained(rows, tmp_path, {"image": own}, out=tmp_path / "again", epochs=2)
    a, b = whole.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_any_folder_of_transformers_is_an_encoder_one_that_writes_too(family: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = getattr(tiny, family)(tmp_path / family)
    texts = ["a ripe tomato", "the deep blue sea and the long story"]
    encoder = ENCODERS.build(ENCODERS.complete({"name": "text_pretrained", "weights": str(folder), "prompt": ""}, []))
    own = transformers.AutoTokenizer.from_pretrained(folder)
    net = transformers.AutoModel.from_pretrained(folder).eval()
    for said, kept in zip(texts, encoder.prepare(texts)):
        with torch.no_grad():
            hidden = net(**own(said, return_tensors="pt"), output_hidden_states=True).hidden_states
        expected = hidden[-1][0, 1:].mean(0)
        np.testing.assert_allclose(kept["states"][0].astype(np.float32), expected, rtol=2e-3, atol=2e-3)
