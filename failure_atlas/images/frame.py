"""One image of any size, grey or colour, into the square frame that all networks see."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from failure_atlas.core.errors import StageError

Kind = Literal["misplaced", "unreadable", "empty", "wrong_size", "duplicate", "leak", "conflict"]
Fit = Literal["pad", "resize", "stretch"]
CHANGES = ("converted_to_grey", "converted_to_colour", "padded", "resized")


class BadImageError(Exception):
    """One image that cannot be used; kind: what is wrong.  The text says more."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


@dataclass(frozen=True)
class Frame:
    """What every image becomes: [channels, size_px, size_px]; fit: how, see `frame_image`."""

    size_px: int
    channels: int
    fit: Fit


def frame_image(pixels: np.ndarray, frame: Frame) -> np.ndarray:
    """uint8 [H, W] or [H, W, 1 or 3] as uint8 [channels, size_px, size_px].

    Grey is repeated in each channel; colour becomes grey by luminance (ITU-R 601, as Pillow computes it).  fit 'pad':
    centred on black at its own size; 'resize': padded to a black square, then scaled to fill the frame, smaller by the
    mean of the area that a pixel covers, larger bilinearly; 'stretch': each side scaled on its own to fill the frame,
    bilinearly between the four nearest pixels, as OpenCV scales, so that fine texture aliases.
    Raises BadImageError if it is larger than the frame and not to be resized.
    """
    pixels = convert_channels(pixels, frame.channels)
    height, width = pixels.shape[:2]
    if frame.fit == "stretch":
        return np.moveaxis(_stretch(pixels, frame.size_px), -1, 0)
    if frame.fit == "resize":
        return np.moveaxis(_resize(_pad(pixels, max(height, width)), frame.size_px), -1, 0)
    if max(height, width) > frame.size_px:
        raise BadImageError("wrong_size", f"it is {width} x {height} px, size_px is {frame.size_px}")
    return np.moveaxis(_pad(pixels, frame.size_px), -1, 0)


def frame_all(images: np.ndarray, frame: Frame) -> np.ndarray:
    """Images of one size, uint8 [N, H, W] or [N, H, W, 1 or 3], as uint8 [N, channels, size_px, size_px].

    Raises StageError if they are larger than the frame.
    """
    framed = np.zeros((len(images), frame.channels, frame.size_px, frame.size_px), np.uint8)
    try:
        for row, pixels in enumerate(images):
            framed[row] = frame_image(pixels, frame)
    except BadImageError as error:
        height, width = images.shape[1:3]
        raise StageError(
            f"prepare_images.size_px: got {frame.size_px}, but the images are {width} x {height} px; raise it, or set "
            "prepare_images.fit: resize"
        ) from error
    return framed


def tell_changes(shape: tuple[int, ...], frame: Frame) -> list[str]:
    """Which of `CHANGES` framing makes to an image of the shape [H, W] or [H, W, C]."""
    changes = []
    channels = shape[2] if len(shape) == 3 else 1
    if channels != frame.channels:
        changes.append("converted_to_grey" if frame.channels == 1 else "converted_to_colour")
    height, width = shape[:2]
    if frame.fit != "stretch" and (height != width or (frame.fit == "pad" and height != frame.size_px)):
        changes.append("padded")
    sides = {"pad": set[int](), "resize": {max(height, width)}, "stretch": {height, width}}[frame.fit]
    if sides - {frame.size_px}:
        changes.append("resized")
    return changes


def check_shown(pixels: np.ndarray) -> None:
    """BadImageError if an image [H, W] or [H, W, C] shows nothing: no pixel, or one value everywhere."""
    if not pixels.size:
        raise BadImageError("empty", f"it is {pixels.shape[1]} x {pixels.shape[0]} px")
    if np.all(pixels == pixels[0, 0]):
        raise BadImageError("empty", "all its pixels are alike")


def convert_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """uint8 [H, W] or [H, W, 1 or 3] as uint8 [H, W, channels]."""
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).convert("L"))[..., None]


def _pad(pixels: np.ndarray, size_px: int) -> np.ndarray:
    height, width, channels = pixels.shape
    framed = np.zeros((size_px, size_px, channels), np.uint8)
    top, left = (size_px - height) // 2, (size_px - width) // 2
    framed[top : top + height, left : left + width] = pixels
    return framed


def _resize(square: np.ndarray, size_px: int) -> np.ndarray:
    held = square.shape[0]
    if held == size_px:
        return square
    how = Image.Resampling.BOX if held > size_px else Image.Resampling.BILINEAR
    planes = [
        np.asarray(Image.fromarray(plane).resize((size_px, size_px), how)) for plane in np.moveaxis(square, -1, 0)
    ]
    return np.stack(planes, axis=-1)


def _stretch(pixels: np.ndarray, size_px: int) -> np.ndarray:
    planes = torch.from_numpy(pixels.astype(np.float64)).permute(2, 0, 1)[None]
    scaled = functional.interpolate(planes, (size_px, size_px), mode="bilinear", align_corners=False)[0]
    return np.asarray(np.rint(scaled.permute(1, 2, 0).numpy()), np.uint8)
