"""Blur read from the power spectrum, learned from real clean images under known blur and noise.

Blur of sigma s multiplies the power at frequency f by exp(-(2 pi s f)^2) and noise adds a floor (Parseval), so that the
logarithms of the powers tell both apart at every level; the flank of a stroke, which noise hides, does not.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.preprocessing import PolynomialFeatures
from threadpoolctl import threadpool_limits

RING = 1 / 32  # cycles per px; a reader is for images of the size that it was fitted on
RINGS = 17  # up to half a cycle per px, and the corners
FLOOR = 1e-3  # of power, at which the rounding to bytes lies
PENALTY = 1.0


def measure_spectrum(grey: np.ndarray) -> np.ndarray:
    """Logarithm of the mean power in rings of frequency; float64 [N, H, W] in [0, 1] to [N, RINGS]."""
    height, width = grey.shape[1:]
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    ring = np.minimum((frequency / RING).astype(np.int64), RINGS - 1).ravel()
    power = (np.abs(np.fft.fft2(grey)) ** 2).reshape(len(grey), -1) * (32 * 32 / (height * width))
    members = (ring[:, None] == np.arange(RINGS)).astype(float)
    means = power[:, None] @ (members / np.maximum(members.sum(axis=0), 1))  # one product per image: equal bytes
    return np.asarray(np.log(means[:, 0] + FLOOR))


@dataclass(frozen=True)
class SpectrumReader:
    """A quadratic function of the rings; centre, scale: [RINGS].  weights: [P], the constant first."""

    centre: np.ndarray
    scale: np.ndarray
    weights: np.ndarray

    def read(self, powers: np.ndarray) -> np.ndarray:
        """What it was fitted to, [N]; powers: [N, RINGS]."""
        return np.asarray(_expand((powers - self.centre) / self.scale) @ self.weights)


def fit_spectrum(powers: np.ndarray, level: np.ndarray) -> SpectrumReader:
    """Ridge regression of a known level [N] on the rings [N, RINGS]."""
    centre, scale = powers.mean(axis=0), np.maximum(powers.std(axis=0), 1e-9)
    with threadpool_limits(1):  # equal bytes whatever the number of threads
        fitted = Ridge(PENALTY).fit(_expand((powers - centre) / scale)[:, 1:], level)
    return SpectrumReader(centre, scale, np.append(fitted.intercept_, fitted.coef_))


def _expand(scaled: np.ndarray) -> np.ndarray:
    return np.asarray(PolynomialFeatures(2).fit_transform(scaled))
