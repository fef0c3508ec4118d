"""Populations z -> w -> s -> image, from latent vectors that depend on the seed and the sample's index alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from failure_atlas.core.arrays import SHARD_ROWS
from failure_atlas.core.device import device_of
from failure_atlas.core.errors import StageError
from failure_atlas.core.pool import compute_parts
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.image_set import to_bytes
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.stylegan2.noise import CONSTANT, draw_seeds

SHARD_SAMPLES = 1_000
MOST_TRIES = 50  # samples of an unconditional generator for each that is wanted of some class
LEAST_PER_CLASS = 4  # two samples in each half of a class


def draw_latents(seed: int, samples: int, z_dim: int, first: int = 0) -> np.ndarray:
    """Standard normal z [samples, z_dim] float32; each shard of 1,000 samples has a stream of its own.

    So a sample's z depends neither on how many samples are drawn nor on the batches or workers that use them.
    first: index of the first one, a multiple of 1,000.
    """
    streams = _open_shards(seed, "latents", samples, first)
    return np.concatenate([each.standard_normal((SHARD_SAMPLES, z_dim), np.float32) for each in streams])[:samples]


def draw_noise(seed: int, samples: int, first: int = 0) -> np.ndarray:
    """Seeds of the samples' noise, int64 [samples], drawn as `draw_latents` draws."""
    streams = _open_shards(seed, "noise", samples, first)
    return np.concatenate([draw_seeds(SHARD_SAMPLES, each) for each in streams])[:samples]


def _open_shards(seed: int, purpose: str, samples: int, first: int) -> list[np.random.Generator]:
    start = first // SHARD_SAMPLES
    shards = range(start, start + -(-samples // SHARD_SAMPLES))
    return [numpy_stream(seed, "sample_populations", purpose, shard) for shard in shards]


def balance_labels(samples: int, classes: int) -> np.ndarray:
    """Labels [samples] int64 with the classes in turn, so that every run of samples is balanced: i mod classes."""
    return np.arange(samples, dtype=np.int64) % classes


# Styles [N, D] and the seeds of their noise [N] -> the classes that are seen in their images, int64 [N].
Label = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Drawn:
    """styles: [N, D] float32.  noise: int64 [N], the seed of each sample's noise.  true_class: [N] int64."""

    styles: np.ndarray
    noise: np.ndarray
    true_class: np.ndarray


def draw_styles(
    generator: Generator,
    samples: int | np.ndarray,
    random: np.random.Generator,
    batch_size: int | None = None,
    *,
    constant_noise: bool = False,
    label: Label | None = None,
) -> Drawn:
    """Fresh samples z -> w -> s, no truncation.

    samples: how many, with the classes in turn, or the true class of each.  batch_size: by default all at once.
    constant_noise: the generator's own noise for all, in place of one for each sample. Fewer samples are the first of
    more.
    label: of a generator that knows no classes: how many samples are then of the classes that come up; where the true
    class of each is given, samples are drawn until there are enough of each.  Raises StageError if there never are.
    """
    if not generator.conditional:
        if label is None:
            raise ValueError("an unconditional generator, and nothing that says which class a sample is of")
        return _draw_labelled(generator, samples, random, batch_size, constant_noise, label)
    true_class = balance_labels(samples, generator.num_classes) if isinstance(samples, int) else samples
    z = random.standard_normal((len(true_class), generator.z_dim), np.float32)
    styles = _map_latents(generator, z, true_class, batch_size)
    noise = np.full(len(z), CONSTANT) if constant_noise else draw_seeds(len(z), random.spawn(1)[0])
    return Drawn(styles, noise, true_class)


def _map_latents(generator: Generator, z: np.ndarray, true_class: np.ndarray, batch_size: int | None) -> np.ndarray:
    """Styles [N, D] of latents [N, Z] and classes [N], in batches."""
    size, device, parts = batch_size or len(z), next(generator.parameters()).device, []
    with torch.no_grad():
        for rows in (slice(first, first + size) for first in range(0, len(z), size)):
            latents, labels = (torch.from_numpy(each[rows]).to(device) for each in (z, true_class))
            parts.append(generator.map_styles(generator.map_latents(latents, labels)).cpu().numpy())
    return np.concatenate(parts)


def _draw_labelled(
    generator: Generator, samples: int | np.ndarray, random: np.random.Generator, batch_size: int | None,
    constant_noise: bool, label: Label,
) -> Drawn:  # fmt: skip
    """Samples of the classes that are seen in them; see `draw_styles`."""
    wanted = np.zeros(samples, np.int64) if isinstance(samples, int) else samples
    streams = random.spawn(2)
    parts: list[Drawn] = []
    found = np.zeros(0, np.int64)
    for _ in range(MOST_TRIES):
        z = streams[0].standard_normal((len(wanted), generator.z_dim), np.float32)
        noise = np.full(len(z), CONSTANT) if constant_noise else draw_seeds(len(z), streams[1])
        drawn = _map_latents(generator, z, np.zeros(len(z), np.int64), batch_size)  # classes change nothing
        parts.append(Drawn(drawn, noise, label(drawn, noise)))
        if isinstance(samples, int):
            return parts[0]
        found = np.concatenate([part.true_class for part in parts])
        rows = _choose_rows(found, wanted)
        if rows is not None:
            every = [np.concatenate([getattr(part, name) for part in parts]) for name in ("styles", "noise")]
            return Drawn(every[0][rows], every[1][rows], wanted)
    short = int((np.bincount(found, minlength=wanted.max() + 1)[wanted] / np.bincount(wanted)[wanted]).argmin())
    raise StageError(
        f"generator: an unconditional one, and of {len(found)} samples the judge sees {(found == wanted[short]).sum()} "
        f"of class {wanted[short]}, needed: {(wanted == wanted[short]).sum()}; bring a generator that makes all classes"
    )


def _choose_rows(found: np.ndarray, wanted: np.ndarray) -> np.ndarray | None:
    """Of the samples found, the first of each class that is wanted, in the order wanted; None if there are too few."""
    rows = np.empty(len(wanted), np.int64)
    for each in np.unique(wanted):
        there, places = np.flatnonzero(found == each), np.flatnonzero(wanted == each)
        if len(there) < len(places):
            return None
        rows[places] = there[: len(places)]
    return rows


@dataclass(frozen=True)
class Population:
    """z [N, Z], w [N, W], s [N, D] float32; images uint8 [N, C, H, W], rounded; noise, labels int64 [N]."""

    z: np.ndarray
    noise: np.ndarray
    w: np.ndarray
    s: np.ndarray
    images: np.ndarray
    labels: np.ndarray


def sample_population(
    generator: Generator,
    z: np.ndarray,
    noise: np.ndarray,
    labels: np.ndarray,
    *,
    batch_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> Population:
    """Follow each latent vector through the generator: z -> w -> s -> image.

    z: [N, Z] float32.  noise: int64 [N], the seed of each sample's noise.  labels: [N] int64.  advance: told the number
    of samples done after each batch.
    The batch size changes nothing beyond float rounding.  Raises ValueError if N is 0 or the lengths differ.
    """
    if not 0 < len(z) == len(labels) == len(noise):
        raise ValueError(f"{len(z)} latent vectors, {len(noise)} seeds of noise and {len(labels)} labels")
    batches = (slice(first, first + batch_size) for first in range(0, len(z), batch_size))
    parts = []
    for part in compute_parts(partial(_follow, generator), ((z[rows], noise[rows], labels[rows]) for rows in batches)):
        parts.append(part)
        advance(len(part[0]))
    w, s, images = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Population(z, noise, w, s, images, labels)


def _follow(
    generator: Generator, z: np.ndarray, noise: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """w, s and images of one batch."""
    device = device_of(generator)
    with torch.no_grad():
        w = generator.map_latents(torch.from_numpy(z).to(device), torch.from_numpy(labels).to(device))
        s = generator.map_styles(w)
        images = to_bytes(generator.synthesize(s, noise))
    return w.cpu().numpy(), s.cpu().numpy(), images.cpu().numpy()


def sample_in_parts(
    generator: Generator,
    seed: int,
    samples: int,
    *,
    batch_size: int,
    constant_noise: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> Iterator[Population]:
    """A class-balanced population of its seed, 10,000 samples at a time, in order; options: see `draw_styles`."""
    for first in range(0, samples, SHARD_ROWS):
        count = min(SHARD_ROWS, samples - first)
        z = draw_latents(seed, count, generator.z_dim, first)
        labels = balance_labels(first + count, generator.num_classes)[first:]
        noise = np.full(count, CONSTANT) if constant_noise else draw_noise(seed, count, first)
        yield sample_population(generator, z, noise, labels, batch_size=batch_size, advance=advance)
