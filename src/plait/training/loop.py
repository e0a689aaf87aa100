"""The training loop, on accelerate. Read `train` top to bottom."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.errors import OutputError, PlaitError
from plait.model import Model
from plait.objectives.base import Objective
from plait.preparation import Dataset
from plait.progress import Bar, Progress
from plait.training import blending, mixing, optimizers, sharding
from plait.training.averages import Soup, Weights, copied, moved
from plait.training.balance import Modulation, shown
from plait.training.checkpoint import Checkpoints, optimizer_tensors, restore_optimizer
from plait.training.curriculum import row_lengths
from plait.training.depth import set_depth
from plait.training.finite import finite, finite_weights
from plait.training.initial import initialise
from plait.training.options import Options
from plait.training.parallel import ALONE, Team
from plait.training.prefetch import prefetch
from plait.training.schedule import order, planned, step_seed
from plait.training.signals import TERMINATED, Stop
from plait.training.state import Speed, State
from plait.training.step import accelerator_for, attached, gradient, seeded
from plait.training.tracking import Log
from plait.training.validation import validate
from plait.types import Batch

SAVE_SECONDS = 60.0
INTERRUPTED, LATE = CUT = "interrupted", "time limit"  # why a run ended before it was over


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
    team: Team = ALONE,
    log: Log | None = None,
) -> State:
    """Trains the model in place and leaves the weights of its best epoch in it. `deadline`: a time.monotonic(). With a
    deadline or after Ctrl-C the run stops early, with the best weights so far; after SIGTERM it ends with a checkpoint.
    Several processes, a `team`, take their share of each step; the first has the checkpoints, and says when to stop.
    Raises PlaitError where the options ask for what the model, torch or the rows do not have."""
    options.check(valid=len(valid_rows))
    mixing.check(model, options)
    set_depth(model, options)
    stop, log = stop or Stop(), log or Log()
    accelerator, precision = accelerator_for(options.precision, team)
    with attached(model, objective):
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
            team=team,
            log=log,
            train_rows=train_rows,
            valid_rows=valid_rows,
        )
        state = run.resume()
        if state.step:
            progress.say(f"Going on from step {state.step} of {run.epochs * run.steps}.")
        progress.say(
            f"Training: {len(train_rows)} rows, {run.epochs} epochs of {run.steps} steps, {precision} on "
            f"{accelerator.device}, {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters"
            + (f", {team.size} processes" if team.several else "")
        )
        with log.kept({"seed": seed, **options.to_json()}, epoch=len(state.history)):
            run.all_epochs(state, deadline, save_seconds, progress)
        run.stir(state, progress)
        run.keep_best()
        state.shares = objective.shares()
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
        team: Team,
        log: Log,
        train_rows: np.ndarray,
        valid_rows: np.ndarray,
    ) -> None:
        self.stop, self.team, self.log = stop, team, log
        self.accelerator, self.model, self.objective, self.data = accelerator, model, objective, data
        self.options, self.checkpoints, self.seed = options, checkpoints, seed
        self.train_rows, self.valid_rows = train_rows, valid_rows
        self.steps, self.epochs = -(-len(train_rows) // options.step_rows), options.epochs_for(len(train_rows))
        self.patience = options.patience_for(self.epochs)
        team.check(len(train_rows), self.steps)
        self.trained = model  # or, where each process has a part of the weights only, the parts
        if options.shard and team.several:
            _check_whole(objective)
            self.trained = sharding.in_parts(model)
            self.objective = self.trained.get_submodule(optimizers.OBJECTIVE)  # type: ignore[assignment]
        self.optimizer = optimizers.build(self.trained, options, self.objective)
        self.wrapped = accelerator.prepare_model(
            self.trained, evaluation_mode=team.several
        )  # the team adds gradients up
        self.names: dict[Tensor, str] = {p: n for n, p in self.trained.named_parameters()}
        self.clipped = [p for p, n in self.names.items() if not n.startswith(f"{optimizers.OBJECTIVE}.")]
        self.best: Weights = {}
        self.average: Weights = {}  # of the weights over steps, where it is asked for
        self.own: Weights = {}  # of the model, while it holds an average
        self.soup = Soup(options.soup)
        self.saved = time.monotonic()

    def all_epochs(self, state: State, deadline: float | None, save_seconds: float, progress: Progress) -> None:
        """The epochs that are left, or as many as there is time for."""
        lengths = row_lengths(self.data, self.train_rows) if self.options.curriculum else None
        bar = progress.bar("Training", self.epochs * self.steps, unit="steps", start=state.step)
        held = self.stop.held() if self.team.several else nullcontext()  # until all know of a SIGTERM
        with held, self.stop.interruptible(), torch.random.fork_rng(), bar as advance:
            try:
                for epoch in range(len(state.history), self.epochs):
                    if state.stopped:
                        break
                    short = lengths if epoch < self.options.curriculum * self.epochs else None
                    drawn = order(self.train_rows, seed=self.seed, epoch=epoch, lengths=short)
                    rows = np.array_split(drawn, self.steps)[state.step - epoch * self.steps :]
                    cut = self.epoch(state, rows, deadline, save_seconds, advance)
                    self.end_epoch(state, epoch)
                    if not cut or state.step % self.steps == 0:
                        self.save(state, every=0)
                    state.stopped = cut or (INTERRUPTED if self.stop.interrupted else state.stopped)
                    if not progress.terminal and (
                        epoch % max(1, self.epochs // 8) == 0 or state.stopped or epoch + 1 == self.epochs
                    ):
                        note = _note(state, state.speeds[-1].rows_per_second)
                        progress.say(f"  epoch {epoch + 1}/{self.epochs}: {note}")
            except SystemExit:  # SIGTERM
                self.settle()
                whole = state.step >= len(state.history) * self.steps  # not a half epoch judged
                if state.stopped not in CUT and whole:
                    self.save(state, every=0)
                progress.say(f"Terminated after step {state.step}. Call again with the same arguments to go on.")
                raise

    def epoch(
        self, state: State, todo: list[np.ndarray], deadline: float | None, save_seconds: float, bar: Bar
    ) -> str | None:
        """The steps of one epoch, or those that are left of it. Returns why it was cut short, if it was: then there is a
        checkpoint from which a run without limit goes on, before the half epoch is judged."""
        speed = Speed()
        state.speeds.append(speed)
        for parts, rows, wait in prefetch(self.data, todo, size=self.options.batch_size, team=self.team):
            with self.stop.held():
                self.advance(state, parts, rows)
            speed.count(len(rows), wait)
            bar.advance(note=_note(state, speed.rows_per_second))
            late = deadline is not None and self.team.first and time.monotonic() > deadline
            late = self.agreed(late)
            if late or self.stop.interrupted:
                if state.step % self.steps:
                    self.save(state, every=0)
                return LATE if late else INTERRUPTED
            if state.step % self.steps:
                self.save(state, every=save_seconds)
        return None

    def agreed(self, late: bool) -> bool:
        """Whether it is late for all processes; signals that have come to one of them have come to all."""
        stop = self.stop
        late, stop.interrupted, stop.terminated = self.team.any(late, stop.interrupted, stop.terminated)
        if stop.terminated:
            raise SystemExit(TERMINATED)
        return late

    def advance(self, state: State, parts: list[Batch], rows: np.ndarray) -> None:
        """One step. Every random draw in it follows from the seed and the step."""
        seeded(step_seed(self.seed, state.step, self.team.rank), self.accelerator.device)
        options, scores = self.options, [entry["score"] for entry in state.history]
        rate = planned(options, state.step, steps=self.steps, epochs=self.epochs, scores=scores)
        show = shown(options, state.step, total=self.epochs * self.steps, columns=list(self.data.columns))
        together = options.balance == "ogm-ge" and not show.alone
        total = gradient(
            self.accelerator,
            self.wrapped,
            self.trained,
            self.objective,
            parts,
            show=show,
            modulation=Modulation(self.model, options.balance_alpha) if together else None,
            blend=state.blend["weights"] if options.balance == "blend" else None,
            options=options,
            team=self.team,
        )
        norm = sharding.whole(self.accelerator.clip_grad_norm_(self.clipped, options.clip))
        state.losses.append(finite(total, norm, state.step, rows))
        self.optimizer.step(rate)
        self.optimizer.zero_grad()
        if options.ema:
            moved(self.average, self.model, decay=options.ema, step=state.step)
        state.step += 1

    def end_epoch(self, state: State, epoch: int) -> None:
        """Validates, keeps the weights when they are as good as the best so far, and decides whether to go on. As good:
        within one standard error, so that a lucky epoch early on does not win over a trained model (the one-standard-error
        rule of Breiman et al. 1984, in favour of more training). Without validation rows the last weights are kept."""
        self.gather()
        finite_weights(self.model.state_dict(), state.step)
        entry = {
            "epoch": epoch,
            "loss": float(np.mean(state.losses)) if state.losses else None,
            **self.judged(),
        }
        blend = self.weigh(state.blend) if blending.ends(self.options, epoch, self.epochs) else state.blend
        if blend:
            entry["blend"] = blend
        with self.stop.held():
            state.losses, state.blend = [], blend
            state.history.append(entry)
            if entry["score"] is None or entry["score"] >= state.best_score - entry["slack"]:
                state.best_score = -np.inf if entry["score"] is None else max(state.best_score, entry["score"])
                state.best_epoch = epoch
                self.best = copied(self.model, self.average)
            if self.options.soup:
                self.soup.offer(epoch, copied(self.model), [e["score"] for e in state.history])
            if self.valid_rows.size and epoch - state.best_epoch >= self.patience and not state.stopped:
                state.stopped = f"no better {entry['watched']} for {self.patience} epochs"
        rate = self.optimizer.param_groups[0]["lr"] / (self.optimizer.param_groups[0]["factor"] or 1.0)
        self.log.tell(entry, rate=rate, speed=state.speeds[-1].rows_per_second)

    def weigh(self, before: dict[str, Any]) -> dict[str, Any]:
        """Gradient blending: how all columns together and each alone have generalised since the measurement before."""
        rows = blending.sample(self.train_rows, len(self.valid_rows), seed=self.seed)
        measured = lambda: blending.measured(self.model, self.data, train_rows=rows, valid_rows=self.valid_rows)  # noqa: E731
        return blending.update(before, self.team.of_first(measured))

    def judged(self) -> dict[str, Any]:
        """What the validation rows say of the weights, or of their average, where it is what is kept."""
        with self.holding(self.average):
            return self.team.of_first(lambda: validate(self.model, self.data, self.valid_rows, self.options))

    def gather(self) -> None:
        """The model takes over what has been trained in parts."""
        if self.trained is not self.model:
            sharding.gather(self.trained, self.model)

    @contextmanager
    def holding(self, weights: Weights) -> Iterator[None]:
        """In this block the model has these weights; none: its own."""
        if not weights:
            yield
            return
        self.own = copied(self.model)
        try:
            self.model.load_state_dict(weights)
            yield
        finally:
            self.settle()

    def settle(self) -> None:
        """The model's own weights, back in place. Once more after SIGTERM, which may have cut it short."""
        if self.own:
            self.model.load_state_dict(self.own)
            self.own = {}

    def stir(self, state: State, progress: Progress) -> None:
        """The soup of the best epochs, kept where the validation rows find it as good as the best epoch. The last entry of
        the history says so. It follows from the checkpoint alone."""
        if len(self.soup.held) < 2:
            return
        soup = self.soup.mean()
        with self.holding(soup):
            found = self.team.of_first(lambda: validate(self.model, self.data, self.valid_rows, self.options))
        kept = found["score"] is None or found["score"] >= state.best_score - found["slack"]
        epochs = list(self.soup.held)
        state.history[-1] = {**state.history[-1], "soup": {"epochs": epochs, "score": found["score"], "kept": kept}}
        names = ", ".join(str(e + 1) for e in epochs)
        progress.say(f"The mean of the weights after epochs {names} is {'kept' if kept else 'no better: not kept'}.")
        if kept:
            self.best = soup

    def resume(self) -> State:
        """Where the last checkpoint stands. Written with other data, it stands at the beginning of its epoch, with
        nothing judged yet."""
        found = self.team.of_first(lambda: self.checkpoints.latest() if self.checkpoints else None)
        if found is None:
            initialise(self.model, self.options.init, seed=self.seed)
            self.team.same(self.model)
            self.scatter()
            self.average = copied(self.model) if self.options.ema else {}
            return State(blend=self.weigh({}) if self.options.balance == "blend" else {})
        self.model.load_state_dict(found.tensors["model"])
        self.scatter()
        device = self.accelerator.device
        self.average = {k: v.to(device) for k, v in found.tensors.get("average", {}).items()}
        restore_optimizer(self.optimizer, self.names, found.tensors["optimizer"])
        score = found.state["best_score"]
        state = State(**{**found.state, "best_score": -np.inf if score is None else score})
        if found.same_data:
            self.best = found.tensors.get("best", {})
            self.soup.restore(found.tensors)
            return state
        done = len(state.history)
        return State(step=done * self.steps, best_epoch=done - 1, history=state.history, blend=state.blend)

    def scatter(self) -> None:
        """The parts, where there are any, take over the weights of the model."""
        if self.trained is not self.model:
            sharding.scatter(self.model, self.trained)

    def save(self, state: State, *, every: float) -> None:
        """A checkpoint, when the last is more than `every` seconds old. When it cannot be written, the one before it is
        still there, and training goes on with a warning. Raises TrainingError."""
        here = self.checkpoints is not None
        due, wanted = self.team.any(self.team.first and time.monotonic() - self.saved >= every, here)
        if not due:
            return
        self.gather()
        weights = self.model.state_dict()
        finite_weights(weights, state.step)
        self.saved = time.monotonic()
        if not wanted:
            return
        tensors = {"model": weights, "optimizer": optimizer_tensors(self.optimizer, self.names, keep=here)}
        if self.checkpoints is None:
            return
        tensors |= {"best": self.best} if self.best else {}
        tensors |= {"average": self.average} if self.average else {}
        tensors |= self.soup.tensors()
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
        self.team.same(self.model)


def _check_whole(objective: Objective) -> None:
    if objective.inner:
        raise PlaitError(
            f"Training option shard: found true beside the objective {type(objective).__name__}, which takes gradients of its "
            f"own within a pass. Leave one of them out."
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
