"""Several processes that train one model: which of them this is, what only the first does, what is summed over all.

torchrun starts them, each with the same script; `joined` makes one team of them. Its first process alone writes, judges and
decides. An error that the first meets is raised in all; where any other process breaks, the rest end with its message.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from plait.errors import PlaitError

T = TypeVar("T")
MEET = timedelta(minutes=10)  # in which all processes have to be there
WAIT = timedelta(
    days=30
)  # one process may prepare or judge for long while the others wait; dead ones are noticed at once
GRACE = 5.0  # seconds in which a process meets by itself that another has broken
FAILED = "failed"  # under which the first process that breaks says why
STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class Team:
    """The processes that train together, as one of them sees it. One process is a team, too, which waits for nobody."""

    rank: int = 0  # of this process
    size: int = 1
    local: int = 0  # of this process among those of its machine
    board: Any = field(default=None, repr=False)  # where a process that breaks leaves its reason

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def several(self) -> bool:
        return self.size > 1

    def of_first(self, work: Callable[[], T]) -> T:
        """What `work` gives in the first process, in all of them; a PlaitError of it is raised in all. The rest wait."""
        if not self.several:
            return work()
        found: list[Any] = [None, None]
        error: Exception | None = None
        if self.first:
            try:
                found[0] = work()
            except Exception as caught:
                error, found[1] = caught, _packed(caught)
        torch.distributed.broadcast_object_list(found, src=0, device=torch.device("cpu"))
        if error is not None:
            if isinstance(error, PlaitError):
                error.agreed = True
            raise error
        if found[1] is not None:
            raise _unpacked(*found[1])
        return found[0]  # type: ignore[no-any-return]

    def only_first(self, work: Callable[[], T]) -> T | None:
        """What `work` gives in the first process; None in the rest, which wait. Errors as with `of_first`."""
        kept: list[T] = []
        self.of_first(lambda: kept.append(work()))
        return kept[0] if kept else None

    @contextmanager
    def by_first(self, guard: AbstractContextManager[Any]) -> Iterator[None]:
        """A block guarded by what the first process alone enters. Errors of entering as with `of_first`."""
        with ExitStack() as stack:
            self.only_first(lambda: stack.enter_context(guard))
            yield

    def in_turns(self, work: Callable[[], T]) -> T:
        """`work` in every process: in one of each machine first, then in the rest, who find in the cache what it left."""
        if self.local == 0:
            found = work()
            self.wait()
            return found
        self.wait()
        return work()

    def wait(self) -> None:
        """Until all processes are here."""
        self.any(False)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag whether it is up in any process."""
        if not self.several:
            return flags
        found = torch.tensor(flags, dtype=torch.uint8)
        torch.distributed.all_reduce(found, op=torch.distributed.ReduceOp.MAX)
        return tuple(bool(f) for f in found)

    def total(self, numbers: Tensor) -> Tensor:
        """The sum over all processes; in place."""
        if self.several:
            torch.distributed.all_reduce(numbers)
        return numbers

    def parts(self, rows: np.ndarray, size: int) -> list[np.ndarray]:
        """The batches of a step that pass the model in this process: equally many in each, of about `size` rows at most."""
        if not self.several:
            return np.array_split(rows, -(-len(rows) // size))
        each = max(1, min(-(-len(rows) // (self.size * size)), len(rows) // self.size))
        return np.array_split(rows, each * self.size)[self.rank * each : (self.rank + 1) * each]

    def check(self, rows: int, steps: int) -> None:
        """Raises PlaitError where a step has fewer rows than there are processes."""
        if rows // steps < self.size:
            raise PlaitError(
                f"Training in {self.size} processes: found a step of {rows // steps} rows, expected at least one row for each "
                f"process. Raise batch_size (--train batch_size=64), or start fewer processes."
            )

    def same(self, module: nn.Module) -> None:
        """Gives the module the weights that it has in the first process."""
        if self.several:
            module.load_state_dict(self.of_first(lambda: {k: v.cpu() for k, v in module.state_dict().items()}))

    def summed(self, model: nn.Module, objective: nn.Module, loss: Tensor) -> Tensor:
        """The loss of a whole step from every process's share of it. The gradients become those of the whole step as well,
        in one exchange with it: a parameter that has none in any process keeps none. Running statistics of batch norms
        become the mean over the processes, what the objective keeps becomes what it is in the first."""
        if not self.several:
            return loss
        for parameter in model.parameters():
            if type(parameter.data) is not Tensor and parameter.grad is not None:
                parameter.grad.mul_(self.size)  # lies in parts: torch has exchanged it, and made a mean of it
        whole = [p for p in model.parameters() if p.requires_grad and type(p.data) is Tensor]
        running = [b for n, b in model.named_buffers() if n.endswith(STATISTICS)]
        kept = list(objective.buffers())
        pieces = [torch.zeros_like(p) if p.grad is None else p.grad for p in whole]
        pieces += [b / self.size for b in running] + [b if self.first else torch.zeros_like(b) for b in kept]
        pieces += [torch.tensor([float(p.grad is not None) for p in whole], device=loss.device), loss.detach()]
        sizes = [p.numel() for p in pieces]
        flat = self.total(torch.cat([p.reshape(-1).float() for p in pieces])).split(sizes)
        with torch.no_grad():
            for parameter, sum_, there in zip(whole, flat, flat[-2].tolist()):
                if there:
                    parameter.grad = torch.empty_like(parameter) if parameter.grad is None else parameter.grad
                    parameter.grad.copy_(sum_.view(parameter.shape))
            for buffer, value in zip([*running, *kept], flat[len(whole) :]):
                buffer.copy_(value.view(buffer.shape))
        return flat[-1].view(())  # type: ignore[no-any-return]


ALONE = Team()


@contextmanager
def joined() -> Iterator[Team]:
    """The team that this process is in: of all that torchrun has started, or of itself alone. When the block breaks in one
    process, it says why and leaves; the others meet that at their next exchange, and end with its reason as a PlaitError."""
    team = _team()
    try:
        with _watched(team):
            yield team
    except BaseException as error:
        if not team.several or (isinstance(error, PlaitError) and error.agreed):
            raise
        reason = _reason(team)
        lost = isinstance(error, RuntimeError) and ("gloo" in str(error) or "NCCL" in str(error))
        if not lost and reason is None and team.board is not None:
            team.board.set(FAILED, f"Process {team.rank} of {team.size} broke, {type(error).__name__}: {error}")
        traceback.clear_frames(error.__traceback__)  # what they hold of the group would keep its connections open
        _leave()
        if lost:
            raise PlaitError(
                f"{(reason or 'Another process has ended without a word: killed, or out of memory').rstrip('.')}. This is "
                f"process {team.rank}: it cannot go on alone. Start all again to go on from the last checkpoint."
            ) from error
        raise


@contextmanager
def _watched(team: Team) -> Iterator[None]:
    """In this block a process that still waits for one that has said why it broke, and lives on, is ended."""
    if team.board is None:
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            if (reason := _reason(team)) is not None and not over.wait(GRACE):
                print(f"Error: {reason}. Process {team.rank} waits for it no longer.", file=sys.stderr, flush=True)
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def is_first() -> bool:
    """Whether this process is the one that speaks for all that torchrun has started."""
    return int(os.environ.get("WORLD_SIZE", "1")) < 2 or int(os.environ.get("RANK", "0")) == 0


_groups: list[Any] = []  # the boards of the groups this process has been in, one after the other


def _team() -> Team:
    size, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    distributed = torch.distributed
    if not distributed.is_available():
        return ALONE
    if distributed.is_initialized():
        board = _groups[-1] if _groups else None
        found = Team(distributed.get_rank(), distributed.get_world_size(), local, board)
        return found if found.several else ALONE
    if size < 2 or "RANK" not in os.environ:
        return ALONE
    import_module("torch.distributed.nn.functional")  # once there is a group, its defaults would hold it forever
    store, rank, size = next(distributed.rendezvous("env://", timeout=MEET))
    board = distributed.PrefixStore(f"plait/{len(_groups)}", store)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, store=board, rank=rank, world_size=size, timeout=WAIT)
    _groups.append(board)
    atexit.register(_leave)
    return Team(rank, size, local, board)


def _leave() -> None:
    """Out of the group, if it is one of ours: its connections close, and whoever waits for this process knows."""
    if _groups and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
        gc.collect()  # they close with the last reference


def _reason(team: Team) -> str | None:
    """Why a process has broken, if one has said so."""
    try:
        return team.board.get(FAILED).decode() if team.board is not None and team.board.check([FAILED]) else None
    except RuntimeError:  # the board is gone with the process that held it
        return None


def _packed(error: Exception) -> tuple[type[PlaitError] | None, str, dict[str, Any]]:
    """What can be sent of an error: its kind, if it is one of ours, its words, and its plain figures."""
    if not isinstance(error, PlaitError):
        return None, f"Process 0 broke, {type(error).__name__}: {error}", {}
    plain = {k: v for k, v in vars(error).items() if isinstance(v, (str, int, float, type(None)))}
    return type(error), str(error), plain


def _unpacked(kind: type[PlaitError] | None, words: str, figures: dict[str, Any]) -> PlaitError:
    if kind is None:
        return PlaitError(words)
    error = kind.__new__(kind, words)  # without its constructor, which may ask for more
    vars(error).update(figures, agreed=True)
    return error


def refuse_several(what: str) -> None:
    """Raises PlaitError in one of several processes that torchrun has started."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise PlaitError(f"{what} runs its fits in processes of its own. Start it without torchrun.")
