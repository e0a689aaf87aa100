"""The training loop, on accelerate. Read `train` top to bottom."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.errors import OutputError, TrainingError
from plait.inference import answers
from plait.metrics import LOWER_IS_BETTER
from plait.model import Model
from plait.nn import rows as batches
from plait.objectives.base import Objective
from plait.preparation import Dataset
from plait.progress import Bar, Progress
from plait.training.checkpoint import Checkpoints, optimizer_tensors, restore_optimizer
from plait.training.options import Options
from plait.training.prefetch import prefetch
from plait.training.schedule import order, rate, step_seed
from plait.training.signals import Stop
from plait.types import Batch

SAVE_SECONDS = 60.0
INTERRUPTED, LATE = CUT = "interrupted", "time limit"  # why a run ended before it was over


@dataclass
class Speed:
    """How fast an epoch went, and how much of it was waiting for data."""

    began: float = field(default_factory=time.perf_counter)
    rows: int = 0
    waited: float = 0.0
    seconds: float = 1e-9

    def count(self, rows: int, waited: float) -> None:
        self.rows, self.waited, self.seconds = self.rows + rows, self.waited + waited, time.perf_counter() - self.began

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds


@dataclass
class State:
    """Where a run stands."""

    step: int = 0
    best_score: float = -np.inf
    best_epoch: int = -1
    history: list[dict[str, Any]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # of the steps of the epoch that is running
    stopped: str | None = None  # why a run ended before its last epoch
    speeds: list[Speed] = field(default_factory=list)  # of the epochs run in this process; never saved: bytes repeat


def train(
    model: Model,
    objective: Objective,
    data: Dataset,
    *,
    train_rows: np.ndarray,
    valid_rows: np.ndarray,
    options: Options,
    seed: int,
    checkpoints: Checkpoints | None,
    deadline: float | None,
    progress: Progress,
    stop: Stop | None = None,
    save_seconds: float = SAVE_SECONDS,
) -> State:
    """Trains the model in place and leaves the weights of its best epoch in it. `deadline`: a time.monotonic(). With a
    deadline or after Ctrl-C the run stops early, with the best weights so far; after SIGTERM it ends with a checkpoint."""
    stop = stop or Stop()
    accelerator, precision = _accelerator(options.precision)
    model.to(accelerator.device)
    data.targets = {t: y.to(accelerator.device) for t, y in data.targets.items()}
    run = _Run(
        accelerator,
        model,
        objective,
        data,
        options,
        checkpoints,
        seed=seed,
        stop=stop,
        steps=-(-len(train_rows) // options.batch_size),
        epochs=options.epochs_for(len(train_rows)),
    )
    patience = options.patience or max(5, run.epochs // 3)
    state = run.resume()
    if state.step:
        progress.say(f"Going on from step {state.step} of {run.epochs * run.steps}.")
    progress.say(
        f"Training: {len(train_rows)} rows, {run.epochs} epochs of {run.steps} steps, {precision} on "
        f"{accelerator.device}, {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters"
    )
    bar = progress.bar("Training", run.epochs * run.steps, unit="steps", start=state.step)
    with stop.interruptible(), torch.random.fork_rng(), bar as advance:
        try:
            for epoch in range(len(state.history), run.epochs):
                if state.stopped:
                    break
                rows = np.array_split(order(train_rows, seed=seed, epoch=epoch), run.steps)
                cut = run.epoch(state, rows[state.step - epoch * run.steps :], deadline, save_seconds, advance)
                run.end_epoch(state, epoch, valid_rows, patience)
                if not cut or state.step % run.steps == 0:
                    run.save(state, every=0)
                state.stopped = cut or (INTERRUPTED if stop.interrupted else state.stopped)
                if not progress.terminal and (
                    epoch % max(1, run.epochs // 8) == 0 or state.stopped or epoch + 1 == run.epochs
                ):
                    progress.say(f"  epoch {epoch + 1}/{run.epochs}: {_note(state, state.speeds[-1].rows_per_second)}")
        except SystemExit:  # SIGTERM
            if state.stopped not in CUT and state.step >= len(state.history) * run.steps:  # not a half epoch judged
                run.save(state, every=0)
            progress.say(f"Terminated after step {state.step}. Call again with the same arguments to go on.")
            raise
    run.keep_best()
    model.eval()
    return state


class _Run:
    """What a run holds besides where it stands: parts, optimizer, checkpoints, and the weights of the best epoch."""

    def __init__(
        self,
        accelerator: Any,
        model: Model,
        objective: Objective,
        data: Dataset,
        options: Options,
        checkpoints: Checkpoints | None,
        *,
        seed: int,
        stop: Stop,
        steps: int,
        epochs: int,
    ) -> None:
        self.stop = stop
        self.accelerator, self.model, self.objective, self.data = accelerator, model, objective, data
        self.options, self.checkpoints, self.seed, self.steps, self.epochs = options, checkpoints, seed, steps, epochs
        self.optimizer = _optimizer(model, options)
        self.wrapped = accelerator.prepare_model(model)
        self.names: dict[Tensor, str] = {p: n for n, p in model.named_parameters()}
        self.best: dict[str, Tensor] = {}
        self.saved = time.monotonic()

    def epoch(
        self, state: State, todo: list[np.ndarray], deadline: float | None, save_seconds: float, bar: Bar
    ) -> str | None:
        """The steps of one epoch, or those that are left of it. Returns why it was cut short, if it was: then there is a
        checkpoint from which a run without limit goes on, before the half epoch is judged."""
        speed = Speed()
        state.speeds.append(speed)
        for batch, rows, wait in prefetch(self.data, todo):
            with self.stop.held():
                self.advance(state, batch, rows)
            speed.count(len(rows), wait)
            bar.advance(note=_note(state, speed.rows_per_second))
            late = deadline is not None and time.monotonic() > deadline
            if late or self.stop.interrupted:
                if state.step % self.steps:
                    self.save(state, every=0)
                return LATE if late else INTERRUPTED
            if state.step % self.steps:
                self.save(state, every=save_seconds)
        return None

    def advance(self, state: State, batch: Batch, rows: np.ndarray) -> None:
        """One step. Every random draw in it follows from the seed and the step."""
        torch.manual_seed(step_seed(self.seed, state.step))
        options = self.options
        for group in self.optimizer.param_groups:
            group["lr"] = rate(state.step, self.epochs * self.steps, peak=options.learning_rate, warmup=options.warmup)
        batch = vary(self.model, _moved(batch, self.accelerator.device), options.modality_dropout)
        with self.accelerator.autocast():
            losses = self.objective(self.wrapped(batch))
        total = torch.stack(list(losses.values())).sum()
        self.accelerator.backward(total)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), options.clip)
        state.losses.append(_finite(total, norm, state.step, rows))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        state.step += 1

    def end_epoch(self, state: State, epoch: int, valid_rows: np.ndarray, patience: int) -> None:
        """Validates, keeps the weights when they are as good as the best so far, and decides whether to go on. As good:
        within one standard error, so that a lucky epoch early on does not win over a trained model (the one-standard-error
        rule of Breiman et al. 1984, in favour of more training). Without validation rows the last weights are kept."""
        _finite_weights(self.model.state_dict(), state.step)
        entry = {
            "epoch": epoch,
            "loss": float(np.mean(state.losses)) if state.losses else None,
            **_validate(self.model, self.data, valid_rows, self.options),
        }
        with self.stop.held():
            state.losses = []
            state.history.append(entry)
            if entry["score"] is None or entry["score"] >= state.best_score - entry["slack"]:
                state.best_score = -np.inf if entry["score"] is None else max(state.best_score, entry["score"])
                state.best_epoch = epoch
                self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
            if valid_rows.size and epoch - state.best_epoch >= patience and not state.stopped:
                state.stopped = f"no better {entry['watched']} for {patience} epochs"

    def resume(self) -> State:
        """Where the last checkpoint stands. Written with other data, it stands at the beginning of its epoch, with
        nothing judged yet."""
        found = self.checkpoints.latest() if self.checkpoints else None
        if found is None:
            return State()
        self.model.load_state_dict(found.tensors["model"])
        restore_optimizer(self.optimizer, self.names, found.tensors["optimizer"])
        score = found.state["best_score"]
        state = State(**{**found.state, "best_score": -np.inf if score is None else score})
        if found.same_data:
            self.best = found.tensors.get("best", {})
            return state
        done = len(state.history)
        return State(step=done * self.steps, best_epoch=done - 1, history=state.history)

    def save(self, state: State, *, every: float) -> None:
        """A checkpoint, when the last is more than `every` seconds old. When it cannot be written, the one before it is
        still there, and training goes on with a warning. Raises TrainingError."""
        if time.monotonic() - self.saved < every:
            return
        weights = self.model.state_dict()
        _finite_weights(weights, state.step)
        self.saved = time.monotonic()
        if self.checkpoints is None:
            return
        tensors = {"model": weights, "optimizer": optimizer_tensors(self.optimizer, self.names)}
        if self.best:
            tensors["best"] = self.best
        score = state.best_score if np.isfinite(state.best_score) else None
        kept = {k: v for k, v in vars(state).items() if k != "speeds"}
        with self.stop.held():
            try:
                self.checkpoints.save(state.step, tensors, {**kept, "best_score": score})
            except OutputError as error:
                warnings.warn(f"No checkpoint of step {state.step}. {error}", RuntimeWarning, stacklevel=2)
            self.saved = time.monotonic()

    def keep_best(self) -> None:
        if self.best:
            self.model.load_state_dict(self.best)


def vary(model: Model, batch: Batch, dropout: float) -> Batch:
    """A training batch: each column augmented, and present cells hidden with chance `dropout` (modality dropout; Neverova
    et al. 2016). A row that would be hidden altogether is shown whole."""
    inputs = batch["inputs"]
    first = next(iter(inputs.values()))
    size, device = len(first[_mark(first)]), first[_mark(first)].device
    keep = torch.rand(len(inputs), size, device=device) >= dropout
    here = torch.stack([i[_mark(i)] > 0 for i in inputs.values()])
    keep = keep | ~(keep & here).any(0)
    varied = {c: model.encoders[c].augment(batches.drop(i, keep[n])) for n, (c, i) in enumerate(inputs.items())}
    return {**batch, "inputs": varied}


def _mark(inputs: dict[str, Tensor]) -> str:
    return "present" if "present" in inputs else "lengths"


def _validate(model: Model, data: Dataset, rows: np.ndarray, options: Options) -> dict[str, Any]:
    """Metrics of every target over the validation rows, the score that early stopping watches (higher is better), and
    how much of it is chance: one standard error, as of a share of so many rows."""
    if not rows.size:
        return {"score": None, "slack": 0.0, "watched": None}
    found = next(iter(answers(model, data, rows).values()))
    figures: dict[str, dict[str, float | None]] = {}
    shares, sizes = [], {}
    for target, answer in found.items():
        head = model.heads[target]
        known = head.known(data.targets[target][rows]).cpu().numpy()
        if not known.any():
            continue
        labels = data.targets[target][rows].cpu().numpy()[known]
        judged = head.judge(answer[known], labels, np.ones((1, int(known.sum()))))
        figures[target] = {name: float(v[0]) if np.isfinite(v[0]) else None for name, v in judged.items()}
        shares.append(head.share(figures[target]))
        sizes[target] = int(known.sum())
    if not figures:
        return {"score": None, "slack": 0.0, "watched": None, "valid": figures}
    target, first = next(iter(figures.items()))
    watched = options.metric or model.heads[target].metrics[0]
    value = first.get(watched)
    if len(figures) > 1 or value is None:
        loss = float(np.mean(shares))
        return {"score": -loss if np.isfinite(loss) else None, "slack": 0.0, "watched": "loss", "valid": figures}
    lower = watched in LOWER_IS_BETTER
    slack = 0.0 if lower else float(np.sqrt(max(0.0, value * (1 - value)) / sizes[target]))
    return {"score": -value if lower else value, "slack": slack, "watched": watched, "valid": figures}


def _accelerator(precision: str) -> tuple[Any, str]:
    """accelerate's handle on devices, and the precision it computes in. bf16 is chosen by what the chip can do."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState, PartialState

    for shared in (AcceleratorState, GradientState, PartialState):
        shared._reset_state()  # a second fit in one process may choose another precision
    if precision == "auto":
        able = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else torch.cpu._is_avx512_bf16_supported()
        precision = "bf16" if able else "fp32"
    return Accelerator(mixed_precision="bf16" if precision == "bf16" else "no"), precision


def _optimizer(model: Model, options: Options) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019); biases, norms and single vectors are not decayed."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": options.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.learning_rate, fused=True)


def _moved(batch: Batch, device: torch.device) -> Batch:
    return {
        "inputs": {c: {k: t.to(device, non_blocking=True) for k, t in i.items()} for c, i in batch["inputs"].items()},
        "targets": batch["targets"],
    }


def _finite(total: Tensor, norm: Tensor, step: int, rows: np.ndarray) -> float:
    loss = total.item()
    if not np.isfinite(loss) or not np.isfinite(float(norm)):
        raise TrainingError(
            f"Training broke at step {step}: loss {loss:g}, norm of the gradient {float(norm):g}, rows "
            f"{rows.tolist()[:64]}. Lower the learning rate, or look at these rows."
        )
    return loss


def _finite_weights(weights: dict[str, Tensor], step: int) -> None:
    broken = [n for n, w in weights.items() if w.is_floating_point() and not bool(torch.isfinite(w).all())]
    if broken:
        raise TrainingError(
            f"Training broke at step {step - 1}: {len(broken)} weights are not finite after it, the first {broken[0]}. "
            f"Lower the learning rate."
        )


def _note(state: State, speed: float) -> str:
    loss = f"loss {np.mean(state.losses[-20:]):.3f}" if state.losses else ""
    last = state.history[-1] if state.history else {}
    if not loss and last.get("loss") is not None:
        loss = f"loss {last['loss']:.3f}"
    shown = [
        f"{figures[last['watched']]:.3f}"
        for figures in last.get("valid", {}).values()
        if figures.get(last.get("watched")) is not None
    ]
    return f"{loss}  {'valid ' + str(last['watched']) + ' ' + ', '.join(shown) if shown else ''}  {speed:.0f} rows/s"
