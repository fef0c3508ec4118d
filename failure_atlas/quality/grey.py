"""Grey values and noise of generated images beside those of real ones, which distances between features may miss.

The units are images: their pixels depend on one another. Clean and corrupted images stand apart; which is which a probe
reads, in the same way from real images and from generated ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from failure_atlas.quality.labels import fit_probe
from failure_atlas.statistics.estimates import NAN, Estimate, mean, subtract

GENERATED, TEST, TRAINING = "generated", "test", "training"  # where images come from
CLEAN, CORRUPTED, ALL = "clean", "corrupted", "all"
Kinds = Mapping[str, Mapping[str, np.ndarray]]  # CLEAN and CORRUPTED, or ALL -> source -> an array over its images
EDGES = np.array([0, 1, *range(16, 255, 16), 255, 256])  # of the bins of a histogram: 0 and 255 stand alone
BINS = {"black": 0, "white": len(EDGES) - 2}
MOST_IMAGES = 2_000  # whose noise is measured: 1,000 pairs tell a correlation to 0.01
SMOOTHING_PX = 1.0  # standard deviation of what is subtracted, so that a digit leaves little more than its noise


@dataclass(frozen=True)
class Looked:
    """images: uint8 [N, C, H, W].  features: [N, F], what the judge sees in them."""

    images: np.ndarray
    features: np.ndarray

    def describe(self) -> np.ndarray:
        """The features and the level of the noise, which the judge has learnt to look through: [N, F + 1]."""
        levels = [np.log1p(np.abs(subtract_smoothed(image))).mean() for image in self.images]
        return np.column_stack([self.features, levels])


def read_clean(train: Looked, clean: np.ndarray, sources: Mapping[str, Looked]) -> dict[str, np.ndarray]:
    """Which images of each source look clean to a probe of real training images: bool [N]; empty if these are alike.

    clean: bool [N], which of the training images are.
    """
    if len(np.unique(clean)) < 2:
        return {}
    probe = fit_probe(train.describe(), clean)
    return {source: probe.predict(looked.describe()) for source, looked in sources.items()}


def split_kinds(sources: Mapping[str, Looked], clean: Mapping[str, np.ndarray]) -> Kinds:
    """The images of each source that are clean, and the others; all together where that is not told.

    clean: of `read_clean`.
    """
    if not clean:
        return {ALL: {source: looked.images for source, looked in sources.items()}}
    return {
        CLEAN: {source: looked.images[clean[source]] for source, looked in sources.items()},
        CORRUPTED: {source: looked.images[~clean[source]] for source, looked in sources.items()},
    }


def share_greys(images: np.ndarray) -> np.ndarray:
    """The share of each image's values in each bin of EDGES: float64 [N, 18]; images: uint8 [N, C, H, W]."""
    bins = np.digitize(np.arange(256), EDGES) - 1
    counts = [np.bincount(bins[image].ravel(), minlength=len(EDGES) - 1) for image in images]
    return np.reshape(counts, (-1, len(EDGES) - 1)) / images[0:1].size if counts else np.zeros((0, len(EDGES) - 1))


def compare_kinds(greys: Kinds) -> dict[str, Any]:
    """`compare_greys` of all images and, as `grey_of_kind`, of each kind; greys: of `share_greys`."""
    together = [np.concatenate([of[source] for of in greys.values()]) for source in (GENERATED, TEST, TRAINING)]
    of_kind = {kind: compare_greys(of[GENERATED], of[TEST], of[TRAINING]) for kind, of in greys.items()}
    return compare_greys(*together) | {"grey_of_kind": of_kind}


def compare_greys(generated: np.ndarray, test: np.ndarray, train: np.ndarray) -> dict[str, Any]:
    """Shares of black and of white, and the distance between histograms: generated and training against test images.

    Each: [N, 18] of `share_greys`.  Of `black` (0) and `white` (255): share, share_real (test images), share_gap
    (generated minus test) and share_gap_real (training minus test).  All are {value, low, high, n}.
    """
    metrics: dict[str, Estimate] = {}
    for name, column in BINS.items():
        made, real, other = (average(each[:, column]) for each in (generated, test, train))
        metrics |= {f"{name}_share": made, f"{name}_share_real": real}
        metrics |= {f"{name}_share_gap": subtract(made, real), f"{name}_share_gap_real": subtract(other, real)}
    metrics["grey_total_variation"] = measure_total_variation(generated, test)
    metrics["grey_total_variation_real"] = measure_total_variation(train, test)
    return {name: estimate.as_dict() for name, estimate in metrics.items()}


def measure_total_variation(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Half the sum of the absolute differences of two mean histograms; each: [N, bins].

    Chance makes it greater than 0 for sets of one kind, too: compare it with that of equally many real images. The
    interval (delta method) takes the signs of the differences as found, and does not remove that bias.
    """
    if not min(len(first), len(second)):
        return Estimate(NAN, n=0)
    signs = np.sign(first.mean(axis=0) - second.mean(axis=0)) / 2
    found = subtract(average((first * signs).sum(axis=1)), average((second * signs).sum(axis=1)))
    return Estimate(found.value, max(found.low, 0.0), found.high, found.n)


def find_empty(clean: np.ndarray) -> np.ndarray:
    """The pixels that are alike in all clean images, where nothing but noise can be: bool [C, H, W].

    clean: uint8 [N, C, H, W]; of none, no pixels.
    """
    return (clean == clean[:1]).all(axis=0) if len(clean) else np.zeros(clean.shape[1:], bool)


def compare_noise(kinds: Kinds, empty: np.ndarray, stream: Callable[[str], np.random.Generator]) -> dict[str, Any]:
    """`measure_noise` of corrupted images, generated and, with `_real`, test images; all where kinds are not told.

    stream: source -> random generator.  `noise_pixels`: how many are empty.
    """
    noisy = kinds[CORRUPTED if CORRUPTED in kinds else ALL]
    metrics: dict[str, Any] = {"noise_pixels": int(empty.sum())}
    for source, suffix in ((GENERATED, ""), (TEST, "_real")):
        measured = measure_noise(noisy[source], empty, stream(source))
        metrics |= {f"{name}{suffix}": estimate for name, estimate in measured.items()}
    return metrics


def measure_noise(images: np.ndarray, empty: np.ndarray, stream: np.random.Generator) -> dict[str, dict[str, Any]]:
    """Whether noise is drawn anew: its correlations between images, and between neighbouring pixels of one image.

    images: uint8 [N, C, H, W], noisy ones.  empty: bool [C, H, W], of `find_empty`.  stream: pairs the images, each
    in one pair, so that pairs are independent.  Returns {value, low, high, n} of
    noise_correlation: between pairs, in empty pixels.
    noise_correlation_whole: between pairs, in all pixels after subtracting the image smoothed; digits add to it.
    noise_correlation_within: between horizontal and vertical neighbours that are both empty; n: images.
    0 is independent noise, 1 the same noise; NaN where no pixel is empty. Images without any noise have no part.
    """
    chosen = images[stream.permutation(len(images))[:MOST_IMAGES]].astype(np.float64)
    fine = np.array([subtract_smoothed(image) for image in chosen])
    correlations = {
        "noise_correlation": _correlate_pairs(chosen[:, empty]),
        "noise_correlation_whole": _correlate_pairs(fine.reshape(len(chosen), empty.size)),
        "noise_correlation_within": _correlate_neighbours(chosen, empty),
    }
    return {name: average(each[np.isfinite(each)]).as_dict() for name, each in correlations.items()}


def subtract_smoothed(image: np.ndarray) -> np.ndarray:
    """One image less itself smoothed: [C, H, W] to float64 of the same shape."""
    unit = image.astype(np.float64)
    return np.asarray(unit - ndimage.gaussian_filter(unit, (0, SMOOTHING_PX, SMOOTHING_PX)))


def average(values: np.ndarray) -> Estimate:
    """The mean over images [N] with Student's interval; NaN of none."""
    return Estimate(**mean(values)) if len(values) else Estimate(NAN, n=0)


def _correlate_pairs(rows: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each row in the first half with one in the second: [N // 2], NaN of constant rows."""
    half = len(rows) // 2
    if not rows.shape[1]:
        return np.full(half, NAN)
    units = _normalise(rows)
    return np.asarray((units[:half] * units[half : 2 * half]).sum(axis=1))


def _correlate_neighbours(images: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """The correlation of neighbouring empty pixels in each image: [N], NaN where there are none or all are alike."""
    noise = np.zeros_like(images)
    noise[:, empty] = _normalise(images[:, empty])
    products, pairs, pixels = np.zeros(len(images)), 0, int(empty.sum())
    for here, there in ((np.s_[..., 1:], np.s_[..., :-1]), (np.s_[..., 1:, :], np.s_[..., :-1, :])):
        products += (noise[here] * noise[there]).sum(axis=(1, 2, 3))
        pairs += int((empty[here] & empty[there]).sum())
    if not pairs:
        return np.full(len(images), NAN)
    # Values less their own mean correlate by -1 / (pixels - 1) if they are independent; this makes it 0, and keeps 1.
    return np.asarray((pixels - 1) * products / pairs + 1 / pixels)


def _normalise(rows: np.ndarray) -> np.ndarray:
    """Rows [N, P] less their mean, of length 1; NaN of constant rows."""
    if not rows.size:
        return np.full_like(rows, NAN)
    centred = rows - rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    varied = np.ptp(rows, axis=1, keepdims=True) > 0
    return np.asarray(np.divide(centred, lengths, out=np.full_like(rows, NAN), where=varied))
