"""What the encoders of pretrained weights share: finding them, running them once over each cell, keeping what they say."""

from __future__ import annotations

import hashlib
import json
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from plait.errors import PlaitError, unknown
from plait.nn import lora, rows, towers
from plait.nn.processing import LARGEST, Part, Texts
from plait.optional import need
from plait.types import Inputs, Prepared, Tokens
from plait.weights.catalogue import CATALOGUE, canonical
from plait.weights.fetch import sha256
from plait.weights.find import resolve

HELD = 4  # networks kept in memory
LENGTH = 512  # tokens of a text at once, where its weights do not say
PROMPT = "{} Category:"  # what networks that write read a text in: the last token says what comes next, not what was
MIXED = ("mean", "mix")  # choices of a layer that take all of them
POOLS = ("first", "last", "mean")
BEHIND = ("roberta", "camembert", "mpnet", "longformer", "data2vec-text", "clap_text")
LEAST = 1e-12  # mean square of a token of zeros
UNMASKED = {"fnet"}  # networks that cannot be told what is padding: their texts are not padded

_HELD: OrderedDict[tuple[str, str], nn.Module] = OrderedDict()
_LOCK = threading.Lock()


def facts(
    name: str,
    modality: str,
    *,
    tune: str = "frozen",
    prompt: str | None = None,
    pool: str | None = None,
    **options: float,
) -> dict[str, Any]:
    """What a model keeps of weights beside their tensors: name, hash, config, and how cells are made ready for them, with
    `options` of that; for LoRA also the shapes of the layers that are adapted. `prompt` and `pool` of texts: else what the
    weights say. Raises FetchError, UnknownNameError, PlaitError."""
    found = resolve(name)
    _check_modality(found.name, modality)
    config = towers.tower_config(towers.parse_config((found.folder / "config.json").read_text("utf-8")), modality)
    mark = hashlib.sha256("".join(sha256(p) for p in found.tensors()).encode()).hexdigest()

    def read(name: str) -> dict[str, Any]:
        path = found.folder / name
        return json.loads(path.read_text("utf-8")) if path.exists() else {}

    own = read("plait.json")
    if modality == "text":
        longest = own.get("length") or read("sentence_bert_config.json").get("max_seq_length")
        processing: dict[str, Any] = {"tokenizer": _tokenizer(found.folder), "length": _length(config, longest)}
        if config["model_type"] == "siglip_text_model":
            processing["fill"] = config["pad_token_id"]
        if config["model_type"] in UNMASKED:
            processing["step"] = 1
        usual = _usual_prompt(read("config_sentence_transformers.json"), config["model_type"])
        prompt = _fitting(processing, usual, prompt)
        processing.update({"prompt": prompt} if prompt != "{}" else {})
        if config["model_type"] in towers.WRITERS and Texts(processing).windows("")[0][0] == config["bos_token_id"]:
            processing["skip"] = 1
    else:
        processing = read("preprocessor_config.json") or read("processor_config.json")
        processing = processing.get("image_processor" if modality != "audio" else "feature_extractor", processing)
        if config["model_type"] == "ge2e":
            processing = {"feature_extractor_type": "ge2e", "sampling_rate": 16_000}
        if not processing:
            raise PlaitError(
                f"{found.folder} holds no preprocessor_config.json: how its {modality} is made ready is not known."
            )
    if pool is not None and pool not in POOLS:
        raise unknown("pool", pool, POOLS)
    pool = pool or own.get("pool") or _pooling(read("1_Pooling/config.json"))
    if not pool and config["model_type"] in towers.WRITERS and not (prompt or "{}").endswith("{}"):
        pool = "last"
    more: dict[str, Any] = {"plait_pool": pool} if pool else {}
    more |= {"plait_licence": found.licence} if found.licence else {}
    if tune == "lora":
        with torch.device("meta"):
            more["plait_lora"] = lora.targets(towers.build(config, None), config["model_type"])
    return {
        "weights": found.name,
        "sha256": mark,
        "config": json.dumps({**config, **more}, sort_keys=True),
        "processing": text_of({**processing, **{f"plait_{k}": v for k, v in options.items()}}),
    }


def _check_modality(name: str, modality: str) -> None:
    """Raises PlaitError where weights of the catalogue are of another modality, or no encoder can be made of them."""
    own = canonical(name)
    reads = CATALOGUE[own].modality if own else modality
    if reads != modality and (reads, modality) != ("image", "video"):
        fitting = [
            n
            for n, e in CATALOGUE.items()
            if e.encoder and e.modality in (modality, modality.replace("video", "image"))
        ]
        raise PlaitError(
            f"The weights {name!r} read {reads}, not {modality}. Expected weights such as {', '.join(fitting)}."
        )
    if own and not CATALOGUE[own].encoder:
        raise PlaitError(f"The weights {name!r} are no encoder: they tell {CATALOGUE[own].what}.")


def text_of(processing: dict[str, Any]) -> str:
    """How cells are made ready, as JSON text."""
    return json.dumps(processing, sort_keys=True, ensure_ascii=False)


def _tokenizer(folder: Path) -> str:
    """The JSON text of the tokenizer in a folder, made from its vocabulary where there is none."""
    path = folder / "tokenizer.json"
    if path.exists():
        return path.read_text("utf-8")
    try:
        if not any(p.name.startswith("vocab") or p.suffix == ".model" for p in folder.iterdir()):
            raise ValueError("there is no vocabulary")
        made = need("transformers", "pretrained").AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        return str(made.backend_tokenizer.to_str())
    except (AttributeError, ImportError, OSError, ValueError, KeyError, TypeError) as error:
        raise PlaitError(
            f"{folder} holds no tokenizer.json, and none can be made from what it holds: {error}. Save its tokenizer with "
            f"transformers' fast class."
        ) from None


def _length(config: dict[str, Any], longest: int | None) -> int:
    """How many tokens a network takes at once. RoBERTa's positions begin behind that of padding."""
    places = config.get("max_position_embeddings", config.get("n_positions", 0))
    if any(name in config["model_type"] for name in BEHIND):
        places -= int(config.get("pad_token_id") or 0) + 1
    return min(longest or LENGTH, places) if places > 0 else longest or LENGTH


def _usual_prompt(about: dict[str, Any], kind: str) -> str:
    """What sentence-transformers puts a text into by default with these weights; for networks that write, PROMPT (Jiang et al.
    2023, PromptEOL: the state at the last token of a prompt stands for the text)."""
    first = (about.get("prompts") or {}).get(about.get("default_prompt_name") or "")
    return f"{first}{{}}" if first else PROMPT if kind in towers.WRITERS else "{}"


def _fitting(processing: dict[str, Any], usual: str, given: str | None) -> str:
    """The prompt, `given` or else the usual one where it leaves the text a quarter of the tokens. Raises PlaitError."""
    if given is not None and given.count("{}") != 1 and given != "":
        raise PlaitError(f"prompt is {given!r}; expected a text with one {{}}, where the cell goes, or an empty one.")
    prompt = usual if given is None else given or "{}"
    room, length = Texts({**processing, "prompt": prompt}).room, processing["length"]
    if 4 * room >= length:
        return prompt
    if given is None:
        return "{}"
    raise PlaitError(f"The prompt {prompt!r} leaves the text {room} of the {length} tokens there are. Shorten it.")


def _pooling(about: dict[str, Any]) -> str | None:
    """What the config of sentence-transformers' pooling says, where that is not the mean."""
    for mode, pool in (("cls", "first"), ("lasttoken", "last")):
        if (
            about.get("pooling_mode") == mode
            or about.get(f"pooling_mode_{mode}")
            or about.get(f"pooling_mode_{mode}_token")
        ):
            return pool
    return "mean" if about else None


def digest(text: str) -> str:
    """A hash of a text."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Net:
    """A frozen network, loaded when it is first run, from the weights on this machine or from a model folder."""

    def __init__(self, *, weights: str, sha256: str, config: dict[str, Any], modality: str) -> None:
        self.weights, self.sha256, self.modality = weights, sha256, modality
        self.config = {k: v for k, v in config.items() if not k.startswith("plait_")}
        self._given: bytes | None = None
        self._own: nn.Module | None = None

    @property
    def file(self) -> str:
        """The name of its file in a model folder."""
        return f"net-{self.sha256[:16]}-{self.modality}.safetensors"

    def give(self, raw: bytes) -> None:
        """The content of that file."""
        self._given, self._own = raw, None

    def raw(self) -> bytes:
        """The same, to be written."""
        if self._given is not None:
            return self._given
        return safetensors.torch.save({k: v.contiguous().clone() for k, v in self.module().state_dict().items()})

    @torch.inference_mode(False)
    def module(self, *, own: bool = False) -> nn.Module:
        """The network; `own`: not shared with others of the same weights. Raises FetchError where its weights are not on
        this machine, or have changed."""
        if own or self._own is not None or self._given is not None:
            with _LOCK:
                if self._own is None:
                    given = self._given
                    self._own = self.fresh() if given is None else _frozen(self.config, safetensors.torch.load(given))
                return self._own
        key = (self.sha256, self.modality)
        with _LOCK:
            if key not in _HELD:
                _HELD[key] = self.fresh()
                while len(_HELD) > HELD:
                    _HELD.popitem(last=False)
            _HELD.move_to_end(key)
            return _HELD[key]

    @torch.inference_mode(False)
    def fresh(self) -> nn.Module:
        """A network of its own, from the weights on this machine."""
        found = resolve(self.weights)
        mark = hashlib.sha256("".join(sha256(p) for p in found.tensors()).encode()).hexdigest()
        if mark != self.sha256:
            raise PlaitError(f"The weights {self.weights!r} in {found.folder} are not those this model was begun with.")
        return _frozen(self.config, towers.tensors_of(found.tensors()))


def _frozen(config: dict[str, Any], tensors: dict[str, Tensor]) -> nn.Module:
    return made(config, tensors).requires_grad_(False)


def made(config: dict[str, Any], tensors: dict[str, Tensor] | None) -> nn.Module:
    """The network of a config with these tensors, or without any, in eval mode."""
    with torch.random.fork_rng(devices=[]):  # what the tensors leave out, and no layer needs, is made at random
        torch.manual_seed(0)
        net = towers.build(config, tensors).eval()
    for parameter in net.parameters():
        if parameter.ndim == 4:  # convolutions over pictures are twice as fast so
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return net


class Reader(nn.Module, ABC):
    """A network as an encoder sees it: cells in, tokens out. `layer`: "last", a number (0 is what goes into the first), "mix":
    all, with learned weights (the protocol of SUPERB, Yang et al. 2021), or "mean": all alike, with nothing to learn. `every`:
    whether the pooled states of all layers are at hand when tokens are made."""

    nets: tuple[Net, ...] = ()  # as of an encoder, as are the next four
    starts: tuple[Any, ...] = ()
    rates: dict[str, float] = {}  # noqa: RUF012
    preparation: dict[str, Any]
    width: int

    def __init__(
        self, *, modality: str, weights: str, sha256: str, config: str, layer: int | str, tokens: bool, every: bool
    ) -> None:
        super().__init__()
        self.about = json.loads(config)
        self.net = Net(weights=weights, sha256=sha256, config=self.about, modality=modality)
        self.config, self.tokens, self.layer, self.every = self.net.config, tokens, layer, every
        self.width, self.states = towers.width(self.config), towers.states(self.config)
        if layer in MIXED and tokens:
            raise PlaitError(
                f"layer={layer!r} keeps the pooled states of every layer; the tokens of all would be too many. Choose one."
            )
        if (isinstance(layer, int) and not 0 <= layer < self.states) or (
            isinstance(layer, str) and layer not in ("last", *MIXED)
        ):
            raise PlaitError(
                f"layer is {layer!r}; {weights!r} has 0 to {self.states - 1}. Expected one of these, 'last', 'mean' or 'mix'."
            )
        self.mix = nn.Parameter(torch.zeros(self.states)) if layer == "mix" else None
        self.pool: str = self.about.get("plait_pool") or towers.pool(self.config)

    @abstractmethod
    def prepare(self, count: int, parts: Iterable[Part]) -> list[Prepared]:
        """`parts` of `count` cells -> what is kept of each."""

    @abstractmethod
    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        """A batch, as of an encoder."""

    @abstractmethod
    def forward(self, inputs: Inputs) -> Tokens:
        """(B, N, D), the numbers of a token of mean square 1; N is 1 where pooled. (Made of mean 0 and variance 1 each over the
        training rows instead, linear and neural heads on them were 2 points worse on the stamps.)"""

    def run(self, net: nn.Module, inputs: dict[str, Tensor]) -> list[Tensor]:
        """The hidden states (B, N, D) that are kept: of one layer, or of every one."""
        hidden = towers.run(net, self.config, inputs)
        if len(hidden) != self.states or hidden[-1].shape[-1] != self.width:
            raise PlaitError(
                f"{self.net.weights!r} gives {len(hidden)} states {hidden[-1].shape[-1]} wide, its config.json says "
                f"{self.states}, {self.width} wide: plait cannot read a network of type {self.config['model_type']!r}."
            )
        return hidden if self.every else [hidden[-1 if self.layer == "last" else int(self.layer)]]

    def standard(self, x: Tensor, mask: Tensor) -> Tokens:
        """Tokens of states: (B, N, D), or pooled (B, L, D) of L layers; with a mask (B, N), N being 1 where pooled."""
        if self.every and self.layer in MIXED:
            x = nn.functional.layer_norm(x, x.shape[-1:])
            share = x.new_full((self.states,), 1 / self.states) if self.mix is None else self.mix.softmax(0)
            x = (x * share[:, None]).sum(1, keepdim=True)
        elif self.every:
            x = x[:, int(self.layer)][:, None]
        size = x.square().mean(-1, keepdim=True).clamp_min(LEAST).rsqrt()
        return Tokens(x * size * mask[..., None], mask)


class Pretrained(Reader):
    """Runs a frozen network once over each cell and keeps its hidden states in 16 bits: pooled (L, D), or with `tokens` those
    of one layer (N, D)."""

    def __init__(
        self, *, modality: str, weights: str, sha256: str, config: str, layer: int | str, tokens: bool
    ) -> None:
        every = (
            layer != "last" and not tokens
        )  # one shelf of pooled states for all but the last layer, which needs less
        super().__init__(
            modality=modality, weights=weights, sha256=sha256, config=config, layer=layer, tokens=tokens, every=every
        )
        self.nets, self.in_bf16 = (self.net,), self.about.get("plait_precision") == "bf16"
        self.preparation = {
            "kind": "frozen",
            "version": 3,
            "sha256": sha256,
            "modality": modality,
            "layer": "mix" if every else layer,
            "tokens": tokens,
            "pool": self.pool,
            **({"precision": "bf16"} if self.in_bf16 else {}),
        }

    @torch.inference_mode()
    def prepare(self, count: int, parts: Iterable[Part]) -> list[Prepared]:
        net = self.net.module()
        pieces: list[list[tuple[float, np.ndarray]]] = [[] for _ in range(count)]
        for part in parts:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.in_bf16):
                kept = [states.float() for states in self.run(net, part.inputs)]
            for b, owner in enumerate(part.owners):
                size = part.counts[b] if part.counts else kept[0].shape[1]
                begin = part.begins[b] if part.begins else 0.0
                pieces[owner].append((begin, torch.stack([h[b, part.skip : size] for h in kept]).numpy()))
        return [self._kept([states for _, states in sorted(p, key=lambda piece: piece[0])]) for p in pieces]

    def _kept(self, windows: Sequence[np.ndarray]) -> Prepared:
        """Windows (L, N, D) of one cell."""
        if self.tokens:
            found = np.concatenate([w[0] for w in windows])
        elif self.pool in ("first", "last"):
            found = np.mean([w[:, 0 if self.pool == "first" else -1] for w in windows], 0)
        else:
            found = sum(w.sum(1) for w in windows) / sum(w.shape[1] for w in windows)
        return {"states": np.clip(found, -LARGEST, LARGEST).astype(np.float16)}

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        if self.tokens:
            return rows.pad(cells, "states", fill=0.0, shape=(self.width,), dtype=np.float16)
        return rows.stack(cells, states=np.zeros((self.states if self.every else 1, self.width), np.float16))

    def forward(self, inputs: Inputs) -> Tokens:
        x = inputs["states"].float()
        mask = rows.length_mask(inputs["lengths"], x.shape[1]) if self.tokens else inputs["present"][:, None]
        return self.standard(x, mask)
