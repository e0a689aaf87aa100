"""A pretrained network as a function from its inputs to the hidden states of its layers, whatever family it is of."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor, nn

from plait.errors import FetchError, PlaitError
from plait.nn.efficientnet import EfficientNetLite
from plait.optional import need

PARTS: dict[
    str, dict[str, tuple[str, str | None]]
] = {  # model type -> modality -> (class of transformers, key of its config within the whole one)
    "clip": {"text": ("CLIPTextModel", "text_config"), "image": ("CLIPVisionModel", "vision_config")},
    "siglip": {"text": ("SiglipTextModel", "text_config"), "image": ("SiglipVisionModel", "vision_config")},
    "clip_text_model": {"text": ("CLIPTextModel", None)},
    "clip_vision_model": {"image": ("CLIPVisionModel", None)},
    "siglip_text_model": {"text": ("SiglipTextModel", None)},
    "siglip_vision_model": {"image": ("SiglipVisionModel", None)},
    "clap": {"text": ("ClapTextModel", "text_config"), "audio": ("ClapAudioModel", "audio_config")},
    "clap_audio_model": {"audio": ("ClapAudioModel", None)},
}
FIRST = {"vit", "deit", "beit", "dinov2", "dinov2_with_registers", "clip_vision_model"}  # their first token
# stands for the whole picture


def tower_config(config: dict[str, Any], modality: str) -> dict[str, Any]:
    """The config of the part of a network that reads `modality`. Raises PlaitError for repositories with code."""
    if "auto_map" in config:
        raise PlaitError("These weights come with code of their own to be run (auto_map); plait runs no such code.")
    kind = str(config.get("model_type"))
    if kind in PARTS and modality not in PARTS[kind]:
        raise PlaitError(f"A network of type {kind!r} reads {' and '.join(PARTS[kind])}, not {modality}.")
    key = PARTS.get(kind, {}).get(modality, ("", None))[1]
    if not key:
        return config
    part = dict(config[key])
    part.setdefault("model_type", f"{kind}_{'vision' if modality == 'image' else modality}_model")
    return part


def build(config: dict[str, Any], tensors: dict[str, Tensor] | None) -> nn.Module:
    """The network of a config, with these tensors: (class, parameters) as in transformers. Without tensors its parameters
    are made at random. Raises FetchError when the tensors are those of another architecture."""
    kind = config.get("model_type")
    if kind == "efficientnet-lite":
        return _own(EfficientNetLite(), tensors)
    if kind == "ge2e":
        from plait.nn.speaker import GE2E

        return _own(GE2E(), tensors)
    library = need("transformers", "pretrained")
    library.utils.logging.set_verbosity_error()
    library.utils.logging.disable_progress_bar()
    try:
        made = library.AutoConfig.for_model(**config)
    except (ValueError, KeyError, TypeError) as error:
        raise PlaitError(
            f"transformers {library.__version__} cannot make a network of type {kind!r}: {error}."
        ) from None
    cls = getattr(library, next((c for c, _ in PARTS.get(str(kind), {}).values()), "AutoModel"))
    if kind == "whisper":
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        tensors = tensors and {
            _after(k, "encoder."): v for k, v in tensors.items() if "encoder." in k and "decoder." not in k
        }
        return _own(WhisperEncoder(made), tensors)
    if cls is library.AutoModel:
        with torch.device("meta"):
            cls = type(cls.from_config(made))
    if tensors is None:
        return cls(made)  # type: ignore[no-any-return]
    net, report = cls.from_pretrained(
        None, config=made, state_dict=tensors, output_loading_info=True, dtype=torch.float32
    )
    absent = [
        k for k in report["missing_keys"] if "pooler" not in k and not k.endswith(("position_ids", "masked_spec_embed"))
    ]
    if absent or report.get("mismatched_keys"):
        wrong = sorted(absent) or [str(k) for k in report["mismatched_keys"]]
        raise FetchError(
            f"The tensors are not those of a {kind!r} network as config.json describes it: {wrong[0]} is missing or of another "
            f"shape ({len(wrong)} in all)."
        )
    return net.eval()  # type: ignore[no-any-return]


def _after(name: str, mark: str) -> str:
    return name[name.index(mark) + len(mark) :] if mark in name else name


def _own(net: nn.Module, tensors: dict[str, Tensor] | None) -> nn.Module:
    if tensors is not None:
        try:
            net.load_state_dict({k: v.float() for k, v in tensors.items()}, strict=False)
        except RuntimeError as error:
            raise FetchError(
                f"The tensors do not fit their config.json: {str(error).splitlines()[-1].strip()}"
            ) from None
        if absent := sorted(k for k in net.state_dict() if k not in tensors and not k.endswith("num_batches_tracked")):
            raise FetchError(f"The tensors are not those that config.json describes: {absent[0]} is missing.")
    return net.eval()


def states(config: dict[str, Any]) -> int:
    """How many layers give hidden states (B, N, D) of one width: those of the stack, and what goes into it; 1 for
    convolutional networks, whose layers differ in width."""
    if config.get("model_type") in (
        "efficientnet-lite",
        "resnet",
        "convnext",
        "convnextv2",
        "ge2e",
        "clap_audio_model",
    ):
        return 1
    for key in ("num_hidden_layers", "encoder_layers", "n_layers", "num_layers"):
        if isinstance(config.get(key), int):
            return int(config[key]) + 1
    return 1


def width(config: dict[str, Any]) -> int:
    """D of the hidden states."""
    for key in ("hidden_size", "d_model", "dim"):
        if isinstance(config.get(key), int):
            return int(config[key])
    if isinstance(config.get("hidden_sizes"), list):
        return int(config["hidden_sizes"][-1])
    library = need("transformers", "pretrained")
    return int(library.AutoConfig.for_model(**config).hidden_size)


def run(net: nn.Module, config: dict[str, Any], inputs: dict[str, Tensor]) -> list[Tensor]:
    """The hidden states (B, N, D) of each layer, the last as the network gives it (normalised where it is)."""
    kind = config.get("model_type")
    if kind == "whisper":
        return _whisper(net, inputs["input_features"])
    if kind in ("efficientnet-lite", "ge2e"):
        return [_flat(net(next(iter(inputs.values()))))]
    if states(config) == 1:
        return [_flat(net(**inputs).last_hidden_state)]
    out = net(**inputs, output_hidden_states=True)
    return [*out.hidden_states[:-1], out.last_hidden_state]


def _flat(x: Tensor) -> Tensor:
    """(B, D, H, W) -> (B, H W, D)."""
    return x.flatten(2).transpose(1, 2) if x.ndim == 4 else x


def _whisper(net: Any, mel: Tensor) -> list[Tensor]:
    """Whisper's encoder over a spectrogram (B, bands, 2 N) of any length up to 30 s, without its padding to 30 s."""
    x = nn.functional.gelu(net.conv2(nn.functional.gelu(net.conv1(mel)))).transpose(1, 2)
    x = x + net.embed_positions.weight[: x.shape[1]]
    found = [x]
    for layer in net.layers:
        x = layer(x, None)
        found.append(x)
    return [*found[:-1], net.layer_norm(x)]


def tensors_of(paths: list[Any]) -> dict[str, Tensor]:
    """The tensors of files of safetensors, or of torch's own format read without running code."""
    import safetensors.torch

    found: dict[str, Tensor] = {}
    for path in paths:
        if path.suffix == ".bin":
            found.update(torch.load(path, map_location="cpu", weights_only=True))
        else:
            try:
                found.update(safetensors.torch.load_file(path))
            except Exception as error:  # whatever half a file brings about
                raise FetchError(f"{path} is not whole: {error}. Fetch it again.") from None
    return found


def parse_config(text: str) -> dict[str, Any]:
    """config.json as a dict."""
    found = json.loads(text)
    if not isinstance(found, dict) or "model_type" not in found:
        raise PlaitError("config.json names no model_type: these are not weights that transformers or plait made.")
    return found
