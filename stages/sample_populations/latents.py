"""What a population starts from: latent vectors and labels that depend on the seed and the sample's index alone."""

import numpy as np

from stages.common.seeds import numpy_stream

SHARD_SAMPLES = 1_000


def draw_latents(seed: int, samples: int, z_dim: int, first: int = 0) -> np.ndarray:
    """Standard normal z [samples, z_dim] float32; each shard of 1,000 samples has a stream of its own.

    So a sample's z depends neither on how many samples are drawn nor on the batches or workers that use them.
    first: index of the first one, a multiple of 1,000.
    """
    start = first // SHARD_SAMPLES
    shards = [
        numpy_stream(seed, "sample_populations", "latents", shard).standard_normal((SHARD_SAMPLES, z_dim), np.float32)
        for shard in range(start, start + -(-samples // SHARD_SAMPLES))
    ]
    return np.concatenate(shards)[:samples]


def balance_labels(samples: int, classes: int) -> np.ndarray:
    """Labels [samples] int64 with the classes in turn, so that every run of samples is balanced: i mod classes."""
    return np.arange(samples, dtype=np.int64) % classes
