"""The training loop, on accelerate. Read `train` top to bottom."""
from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.errors import TrainingError
from plait.inference import answers
from plait.metrics import LOWER_IS_BETTER
from plait.model import Model
from plait.nn import rows as batches
from plait.objectives.base import Objective
from plait.preparation import Dataset
from plait.progress import Progress
from plait.training.checkpoint import Checkpoints, optimizer_tensors, restore_optimizer
from plait.training.options import Options
from plait.training.schedule import order, rate, step_seed
from plait.types import Batch

SAVE_SECONDS = 60.0
RESTORE_HIDDEN = 0.9  # of the rows in which every cell was hidden, the share that is shown whole again


@dataclass
class State:
    """Where a run stands."""

    step: int = 0
    best_score: float = -np.inf
    best_epoch: int = -1
    history: list[dict[str, Any]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # of the steps of the epoch that is running
    stopped: str | None = None  # why a run ended before its last epoch


def train(model: Model, objective: Objective, data: Dataset, *, train_rows: np.ndarray, valid_rows: np.ndarray,
          options: Options, seed: int, checkpoints: Checkpoints | None, deadline: float | None,
          progress: Progress, save_seconds: float = SAVE_SECONDS) -> State:
    """Trains the model in place and leaves the weights of its best epoch in it. `deadline`: a time.monotonic(). With a
    deadline or after Ctrl-C the run stops early, with the best weights so far."""
    accelerator, precision = _accelerator(options.precision)
    model.to(accelerator.device)
    data.targets = {t: y.to(accelerator.device) for t, y in data.targets.items()}
    optimizer = _optimizer(model, options)
    wrapped = accelerator.prepare_model(model)
    run = _Run(model, optimizer, checkpoints, options)
    epochs = options.epochs_for(len(train_rows))
    steps = -(-len(train_rows) // options.batch_size)
    patience = options.patience or max(5, epochs // 3)
    state = run.resume()
    if state.step:
        progress.say(f"Going on from step {state.step} of {epochs * steps}.")
    progress.say(f"Training: {len(train_rows)} rows, {epochs} epochs of {steps} steps, {precision} on "
                 f"{accelerator.device}, {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters")
    saved = time.monotonic()
    with _interruptible() as interrupted, torch.random.fork_rng(enabled=True), \
            progress.bar("Training", epochs * steps, unit="steps", start=state.step) as bar:
        for epoch in range(state.step // steps, epochs):
            if state.stopped:
                break
            began, waited, seen = time.perf_counter(), 0.0, 0
            todo = np.array_split(order(train_rows, seed=seed, epoch=epoch), steps)[state.step % steps:]
            for batch, chosen, wait in _prefetch(data, todo):
                torch.manual_seed(step_seed(seed, state.step))
                for group in optimizer.param_groups:
                    group["lr"] = rate(state.step, epochs * steps, peak=options.learning_rate, warmup=options.warmup)
                batch = vary(model, _moved(batch, accelerator.device), options.modality_dropout)
                with accelerator.autocast():
                    losses = objective(wrapped(batch))
                total = torch.stack(list(losses.values())).sum()
                accelerator.backward(total)
                norm = accelerator.clip_grad_norm_(model.parameters(), options.clip)
                state.losses.append(_finite(total, norm, state.step, chosen))
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                state.step += 1
                waited, seen = waited + wait, seen + len(chosen)
                bar.advance(note=_note(state, seen / (time.perf_counter() - began)))
                late = deadline is not None and time.monotonic() > deadline
                if late or interrupted():
                    state.stopped = "time limit" if late else "interrupted"
                    break
                if time.monotonic() - saved > save_seconds and state.step % steps:
                    run.save(state)
                    saved = time.monotonic()
            seconds = time.perf_counter() - began
            entry = {"epoch": epoch, "loss": float(np.mean(state.losses)) if state.losses else None,
                     "seconds": seconds, "rows_per_second": seen / seconds, "data_wait": waited / seconds}
            entry.update(_validate(model, data, valid_rows, options))
            state.losses = []
            state.history.append(entry)
            run.judge(state, entry, epoch)
            if valid_rows.size and epoch - state.best_epoch >= patience and not state.stopped:
                state.stopped = f"no better {entry['watched']} for {patience} epochs"
            run.save(state)
            saved = time.monotonic()
            if not progress.terminal and (epoch % max(1, epochs // 8) == 0 or state.stopped or epoch == epochs - 1):
                progress.say(f"  epoch {epoch + 1}/{epochs}: {_note(state, entry['rows_per_second'])}")
    run.keep_best()
    model.eval()
    return state


class _Run:
    """The weights of the best epoch, and what it takes to go on later."""

    def __init__(self, model: Model, optimizer: torch.optim.Optimizer, checkpoints: Checkpoints | None,
                 options: Options) -> None:
        self.model, self.optimizer, self.checkpoints = model, optimizer, checkpoints
        self.names: dict[Tensor, str] = {p: n for n, p in model.named_parameters()}
        self.best: dict[str, Tensor] = {}

    def resume(self) -> State:
        found = self.checkpoints.latest() if self.checkpoints else None
        if found is None:
            return State()
        tensors, state = found
        self.model.load_state_dict(tensors["model"])
        restore_optimizer(self.optimizer, self.names, tensors["optimizer"])
        self.best = tensors.get("best", {})
        return State(**{**state, "best_score": -np.inf if state["best_score"] is None else state["best_score"]})

    def save(self, state: State) -> None:
        if self.checkpoints is None:
            return
        tensors = {"model": self.model.state_dict(), "optimizer": optimizer_tensors(self.optimizer, self.names)}
        if self.best:
            tensors["best"] = self.best
        score = state.best_score if np.isfinite(state.best_score) else None
        self.checkpoints.save(state.step, tensors, {**vars(state), "best_score": score})

    def judge(self, state: State, entry: dict[str, Any], epoch: int) -> None:
        """Keeps the weights when they are the best so far; without validation rows the last are."""
        if entry["score"] is None or entry["score"] > state.best_score:
            state.best_score = -np.inf if entry["score"] is None else entry["score"]
            state.best_epoch = epoch
            self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}

    def keep_best(self) -> None:
        if self.best:
            self.model.load_state_dict(self.best)


def vary(model: Model, batch: Batch, dropout: float) -> Batch:
    """A training batch: each column augmented, and present cells hidden with chance `dropout` (modality dropout; Neverova
    et al. 2016). Where every cell of a row was hidden, nine in ten rows are shown whole: the rest teach the prior."""
    inputs = batch["inputs"]
    size, device = len(next(iter(inputs.values()))[_mark(next(iter(inputs.values())))]), model.top.null.device
    keep = torch.rand(len(inputs), size, device=device) >= dropout
    here = torch.stack([i[_mark(i)] > 0 for i in inputs.values()])
    whole = ~(keep & here).any(0) & (torch.rand(size, device=device) < RESTORE_HIDDEN)
    keep = keep | whole
    varied = {c: model.encoders[c].augment(batches.drop(i, keep[n])) for n, (c, i) in enumerate(inputs.items())}
    return {**batch, "inputs": varied}


def _mark(inputs: dict[str, Tensor]) -> str:
    return "present" if "present" in inputs else "lengths"


def _validate(model: Model, data: Dataset, rows: np.ndarray, options: Options) -> dict[str, Any]:
    """Metrics of every target over the validation rows, and the one score that early stopping watches (higher is
    better; ties are broken by the loss)."""
    if not rows.size:
        return {"score": None, "watched": None}
    found = next(iter(answers(model, data, rows).values()))
    figures, scores, losses = {}, [], []
    for target, answer in found.items():
        head = model.heads[target]
        known = head.known(data.targets[target][rows]).cpu().numpy()
        if not known.any():
            continue
        labels = data.targets[target][rows].cpu().numpy()[known]
        judged = head.judge(answer[known], labels, np.ones((1, int(known.sum()))))
        figures[target] = {name: float(v[0]) for name, v in judged.items()}
        metric = options.metric if options.metric in judged else head.metrics[0]
        scores.append(figures[target][metric] * (-1 if metric in LOWER_IS_BETTER else 1))
        losses.append(figures[target].get("log_loss", figures[target].get("rmse", 0.0)))
    if not scores:
        return {"score": None, "watched": None, "valid": figures}
    loss = float(np.mean(losses))
    single = len(scores) == 1 and options.metric != "loss" and np.isfinite(scores[0])
    watched = (options.metric or model.heads[next(iter(figures))].metrics[0]) if single else "loss"
    return {"score": scores[0] - 1e-3 * loss if single else -loss, "watched": watched, "valid": figures}


def _prefetch(data: Dataset, todo: list[np.ndarray]) -> Iterator[tuple[Batch, np.ndarray, float]]:
    """Batches, the next ones being put together in a thread; with the seconds each was waited for."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=2)
    stop = threading.Event()

    def put(item: Any) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.2)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for rows in todo:
                put((data.batch(rows), rows))
            put(None)
        except BaseException as error:  # handed over to the loop
            put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            began = time.perf_counter()
            item = ready.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield *item, time.perf_counter() - began
    finally:
        stop.set()
        thread.join()


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
    return {"inputs": {c: {k: t.to(device, non_blocking=True) for k, t in i.items()} for c, i in batch["inputs"].items()},
            "targets": batch["targets"]}


def _finite(total: Tensor, norm: Tensor, step: int, rows: np.ndarray) -> float:
    loss = total.item()
    if not np.isfinite(loss) or not np.isfinite(float(norm)):
        raise TrainingError(f"Training broke at step {step}: loss {loss:g}, norm of the gradient {float(norm):g}, rows "
                            f"{rows.tolist()[:64]}. Lower the learning rate, or look at these rows.")
    return loss


def _note(state: State, speed: float) -> str:
    loss = f"loss {np.mean(state.losses[-20:]):.3f}" if state.losses else ""
    last = state.history[-1] if state.history else {}
    if not loss and last.get("loss") is not None:
        loss = f"loss {last['loss']:.3f}"
    shown = [f"{metrics_of[last['watched']]:.3f}" for metrics_of in last.get("valid", {}).values()
             if last.get("watched") in metrics_of]
    return f"{loss}  {'valid ' + str(last['watched']) + ' ' + ', '.join(shown) if shown else ''}  {speed:.0f} rows/s"


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C is noted, and the loop ends after its step; the second one is as usual."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return

    def note(*_: Any) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
