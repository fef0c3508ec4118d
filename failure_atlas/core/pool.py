"""Batches of samples, computed in this process or by the workers of a Dask scheduler, with the same bytes.

A part is one call of a function on arrays. The networks that the function holds are sent once and stay with the
workers; what it counts on the side (`Tally`) is added up here. A worker computes with this process's number of threads,
and refuses to with other code, another PyTorch or other processor instructions.
"""

import hashlib
import io
import logging
import os
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import nn

from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError

ADDRESS = "FAILURE_ATLAS_SAMPLES_SCHEDULER"
CONNECT_SECONDS, WORKERS_SECONDS, POLL_SECONDS = 30.0, 60.0, 30.0
ALONE_SECONDS = 600.0  # without any worker, until a stage gives up
AHEAD = 2  # parts for each thread of the workers: one at work, one that waits there
HOW = f"start them as docs/several-machines.md says, or unset {ADDRESS}: one process does it alone"
OUR_MODULES = {"failure_atlas", "torch"}  # of which workers have the classes

Result = TypeVar("Result")


@dataclass
class Tally:
    """What a function counts while it computes."""

    count: float = 0.0


def compute_parts(function: Callable[..., Result], parts: Iterable[tuple[Any, ...]]) -> Iterator[Result]:
    """function(*part) of each part, in order; memory is that of a few parts, each computed when results are taken.

    function: pure but for tallies; it calls no `compute_parts`.  parts: of arrays and plain values.
    On the workers of FAILURE_ATLAS_SAMPLES_SCHEDULER, if that is set and there are two parts or more. A classifier that
    cannot be sent, a server or code that was brought, is asked here. Raises StageError if no scheduler or worker is
    there, or if a worker is not like this process.
    """
    rest = iter(parts)
    first = list(islice(rest, 2))
    address = os.environ.get(ADDRESS, "").strip()
    pool = _open_pool(address) if address and len(first) > 1 else None
    packed = pool and pool.pack(function)
    if pool and packed:
        yield from pool.run(*packed, chain(first, rest))
    else:
        yield from (function(*part) for part in chain(first, rest))


class _Pool:
    """The workers of one scheduler, and which networks they have, by what their tensors were when they were sent."""

    def __init__(self, address: str) -> None:
        try:
            from dask import config
            from distributed import Client
        except ImportError as error:
            raise StageError(f"{ADDRESS}: {address}, and Dask is missing: pip install -e '.[machines]'") from error
        connect: Any = Client  # which has no types
        config.set({"distributed.admin.large-graph-warning-threshold": "1TB"})  # networks are large, and sent once
        self.address, self.told = address, False
        self.sent: WeakKeyDictionary[nn.Module, tuple[list[tuple[int, int]], Any]] = WeakKeyDictionary()
        try:
            self.client = connect(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise StageError(f"{ADDRESS}: no Dask scheduler answers at {address}; {HOW}") from error
        try:
            self.client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except TimeoutError as error:
            self.client.close()
            raise StageError(f"{ADDRESS}: no worker at {address} within {WORKERS_SECONDS:g} s; {HOW}") from error

    def pack(self, function: Callable[..., Any]) -> tuple[bytes, list[nn.Module | Tally]] | None:
        """The pickled function with numbers for its networks and tallies, and these; None if it cannot be sent."""
        from cloudpickle import Pickler  # of Dask; it also takes functions that stand inside others

        held: list[nn.Module | Tally] = []

        class Packer(Pickler):  # type: ignore[misc]  # which has no types
            def persistent_id(self, found: Any) -> int | None:
                if not isinstance(found, (nn.Module, Tally)):
                    return None
                if isinstance(found, nn.Module):
                    _require_ours(found)
                if not any(each is found for each in held):
                    held.append(found)
                return next(number for number, each in enumerate(held) if each is found)

        file = io.BytesIO()
        try:
            Packer(file).dump(function)
        except (pickle.PickleError, TypeError) as error:
            if not self.told:
                logging.info("asked in this process and by no worker: %s", str(error).split("\n", 1)[0])
            self.told = True
            return None
        return file.getvalue(), held

    def run(self, blob: bytes, held: list[nn.Module | Tally], parts: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """The results of a packed function; a part of a worker that dies goes to another."""
        tallies = [each for each in held if isinstance(each, Tally)]
        waiting: deque[Any] = deque()
        try:
            sent = [None if isinstance(each, Tally) else self._send(each) for each in held]
            order = (describe_code(), torch.get_num_threads(), blob)
            for part in parts:
                waiting.append(self.client.submit(run_part, *order, pickle.dumps(part), *sent, pure=False))
                while len(waiting) >= AHEAD * max(self._count_threads(), 1):
                    yield self._take(waiting.popleft(), tallies)
            while waiting:
                yield self._take(waiting.popleft(), tallies)
        except OSError as error:
            raise self._tell_loss() from error
        finally:
            for future in waiting:
                future.cancel()

    def _send(self, network: nn.Module) -> Any:
        """The network where the workers are; anew if its tensors have changed."""
        tensors = [(each.data_ptr(), each._version) for each in chain(network.parameters(), network.buffers())]
        before, future = self.sent.get(network, (None, None))
        if before != tensors:
            # As a task and not as data, which would be lost with the worker that has them.
            future = self.client.submit(pickle.loads, pickle.dumps(network), pure=False)
            self.sent[network] = tensors, future
        return future

    def _count_threads(self) -> int:
        return sum(self.client.nthreads().values())

    def _take(self, future: Any, tallies: list[Tally]) -> Any:
        """The result of one part, when it is there."""
        since, told = time.monotonic(), False
        while True:
            try:
                if error := future.exception(timeout=POLL_SECONDS):
                    break
                if future.cancelled():
                    raise self._tell_loss()
                result, counts = future.result(timeout=POLL_SECONDS)  # computed anew if its worker is gone
            except CancelledError as lost:
                raise self._tell_loss() from lost
            except TimeoutError:
                if self._count_threads():
                    since, told = time.monotonic(), False
                elif time.monotonic() - since > ALONE_SECONDS:
                    raise StageError(f"{ADDRESS}: no worker at {self.address} for {ALONE_SECONDS:g} s; {HOW}") from None
                elif not told:
                    logging.warning("%s: no worker is left at %s; start one", ADDRESS, self.address)
                    told = True
                continue
            for tally, count in zip(tallies, counts, strict=True):
                tally.count += count
            return result
        if isinstance(error, StageError):
            raise error
        reason = f"{type(error).__name__}: {str(error).split(chr(10), 1)[0]}"
        raise StageError(f"{ADDRESS}: workers at {self.address} failed ({reason}); {HOW}") from error

    def _tell_loss(self) -> StageError:
        return StageError(f"{ADDRESS}: the Dask scheduler at {self.address} has ended; {HOW}")


_open_pool = cache(_Pool)


def run_part(code: str, threads: int, blob: bytes, part: bytes, *networks: nn.Module | None) -> tuple[Any, list[float]]:
    """What a worker does: the function's result, and what its tallies counted; networks: None in place of a tally.

    Raises StageError if this worker would compute something else than who sent the part.
    """
    if code != describe_code():
        raise StageError(
            f"{ADDRESS}: a worker has other code, another PyTorch or another processor or device ({describe_code()}; "
            f"here: {code}); start it anew in the same commit's environment, on a machine alike"
        )
    torch.set_num_threads(threads)
    held = [Tally() if network is None else network for network in networks]

    class Unpacker(pickle.Unpickler):
        def persistent_load(self, number: int) -> nn.Module | Tally:
            return held[number]

    result = Unpacker(io.BytesIO(blob)).load()(*pickle.loads(part))  # noqa: S301  a worker runs what its scheduler sends
    return result, [each.count for each in held if isinstance(each, Tally)]


@cache
def describe_code() -> str:
    """A hash of the library's source, PyTorch's version, and what it computes on; kernels are made deterministic."""
    device, source = choose_device(), hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        source.update(path.read_bytes())
    kernels = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return f"{source.hexdigest()[:12]}, {torch.__version__}, {kernels}"


def _require_ours(network: nn.Module) -> None:
    """PicklingError for what a worker may not have, or may not ask: code that was brought, a server, a session."""
    for part in network.modules():
        if type(part).__module__.split(".")[0] not in OUR_MODULES or not getattr(part, "differentiable", True):
            raise pickle.PicklingError(f"a network with a {type(part).__name__}, which workers may not have")
