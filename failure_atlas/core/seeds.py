"""Random streams: every draw comes from a generator made from a seed and the name of what it is for.

Streams with different names are independent, so adding a draw in one place never shifts the numbers of another, and
a stream that is named by the sample or shard it serves does not depend on batch size, worker count or order.
"""

import zlib

import numpy as np
import torch


def numpy_stream(seed: int, *names: str | int) -> np.random.Generator:
    """Independent NumPy generator for a seed and a path of names or indices."""
    return np.random.Generator(np.random.Philox(_sequence(seed, names)))


def torch_stream(seed: int, *names: str | int) -> torch.Generator:
    """Independent CPU torch generator for a seed and a path of names or indices."""
    state = int(_sequence(seed, names).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(state & (2**63 - 1))


def _sequence(seed: int, names: tuple[str | int, ...]) -> np.random.SeedSequence:
    words = [zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names]
    return np.random.SeedSequence(entropy=seed, spawn_key=tuple(words))
