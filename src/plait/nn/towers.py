"""A pretrained network as a function from its inputs to the hidden states of its layers, whatever family it is of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from plait.errors import FetchError, PlaitError
from plait.nn.efficientnet import EfficientNetLite
from plait.nn.speaker import GE2E
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
    "clap_text_model": {"text": ("ClapTextModel", None)},
    "clap_audio_model": {"audio": ("ClapAudioModel", None)},
}
OWN = {"efficientnet-lite": "image", "ge2e": "audio"}  # networks of plait's own -> what they read
CLIPS = {
    "videomae": "num_frames",
    "timesformer": "num_frames",
    "vivit": "num_frames",
}  # that take so many frames at once
INPUTS = {"text": ("input_ids",), "image": ("pixel_values",), "audio": ("input_features", "input_values")}
# networks that write: a token sees those before it alone. The first one, where it only says that a text begins, takes up most
# attention and by far the largest numbers (Xiao et al. 2024): it is left out of what is kept
WRITERS = {
    "gemma",
    "gemma2",
    "gemma3_text",
    "gpt2",
    "llama",
    "mistral",
    "olmo2",
    "opt",
    "phi",
    "qwen2",
    "qwen3",
    "smollm3",
}
# which token stands for the whole picture, clip or text
FIRST = {
    "vit",
    "deit",
    "beit",
    "dinov2",
    "dinov2_with_registers",
    "dinov3_vit",
    "clip_vision_model",
    "timesformer",
    "vivit",
}
LAST = {"clip_text_model", "siglip_text_model"}
UNUSED = ("position_ids", "masked_spec_embed", "mask_token")  # parameters that may be missing
COUNTED = re.compile(r"(.+?)\.(\d+)\.")  # the beginning of the name of a parameter in a list of layers
ASIDE = ("id2label", "label2id", "architectures", "transformers_version", "dtype", "torch_dtype", "_name_or_path")


def tower_config(config: dict[str, Any], modality: str) -> dict[str, Any]:
    """The config of the part of a network that reads `modality`, with what its file leaves out because it is so by default;
    "video" also takes networks of pictures. Raises PlaitError for repositories with code, for networks that cannot be run, and
    for those that read something else."""
    if "auto_map" in config:
        raise PlaitError("These weights come with code of their own to be run (auto_map); plait runs no such code.")
    kind, side = str(config.get("model_type")), "image" if modality == "video" else modality
    if kind in PARTS and side not in PARTS[kind]:
        raise PlaitError(f"A network of type {kind!r} reads {' and '.join(PARTS[kind])}, not {side}.")
    if "quantization_config" in config:
        raise PlaitError("These weights are quantised. Expected numbers of 16 or 32 bits.")
    key = PARTS.get(kind, {}).get(side, ("", None))[1]
    part = dict(config.get(key) or {}) if key else dict(config)
    if key:
        part["model_type"] = f"{kind}_{'vision' if side == 'image' else side}_model"
    if kind in OWN:
        _check_reads(kind, OWN[kind], modality)
        return part
    made = _config(part)
    whole = {k: v for k, v in made.to_dict().items() if k not in ASIDE}
    if kind in WRITERS:
        whole["use_cache"] = False
    if whole.get("is_encoder_decoder") and kind != "whisper":
        raise PlaitError(f"A network of type {kind!r} also writes; expected one that only reads.")
    if kind not in PARTS:
        _check_reads(kind, _reads(kind, made), modality)
    return whole


def _check_reads(kind: str, reads: str | None, modality: str) -> None:
    """Raises PlaitError where a network reads something else than this modality."""
    if reads is not None and reads != modality and (reads, modality) != ("image", "video"):
        raise PlaitError(f"A network of type {kind!r} reads {reads}, not {modality}.")


def _reads(kind: str, config: Any) -> str | None:
    """The modality that a network of transformers reads, by the name of what it takes; None where that is not known."""
    if kind in CLIPS:
        return "video"
    cls = need("transformers", "pretrained").MODEL_MAPPING.get(type(config), None)
    takes = getattr(cls[0] if isinstance(cls, (list, tuple)) else cls, "main_input_name", None)
    return next((modality for modality, names in INPUTS.items() if takes in names), None)


def _config(config: dict[str, Any]) -> Any:
    """As transformers has it."""
    library = need("transformers", "pretrained")
    try:
        return library.AutoConfig.for_model(**config)
    except Exception as error:  # whatever a foreign file brings about
        raise PlaitError(
            f"transformers {library.__version__} cannot make a network of type {config.get('model_type')!r}: "
            f"{' '.join(str(error).split())}."
        ) from None


def build(config: dict[str, Any], tensors: dict[str, Tensor] | None) -> nn.Module:
    """The network of a config, with these tensors: (class, parameters) as in transformers. Without tensors its parameters
    are made at random. Raises FetchError when the tensors are those of another architecture."""
    kind = config.get("model_type")
    if kind in OWN:
        return _own(EfficientNetLite() if kind == "efficientnet-lite" else GE2E(), tensors)
    library = need("transformers", "pretrained")
    library.utils.logging.set_verbosity_error()
    library.utils.logging.disable_progress_bar()
    made = _config(config)
    cls = getattr(library, next((c for c, _ in PARTS.get(str(kind), {}).values()), "AutoModel"))
    if kind == "whisper":
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        return _own(WhisperEncoder(made), tensors and _part(tensors, "encoder."))
    if cls is library.AutoModel:
        with torch.device("meta"):
            cls = type(cls.from_config(made))
    if tensors is None:
        return cls(made)  # type: ignore[no-any-return]
    if str(kind).startswith("clap_"):
        tensors = _part(tensors, f"{str(kind).split('_')[1]}_model.")
    net, report = cls.from_pretrained(
        None,
        config=made,
        state_dict=tensors,
        output_loading_info=True,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
    )
    absent = [k for k in report["missing_keys"] if "pooler" not in k and not k.endswith(UNUSED)]
    wrong = [*sorted(absent), *sorted(str(k[0]) for k in report["mismatched_keys"])]
    if wrong:
        raise FetchError(
            f"The tensors are not those of a {kind!r} network as config.json describes it: {wrong[0]} is missing or of another "
            f"shape ({len(wrong)} in all)."
        )
    return net.eval()  # type: ignore[no-any-return]


def _part(tensors: dict[str, Tensor], mark: str) -> dict[str, Tensor]:
    """The tensors below `mark`, out of those of a whole network where there is more than them."""
    found = {k[k.index(mark) + len(mark) :]: v for k, v in tensors.items() if k.startswith((mark, f"model.{mark}"))}
    return found or tensors


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
    networks of stages, whose layers differ in width."""
    if config.get("model_type") in OWN or "depths" in config:
        return 1
    for key in ("num_hidden_layers", "encoder_layers", "n_layers", "num_layers", "n_layer"):
        if isinstance(config.get(key), int):
            return int(config[key]) + 1
    return 1


def width(config: dict[str, Any]) -> int:
    """D of the hidden states."""
    for key in ("hidden_size", "d_model", "dim", "n_embd"):
        if isinstance(config.get(key), int):
            return int(config[key])
    if isinstance(config.get("hidden_sizes"), list):
        return int(config["hidden_sizes"][-1])
    raise PlaitError(f"How wide a network of type {config.get('model_type')!r} is, is not known.")


def pool(config: dict[str, Any]) -> str:
    """Which token stands for the whole cell: the "first", the "last", or the "mean" of all."""
    kind = config.get("model_type")
    return "first" if kind in FIRST else "last" if kind in LAST else "mean"


def run(net: nn.Module, config: dict[str, Any], inputs: dict[str, Tensor]) -> list[Tensor]:
    """The hidden states (B, N, D) of each layer, the last as the network gives it (normalised where it is)."""
    kind = config.get("model_type")
    if kind == "whisper":
        return _whisper(net, inputs["input_features"])
    if kind in OWN:
        return [_flat(net(next(iter(inputs.values()))))]
    if states(config) == 1:
        return [_flat(net(**inputs).last_hidden_state)]
    out = net(**inputs, output_hidden_states=True)
    return [*out.hidden_states[:-1], out.last_hidden_state]


def stack(names: Iterable[str], sizes: Iterable[int]) -> str:
    """The name of the part that holds the layers of a network, from the names and sizes of its parameters: of all parts
    that are counted, the largest; "" where nothing is counted."""
    found: dict[str, int] = {}
    for name, size in zip(names, sizes):
        if place := COUNTED.match(name):
            found[place[1]] = found.get(place[1], 0) + size
    return max(found, key=lambda name: found[name], default="")


def depths(net: nn.Module) -> dict[str, int]:
    """Parameter -> how far below the top it is: 0 behind the last layer, 1 in the last, and so on; those before the first
    layer are one below it. A stage counts as one layer."""
    sizes = {name: p.numel() for name, p in net.named_parameters()}
    inner = stack(sizes, sizes.values())
    own = {n: int(place[2]) for n in sizes if (place := COUNTED.match(n)) and place[1] == inner}
    found, below = {}, max(own.values(), default=-1) + 2 if inner else 0
    for name in sizes:
        below = 0 if name in own else below
        found[name] = max(own.values()) + 1 - own[name] if name in own else below
    return found


def checkpointed(net: nn.Module) -> nn.Module:
    """The network, whose layers forget what they computed and compute it again for the gradient: a fraction of the memory,
    a third more time (Chen et al. 2016)."""
    sizes = {name: p.numel() for name, p in net.named_parameters()}
    for layer in net.get_submodule(inner).children() if (inner := stack(sizes, sizes.values())) else ():
        layer.forward = _Again(layer.forward)
    return net


class _Again:
    """A forward that is run again for its gradient."""

    def __init__(self, forward: Any) -> None:
        self.forward = forward

    def __call__(self, *given: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled():
            return self.forward(*given, **named)
        return checkpoint(self.forward, *given, use_reentrant=False, **named)


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
        try:
            if path.suffix == ".bin":
                found.update(torch.load(path, map_location="cpu", weights_only=True))
            else:
                found.update(safetensors.torch.load_file(path))
        except Exception as error:  # whatever half a file brings about
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise FetchError(f"{path} is not whole: {said}. Fetch it again.") from None
    return found


def parse_config(text: str) -> dict[str, Any]:
    """config.json as a dict."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise FetchError(f"config.json is not JSON: {error}. Fetch these weights again.") from None
    if not isinstance(found, dict) or "model_type" not in found:
        raise PlaitError("config.json names no model_type: these are not weights that transformers or plait made.")
    return found
