"""Values changed where they stand: noise, tone (brightness, contrast, saturation, fewer levels), JPEG, larger pixels.

No constant knows a size. Noise is drawn for each pixel and channel by itself: on grey images stacked to RGB it would
differ by channel, as on colour ones. Colours go through HSV as scikit-image has it; JPEG and pixels are Pillow's.
"""

from io import BytesIO

import numpy as np
import torch
from PIL import Image
from skimage.color import hsv2rgb, rgb2hsv

from failure_atlas.corruptions.entry import (
    clip_unit,
    draw_normal,
    draw_uniform,
    image_by_image,
    multiply_axes,
    without_chance,
)

WHITE = 255
COLOUR = 3
HUE_SATURATION_VALUE = 1  # the axis of channels


@image_by_image
def add_gaussian_noise(image: np.ndarray, generator: torch.Generator, std: float) -> np.ndarray:
    """x + std n, n standard normal, clipped."""
    return clip_unit(image + draw_normal(generator, image.shape) * std)


@image_by_image
def add_shot_noise(image: np.ndarray, generator: torch.Generator, photons: float) -> np.ndarray:
    """Counting noise: Poisson of mean x photons, divided by photons, clipped; black unchanged."""
    counts: np.ndarray = torch.poisson(torch.from_numpy(image * photons), generator=generator).numpy()
    return clip_unit(counts / photons)


@image_by_image
def add_impulse_noise(image: np.ndarray, generator: torch.Generator, amount: float) -> np.ndarray:
    """Salt and pepper: each value is replaced with chance `amount`, by 0 or 1 with equal chance."""
    hit = draw_uniform(generator, image.shape) < amount
    salt = draw_uniform(generator, image.shape) < 0.5
    return np.where(hit, salt.astype(image.dtype), image)


@image_by_image
def add_speckle_noise(image: np.ndarray, generator: torch.Generator, std: float) -> np.ndarray:
    """x + x std n, n standard normal, clipped: black unchanged."""
    return clip_unit(image + image * std * draw_normal(generator, image.shape))


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


@without_chance
def compress_jpeg(images: np.ndarray, quality: float) -> np.ndarray:
    """Through JPEG and back, grey or RGB, at 8 bits.

    The bytes are those of the JPEG library in Pillow: another release may round a grey level differently.
    """
    return np.stack([_compress(image, int(quality)) for image in images])


def _compress(image: np.ndarray, quality: int) -> np.ndarray:
    pixels = np.round(image * WHITE).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(pixels[0] if len(image) == 1 else np.moveaxis(pixels, 0, -1)).save(file, "JPEG", quality=quality)
    with Image.open(file) as decoded:
        values = np.asarray(decoded, np.float64) / WHITE
    return np.asarray(values[None] if len(image) == 1 else np.moveaxis(values, -1, 0))


@without_chance
def pixelate(images: np.ndarray, factor: float) -> np.ndarray:
    """Shrink to int(factor * size) pixels and enlarge again, by averages over boxes."""
    return clip_unit(multiply_axes(images, *(pixel_matrix(size, factor) for size in images.shape[-2:])))


def pixel_matrix(size: int, factor: float) -> np.ndarray:
    """Shrinking and enlarging along one axis as a matrix [size, size], made of what Pillow does to unit vectors."""
    small = max(1, int(size * factor))
    return np.asarray(_resize_rows(size, small) @ _resize_rows(small, size))


def _resize_rows(size: int, held: int) -> np.ndarray:
    """Resizing an axis of `held` pixels to `size`, as a matrix [size, held]."""
    units = Image.fromarray(np.eye(held, dtype=np.float32))
    return np.asarray(units.resize((held, size), Image.Resampling.BOX), np.float64)
