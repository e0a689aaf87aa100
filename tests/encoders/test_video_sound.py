"""The sound track of a video is heard by encoders that stay as they are, beside its pictures; no sound is no bad cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests import tiny
from tests.clips import numbered, video
from tests.conftest import clip, tone

import plait
from plait.encoders import ENCODERS
from plait.errors import PlaitError
from plait.presets import choose, tell, title
from plait.types import Wave

pytest.importorskip("av")
pytest.importorskip("cv2")
pytest.importorskip("librosa")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that has no weights, and no network."""
    monkeypatch.delenv("PLAIT_WEIGHTS", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_what_is_heard_is_what_an_encoder_of_sound_hears(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    part = {"name": "audio_pretrained", "weights": str(tiny.wav2vec2(tmp_path / "net"))}
    encoder = ENCODERS.build(ENCODERS.complete({"name": "video_sound", "encoder": part}, [])).eval()
    alone = ENCODERS.build(ENCODERS.complete(part, [])).eval()
    clips = [clip(2, 8, 8, sound=tone(440, 0.5)), clip(2, 8, 8), clip(2, 8, 8, sound=tone(900, 0.8))]
    said = encoder(encoder.collate([*encoder.prepare(clips), None]))
    heard = alone(alone.collate(alone.prepare([Wave(c.sound.samples, 16_000) for c in clips if c.sound is not None])))
    torch.testing.assert_close(said.x[[0, 2], 0], heard.x[:, 0])
    assert said.mask[:, 0].tolist() == [True, True, True, False] and not said.x[1].any()
    with pytest.raises(PlaitError, match="needs an encoder of audio"):
        ENCODERS.complete({"name": "video_sound", "encoder": "text_tfidf"}, [])


def test_what_only_the_sound_tells_is_learned_by_default(tmp_path: Path) -> None:
    """Every clip shows the same; half of them sound high, half low, and a few have no sound: these are no bad cells."""
    frames, rows = numbered(6), []
    for i in range(30):
        noise = 0.05 * np.random.default_rng(i).standard_normal(24_000).astype(np.float32)
        sound = None if i in (4, 9, 14) else tone(300 if i % 2 else 2000, 0.5, 48_000)[: len(noise)] + noise
        (tmp_path / f"{i}.mp4").write_bytes(video(frames, rate=12, sound=sound))
        rows.append({"clip": f"{i}.mp4", "kind": ("high", "low")[i % 2]})
    how: Any = {"base": tmp_path, "learner": "logistic", "quiet": True}
    model = plait.fit(rows, "kind", split={"valid": 0.0, "test": 0.0}, **how)
    assert [p["name"] for p in model.spec["inputs"]["clip"]["parts"]] == ["video_flow", "video_sound"]
    assert model.record["bad_cells"] == 0
    found = model.predict(rows, base=tmp_path)
    sounds = [i for i in range(30) if i not in (4, 9, 14)]
    assert [found["kind"][i] for i in sounds] == [rows[i]["kind"] for i in sounds]
    assert set(found["status"]) == {"ok"}
    plain = plait.fit(rows, "kind", split={"valid": 0.0, "test": 0.0}, encoders={"clip": "flow"}, **how)
    deaf = plain.predict(rows, base=tmp_path)["kind"]
    assert len(set(deaf)) == 1, "what is shown tells nothing"


def test_a_sound_that_nothing_here_can_encode_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = tell(choose({"clip": "video"}, "auto", fixed=True)[1])
    assert line.startswith(
        "clip: video_flow + audio_mfcc (no pretrained weights for it are on this machine; of its sound: no"
    )
    assert "get efficientnet-lite0" in line and "get whisper-base" in line
    monkeypatch.setattr("plait.presets.find_spec", lambda name: None if name == "librosa" else True)
    chosen, choices = choose({"clip": "video"}, "auto", fixed=True)
    assert chosen == {"clip": "video_flow"}
    assert "its sound is not heard" in choices[0].why and "plait[classic]" in str(choices[0].better)
    assert choose({"clip": "video"}, "auto", fixed=False)[0] == {"clip": "video_cnn3d"}


def test_of_a_video_the_sound_is_stepped_down_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.presets.find", lambda name: name in ("efficientnet-lite0", "whisper-base"))
    (choice,) = choose({"clip": "video"}, "auto", fixed=True)[1]
    assert [choice.taken, *map(title, choice.others)] == [
        "efficientnet-lite0 + whisper-base",
        "video_flow + whisper-base",
        "video_flow + audio_mfcc",
    ]
    assert choice.better is None
