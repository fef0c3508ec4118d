"""Changes of tone: brightness, contrast, saturation, and fewer grey levels. Nothing is drawn; no constant knows a size.

Colours go through HSV as scikit-image has it.
"""

import numpy as np
from skimage.color import hsv2rgb, rgb2hsv

from failure_atlas.corruptions.entry import (
    HENDRYCKS,
    MNIST_C,
    MU,
    Corruption,
    by_hendrycks,
    clip_unit,
    rows,
    without_chance,
)

COLOUR = 3
HUE_SATURATION_VALUE = 1  # the axis of channels


@without_chance
def brighten(images: np.ndarray, added: float) -> np.ndarray:
    """Raise the value of HSV, clipped; on grey images that is the grey itself."""
    if images.shape[1] != COLOUR:
        return clip_unit(images + added)
    hsv = rgb2hsv(images, channel_axis=HUE_SATURATION_VALUE)
    hsv[:, 2] = np.clip(hsv[:, 2] + added, 0, 1)
    return clip_unit(hsv2rgb(hsv, channel_axis=HUE_SATURATION_VALUE))


@without_chance
def lower_contrast(images: np.ndarray, factor: float) -> np.ndarray:
    """Move every value towards the mean of its image and channel."""
    means = np.array([[channel.mean() for channel in image] for image in images])[:, :, None, None]
    return clip_unit((images - means) * factor + means)


@without_chance
def saturate(images: np.ndarray, factor: float, added: float) -> np.ndarray:
    """Scale and raise the saturation of HSV, clipped: severities 1 and 2 pale, the others garish. Colour only."""
    hsv = rgb2hsv(images, channel_axis=HUE_SATURATION_VALUE)
    hsv[:, 1] = np.clip(hsv[:, 1] * factor + added, 0, 1)
    return clip_unit(hsv2rgb(hsv, channel_axis=HUE_SATURATION_VALUE))


@without_chance
def quantize(images: np.ndarray, bits: float) -> np.ndarray:
    """Round to 2^bits levels from black to white."""
    levels = 2 ** int(bits) - 1
    return np.asarray(np.round(images * levels) / levels)


BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)
CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)

TONES = (
    Corruption(
        "brightness",
        brighten,
        by_hendrycks(BRIGHTNESS, BRIGHTNESS, (0.05, 0.1, 0.15, 0.2, 0.3)) | {MNIST_C: rows(BRIGHTNESS)},
        "added value",
        HENDRYCKS,
    ),
    Corruption(
        "contrast",
        lower_contrast,
        by_hendrycks(CONTRAST, CONTRAST, (0.75, 0.5, 0.4, 0.3, 0.15)) | {MNIST_C: rows(CONTRAST)},
        "factor",
        HENDRYCKS,
    ),
    Corruption(
        "saturate",
        saturate,
        by_hendrycks(
            ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
            ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (30, 0.2)),
            ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
        ),
        "factor; added saturation",
        HENDRYCKS,
        channels=(COLOUR,),
    ),
    Corruption("quantize", quantize, {MNIST_C: rows((5, 4, 3, 2, 1))}, "bits", MU),
)
