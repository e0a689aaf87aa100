"""A pretrained network that is trained on: whole ("full"), or by small corrections to its layers ("lora")."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from plait.errors import PlaitError, unknown
from plait.nn import lora, rows, towers
from plait.nn.named import Named
from plait.nn.pretrained import MIXED, Pretrained, Reader, made
from plait.nn.processing import Packed, Part
from plait.types import Inputs, Prepared, Tokens

KINDS = ("frozen", "lora", "full")
RATES = {"lora": 0.25, "full": 0.05}  # of the learning rate of the rest: what is learned already is moved with care
AT_ONCE = 32  # rows that go through a network together where nothing is learned

_LOCK = threading.Lock()


@dataclass(frozen=True)
class Tune:
    """How much of a network is trained. "frozen": nothing. "lora": corrections of a `rank` to its linear layers (Hu et al.
    2022). "full": all of it, each layer by `layer_decay` times the learning rate of the one above (Howard & Ruder 2018;
    Clark et al. 2020). `checkpointing`: less memory for more time (Chen et al. 2016). Raises PlaitError."""

    kind: str = "frozen"
    rank: int = 8
    layer_decay: float = 0.9
    checkpointing: bool = False

    def __post_init__(self) -> None:
        check(self.kind)
        if not isinstance(self.rank, int) or isinstance(self.rank, bool) or self.rank < 1:
            raise PlaitError(f"rank is {self.rank!r}; expected a whole number from 1.")
        decay = self.layer_decay
        if not isinstance(decay, (int, float)) or isinstance(decay, bool) or not 0 < decay <= 1:
            raise PlaitError(f"layer_decay is {decay!r}; expected a number above 0, at most 1, which is none.")
        if not isinstance(self.checkpointing, bool):
            raise PlaitError(f"checkpointing is {self.checkpointing!r}; expected true or false.")


def check(kind: str) -> str:
    """Raises UnknownNameError where nothing is tuned so."""
    if kind not in KINDS:
        raise unknown("tune", kind, KINDS)
    return kind


def reader(
    *,
    modality: str,
    weights: str,
    sha256: str,
    config: str,
    layer: int | str,
    tokens: bool,
    tune: Tune,
    cells: Packed,
) -> Reader:
    """The network of an encoder. `cells`: what makes its cells ready."""
    if tune.kind == "frozen":
        return Pretrained(modality=modality, weights=weights, sha256=sha256, config=config, layer=layer, tokens=tokens)
    return Tuned(
        modality=modality,
        weights=weights,
        sha256=sha256,
        config=config,
        layer=layer,
        tokens=tokens,
        tune=tune,
        cells=cells,
    )


class Tuned(Reader):
    """Keeps what the network takes of each cell, and runs it whenever tokens are asked for, with gradients. Batch statistics
    within it stay those of its weights."""

    def __init__(
        self,
        *,
        modality: str,
        weights: str,
        sha256: str,
        config: str,
        layer: int | str,
        tokens: bool,
        tune: Tune,
        cells: Packed,
    ) -> None:
        every = layer in MIXED
        super().__init__(
            modality=modality, weights=weights, sha256=sha256, config=config, layer=layer, tokens=tokens, every=every
        )
        self.cells, self.checkpointing = cells, tune.checkpointing
        self.preparation = {"kind": "inputs", "version": 1, "modality": modality}
        self.low: Named[lora.Low] | None = None
        self.body: nn.Module | None = None
        self._attached: tuple[
            nn.Module, ...
        ] = ()  # the network with corrections; in a tuple it is no part of this module
        if tune.kind == "lora":
            self.low = lora.corrections(self.about["plait_lora"], tune.rank)
            self.nets = (self.net,)
            self.rates = {name: RATES["lora"] for name, _ in self.named_parameters() if name.startswith("low.")}
        else:
            self.body = self._steady(made(self.config, None))
            for name, parameter in self.body.named_parameters():
                if lora.UNUSED & set(name.split(".")) or name.endswith(towers.UNUSED):
                    parameter.requires_grad_(False)
            self.starts = (self,)
            below = towers.depths(self.body).items()
            self.rates = {f"body.{name}": RATES["full"] * float(tune.layer_decay) ** n for name, n in below}

    def begin(self) -> None:
        """The whole network takes the weights it begins from. Raises FetchError, PlaitError where these are not here."""
        assert self.body is not None
        self.body.load_state_dict(self.net.fresh().state_dict())

    def _steady(self, net: nn.Module) -> nn.Module:
        """The network with nothing in its training that draws from elsewhere than torch, or leaves out a layer."""
        about = getattr(net, "config", None)
        for name, value in (("apply_spec_augment", False), ("layerdrop", 0.0)):
            if about is not None and hasattr(about, name):
                setattr(about, name, value)
        return towers.checkpointed(net) if self.checkpointing else net

    def _network(self, device: torch.device) -> nn.Module:
        """On this device, in the mode of this module."""
        if self.body is not None:
            net = self.body
        else:
            net = self.net.module(own=True)
            with _LOCK:
                if self._attached != (net,):
                    assert self.low is not None
                    lora.attach(self._steady(net), self.low)
                    self._attached = (net,)
                if next(net.parameters()).device != device:
                    net.to(device)
        net.train(self.training)
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return net

    def prepare(self, count: int, parts: Iterable[Part]) -> list[Prepared]:
        packing = self.cells.packing
        pieces: list[list[tuple[float, int, np.ndarray, bool]]] = [[] for _ in range(count)]
        for part in parts:
            x = part.inputs[packing.name]
            for b, owner in enumerate(part.owners):
                size = part.counts[b] if part.counts else 0
                piece = x if packing.alone else x[b, :size] if packing.masked else x[b]
                longer = bool(part.inputs["is_longer"][b]) if packing.longer else False
                begin = part.begins[b] if part.begins else 0.0
                pieces[owner].append((begin, size, packing.pack(piece), longer))
        return [self._kept(sorted(p, key=lambda piece: piece[0])) for p in pieces]

    def _kept(self, pieces: Sequence[tuple[float, int, np.ndarray, bool]]) -> Prepared:
        """All numbers of a cell's windows in a row, their shapes, and how many tokens of each are real, where not all are."""
        return {
            "values": np.concatenate([x.reshape(-1) for _, _, x, _ in pieces]),
            "shapes": np.array([x.shape for _, _, x, _ in pieces], np.int32),
            "counts": np.array([size for _, size, _, _ in pieces], np.int32),
            "longer": np.array([longer for _, _, _, longer in pieces]),
        }

    def collate(self, cells: Sequence[Prepared | None]) -> Inputs:
        """The windows of all cells (R, ...), padded, with "owner" (R,), the row of each; in "present" (B,) who has any."""
        found, owners = [c for c in cells if c is not None], [b for b, c in enumerate(cells) if c is not None]
        blank = {"shapes": np.ones((0, 1), np.int32), "counts": np.zeros(0, np.int32), "longer": np.zeros(0, bool)}
        kept = {k: np.concatenate([c[k] for c in found] or [v]) for k, v in blank.items()}
        shapes = kept["shapes"].astype(np.int64)
        kind = found[0]["values"].dtype if found else np.dtype(np.uint8)
        values = np.zeros((len(shapes), *shapes.max(0, initial=1)), kind)
        place = 0
        for cell in found:
            ends = np.cumsum(cell["shapes"].prod(1))
            for shape, piece in zip(cell["shapes"].tolist(), np.split(cell["values"], ends[:-1])):
                values[place][tuple(slice(s) for s in shape)] = piece.reshape(shape)
                place += 1
        return {
            "values": torch.from_numpy(values),
            "shapes": torch.from_numpy(shapes),
            "counts": torch.from_numpy(kept["counts"].astype(np.int64)),
            "longer": torch.from_numpy(kept["longer"]),
            "owner": torch.from_numpy(np.repeat(owners, [len(c["counts"]) for c in found]).astype(np.int64)),
            "present": torch.tensor([c is not None for c in cells]),
        }

    def forward(self, inputs: Inputs) -> Tokens:
        present, owner = inputs["present"], inputs["owner"]
        net, groups = self._network(present.device), list(self._groups(inputs))
        layers = self.states if self.every else 1
        total = torch.zeros(len(present), layers, self.width, device=present.device)
        weight = torch.zeros(len(present), device=present.device)
        if not groups:  # gradients are zero then, not missing
            total = total + 0 * sum((p.sum() for p in self.parameters()), weight.sum())
            return self.standard(total, torch.zeros_like(present)[:, None])
        if self.tokens:
            return self.standard(*_joined([(g, *self._ran(net, inputs, g)) for g in groups], owner, len(present)))
        for group in groups:
            found, share = self._pooled(*self._ran(net, inputs, group))
            total, weight = total.index_add(0, owner[group], found), weight.index_add(0, owner[group], share)
        return self.standard(total / weight.clamp(min=1)[:, None, None], present[:, None])

    def _groups(self, inputs: Inputs) -> Iterator[Tensor]:
        """The windows that are present, those that may go through the network together."""
        packing, shapes = self.cells.packing, inputs["shapes"]
        here = inputs["present"][inputs["owner"]].nonzero().squeeze(1)
        if not len(here):
            return
        if packing.masked:
            groups = [here]
        else:
            _, which = shapes[here].unique(dim=0, return_inverse=True)
            groups = [here[which == i] for i in range(int(which.max()) + 1)]
        for group in groups:
            yield from group.split(1 if packing.alone else len(group) if torch.is_grad_enabled() else AT_ONCE)

    def _ran(self, net: nn.Module, inputs: Inputs, place: Tensor) -> tuple[Tensor, Tensor]:
        """Windows at `place` (r,) -> their states (r, L, N, D), without those that say nothing; how many of the N are real."""
        packing, counts = self.cells.packing, inputs["counts"][place]
        size = [slice(int(s)) for s in inputs["shapes"][place].amax(0)]
        x = packing.unpack(inputs["values"][place][(slice(None), *size)])
        given = {packing.name: x[0] if packing.alone else x}
        if packing.masked:
            given["attention_mask"] = rows.length_mask(counts, x.shape[1]).long()
        if packing.longer:
            given["is_longer"] = inputs["longer"][place][:, None]
        states = torch.stack([h.float() for h in self.run(net, given)], 1)
        real = torch.where(counts > 0, counts, states.shape[2])
        return states[:, :, packing.skip :], real - packing.skip

    def _pooled(self, states: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """(r, L, N, D), (r,) -> what each window adds to its cell (r, L, D), and how much it counts (r,)."""
        if self.pool == "mean":
            real = rows.length_mask(counts, states.shape[2])[:, None, :, None]
            return (states * real).sum(2), counts.to(states)
        last = torch.arange(len(states), device=states.device), slice(None), counts - 1
        return (states[:, :, 0] if self.pool == "first" else states[last]), torch.ones_like(counts).to(states)


def _joined(ran: Sequence[tuple[Tensor, Tensor, Tensor]], owner: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The tokens of each cell's windows one after the other (B, N, D), and their mask (B, N)."""
    counts = torch.zeros_like(owner)
    for place, _, real in ran:
        counts[place] = real
    whole = torch.zeros(size, dtype=counts.dtype, device=counts.device).index_add(0, owner, counts)
    begins = counts.cumsum(0) - counts - (whole.cumsum(0) - whole)[owner]
    most = max(1, int(whole.max()))
    x = ran[0][1].new_zeros(size, most, ran[0][1].shape[-1])
    for place, states, real in ran:
        mask = rows.length_mask(real, states.shape[2])
        step = torch.arange(mask.shape[1], device=mask.device)
        row, column = owner[place][:, None].expand(mask.shape)[mask], (begins[place][:, None] + step)[mask]
        x = x.index_put((row, column), states[:, 0][mask])
    return x, rows.length_mask(whole, most)
