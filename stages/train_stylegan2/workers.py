"""Several processes that train one network, each on its rows of every batch (data parallel).

On CPUs this process starts the others itself; on several GPUs `torchrun` starts all of them. Single-threaded workers
outrun one process with as many threads on small networks, and keep their pace when another job takes a core. The sum of
two gradients does not depend on their order, so equal worker counts give equal bytes.
"""

import multiprocessing
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from failure_atlas.core.computing import count_cores
from failure_atlas.core.errors import StageError

PROCESSES_VARIABLE = "FAILURE_ATLAS_PROCESSES"
TIMEOUT = timedelta(minutes=10)


def launched_rank() -> int | None:
    """This process's number among those that `torchrun` started, or None without it."""
    return int(os.environ["RANK"]) if distributed.is_torchelastic_launched() else None


class LostWorkerError(Exception):
    """Another worker of the group died, or did not answer in time."""


@dataclass(frozen=True)
class Worker:
    """One process of the group."""

    rank: int
    count: int

    def rows(self, batch_size: int) -> slice:
        """This worker's part of a batch."""
        share = batch_size // self.count
        return slice(self.rank * share, (self.rank + 1) * share)

    def average(self, tensors: list[torch.Tensor]) -> None:
        """Replace each tensor by its mean over the workers, in place."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        try:
            distributed.all_reduce(flat)
        except RuntimeError as error:  # gloo has no error class of its own
            raise LostWorkerError(str(error).splitlines()[0]) from error
        flat /= self.count
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def descend(self, loss: torch.Tensor, network: nn.Module, optimizer: torch.optim.Adam, rate: float) -> None:
        """One optimiser step on the gradient's mean over the workers, taken alike by all of them."""
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.average([p.grad for p in network.parameters() if p.grad is not None])
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()


def count_workers(batch_size: int, group: int, device: torch.device) -> int:
    """How many processes to use: as many as `torchrun` started, else FAILURE_ATLAS_PROCESSES, else one per usable core,
    or one on a GPU.

    Each worker needs a whole number of minibatch-deviation groups, so the number is the largest that fits.
    Raises StageError if the variable holds no number that divides the batch so.
    """
    fitting = [n for n in range(1, batch_size // group + 1) if batch_size % (n * group) == 0]
    launched = launched_rank() is not None
    source = "torchrun --nproc-per-node" if launched else PROCESSES_VARIABLE
    wanted = os.environ["WORLD_SIZE"] if launched else os.environ.get(PROCESSES_VARIABLE, "").strip()
    if wanted:
        if not wanted.isdigit() or int(wanted) not in fitting:
            allowed = ", ".join(map(str, fitting))
            raise StageError(
                f"{source}: got '{wanted}'; allowed with batch_size {batch_size} and minibatch_std_group "
                f"{group}: {allowed}"
            )
        return int(wanted)
    cores = count_cores() if device.type == "cpu" else 1
    return max(n for n in fitting if n <= cores)


@contextmanager
def worker_group(count: int, target: Callable[..., None], *arguments: Any) -> Iterator[Worker]:
    """Start `count - 1` helpers that run `target(worker, *arguments)`; yield this process's own worker, rank 0.

    The helpers end with this process, however it ends. Under `torchrun` nothing is started, and the worker is the one
    that this process was started as. Raises StageError if one of them is lost.
    """
    if count == 1:
        yield Worker(0, 1)
        return
    rank = launched_rank()
    if rank is not None:
        with _launched_group():
            yield Worker(rank, count)
        return
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="failure-atlas-") as folder:
        rendezvous = str(Path(folder) / "rendezvous")
        context = multiprocessing.get_context("spawn")
        helpers: list[BaseProcess] = [
            context.Process(target=_help, args=(rank, count, rendezvous, target, arguments), daemon=True)
            for rank in range(1, count)
        ]
        for helper in helpers:
            helper.start()
        try:
            _join_group(0, count, rendezvous)
            yield Worker(0, count)
            for helper in helpers:
                helper.join()
        except LostWorkerError as error:
            # Its connection closes before the process has ended, and that before its exit code can be read.
            for sentinel in connection.wait([helper.sentinel for helper in helpers], timeout=30):
                next(helper for helper in helpers if helper.sentinel == sentinel).join()
            dead = [n for n, helper in enumerate(helpers, start=1) if helper.exitcode not in (None, 0)]
            what = (
                f"worker {dead[0]} of {count} died with exit code {helpers[dead[0] - 1].exitcode}"
                if dead
                else f"a worker of {count} was lost ({error})"
            )
            raise StageError(f"{what}; run again to go on from the last snapshot") from error
        finally:
            for helper in helpers:
                helper.kill()
            torch.set_num_threads(threads)
            if distributed.is_initialized():
                distributed.destroy_process_group()


@contextmanager
def _launched_group() -> Iterator[None]:
    """The group that `torchrun` describes in the environment; it also ends all processes if one fails."""
    cuda = torch.cuda.is_available()
    if not cuda:
        torch.set_num_threads(1)
    distributed.init_process_group("nccl" if cuda else "gloo", timeout=TIMEOUT)
    try:
        yield
    except LostWorkerError as error:
        raise StageError(f"a worker was lost ({error}); run again to go on from the last snapshot") from error
    finally:
        distributed.destroy_process_group()


def _help(rank: int, count: int, rendezvous: str, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _join_group(rank, count, rendezvous)
    target(Worker(rank, count), *arguments)
    distributed.destroy_process_group()


def _join_group(rank: int, count: int, rendezvous: str) -> None:
    torch.set_num_threads(1)
    # Workers share one machine: no host name is looked up. The loopback is `lo` on Linux, `lo0` on macOS and BSD.
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    # No file:// address, in which some letters of a path would mean something.
    store = distributed.FileStore(rendezvous, count)  # type: ignore[attr-defined]  # missing in its stub
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=count, timeout=TIMEOUT)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
