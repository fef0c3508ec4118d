"""Every corruption by name, with its strength at severity 1 to 5, and the steps of a recipe.

The constants are those of the authors' code. Lengths are in pixels of the image at hand: imagenet-c means images of
224 px, tiny-imagenet-c of 64 px, cifar-c of 32 px; mnist-c takes those of imagenet-c at 28 px, which is severe.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from failure_atlas.corruptions import blurs, geometry, overlays, values, weather

IMAGENET_C, TINY_IMAGENET_C, CIFAR_C, MNIST_C = "imagenet-c", "tiny-imagenet-c", "cifar-c", "mnist-c"
OWN = "own"  # of this project, where no cited table has severities
SEVERITIES = 5

HENDRYCKS = "Hendrycks and Dietterich 2019, hendrycks/robustness, ImageNet-C/create_c"
MU = "Mu and Gilmer 2019, google-research/mnist-c, corruptions.py"
AFTER_MU = f"own; severity 5 is the one strength of {MU}"
ZEILER = "own; grey square of Zeiler and Fergus 2014, at severity 5 as large as in DeVries and Taylor 2017 (16 of 32)"

Constants = tuple[float, ...]
Rows = tuple[Constants, ...]


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption, with its strength at severity 1 to 5.

    name: as in the recipe.  change: (images, stream, *constants) -> images, float64 [N, C, H, W] in [0, 1] to the same;
    what it does to an image depends on nothing but that image, the constants and its generator.
    unit: what the constants are.  source: where they were read.  tables: table -> the constants of each severity.
    key: the name in stores, metrics and streams.  channels: what an image may have.
    """

    name: str
    change: Callable[..., np.ndarray]
    unit: str
    source: str
    tables: Mapping[str, Rows]
    key: str = ""
    channels: tuple[int, ...] = (1, 3)

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", self.name)
        for table, rows in self.tables.items():
            if len(rows) != SEVERITIES:
                raise ValueError(f"{self.name}: table {table} has {len(rows)} rows; needed: {SEVERITIES}")


def rows(constants: Sequence[object]) -> Rows:
    """One tuple per severity; a single constant stands for a tuple of one."""
    return tuple(tuple(row) if isinstance(row, (tuple, list)) else (row,) for row in constants)


def _all(imagenet: Sequence[object], tiny: Sequence[object], cifar: Sequence[object]) -> dict[str, Rows]:
    """The tables of Hendrycks and Dietterich, and that of MNIST-C, which takes the first of them."""
    tables = {IMAGENET_C: imagenet, TINY_IMAGENET_C: tiny, CIFAR_C: cifar, MNIST_C: imagenet}
    return {table: rows(constants) for table, constants in tables.items()}


def _mnist(*constants: object) -> dict[str, Rows]:
    return {MNIST_C: rows(constants)}


def _own(*constants: object) -> dict[str, Rows]:
    return {OWN: rows(constants)}


ADDED = (0.1, 0.2, 0.3, 0.4, 0.5)
CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
RADIANS = OPACITIES = (0.2, 0.4, 0.6, 0.8, 1.0)
ZOOM_SMALL = tuple((end, 0.01) for end in (1.06, 1.11, 1.16, 1.21, 1.26))
SNOW_SMALL = (
    (0.1, 0.2, 1, 0.6, 8, 3), (0.1, 0.2, 1, 0.5, 10, 4), (0.15, 0.3, 1.75, 0.55, 10, 4), (0.25, 0.3, 2.25, 0.6, 12, 6),
    (0.3, 0.3, 1.25, 0.65, 14, 12),
)  # fmt: skip


def _snow(*kept: float) -> list[Constants]:
    return [(*row, share) for row, share in zip(SNOW_SMALL, kept, strict=True)]


# fmt: off
ENTRIES = (
    Corruption("gaussian_noise", values.add_gaussian_noise, "std", HENDRYCKS, _all(
        (0.08, 0.12, 0.18, 0.26, 0.38), (0.04, 0.08, 0.12, 0.15, 0.18), (0.04, 0.06, 0.08, 0.09, 0.10)),
        key="noise"),  # as stores have named the paper's second step from the start
    Corruption("shot_noise", values.add_shot_noise, "photons at white", HENDRYCKS, _all(
        (60, 25, 12, 5, 3), (250, 100, 50, 30, 15), (500, 250, 100, 75, 50))),
    Corruption("impulse_noise", values.add_impulse_noise, "share of values", HENDRYCKS, _all(
        (0.03, 0.06, 0.09, 0.17, 0.27), (0.01, 0.02, 0.05, 0.08, 0.14), (0.01, 0.02, 0.03, 0.05, 0.07))),
    Corruption("speckle_noise", values.add_speckle_noise, "std, relative", HENDRYCKS, _all(
        (0.15, 0.2, 0.35, 0.45, 0.6), (0.15, 0.2, 0.25, 0.3, 0.35), (0.06, 0.1, 0.12, 0.16, 0.2))),
    Corruption("gaussian_blur", blurs.blur_gaussian, "std, px", HENDRYCKS, _all(
        (1, 2, 3, 4, 6), (0.5, 0.75, 1, 1.25, 1.5), (0.4, 0.6, 0.7, 0.8, 1)),
        key="blur"),  # as stores have named the paper's first step from the start
    Corruption("defocus_blur", blurs.blur_defocus, "radius, px; std of its edge, px", HENDRYCKS, _all(
        ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
        ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
        ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)))),
    Corruption("motion_blur", blurs.blur_motion, "radius, px; std, px", HENDRYCKS, _all(
        ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
        ((10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)),
        ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)))),
    Corruption("glass_blur", blurs.blur_glass, "std, px; reach of a swap, px; rounds", HENDRYCKS, _all(
        ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
        ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
        ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)))),
    Corruption("zoom_blur", blurs.blur_zoom, "end of the factors; step", HENDRYCKS, _all(
        ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)), ZOOM_SMALL, ZOOM_SMALL)),
    Corruption("brightness", values.brighten, "added value", HENDRYCKS, _all(
        ADDED, ADDED, (0.05, 0.1, 0.15, 0.2, 0.3))),
    Corruption("contrast", values.lower_contrast, "factor", HENDRYCKS, _all(
        CONTRAST, CONTRAST, (0.75, 0.5, 0.4, 0.3, 0.15))),
    Corruption("saturate", values.saturate, "factor; added saturation", HENDRYCKS, {
        IMAGENET_C: rows(((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))),
        TINY_IMAGENET_C: rows(((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (30, 0.2))),
        CIFAR_C: rows(((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)))}, channels=(3,)),
    Corruption("quantize", values.quantize, "bits", MU, _mnist(5, 4, 3, 2, 1)),
    Corruption("fog", weather.add_fog, "strength; decay per level", HENDRYCKS, _all(
        ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
        ((0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)),
        ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)))),
    Corruption(
        "snow", weather.add_snow, "mean; std; enlargement; threshold; fall, px; its std, px; share of the image",
        HENDRYCKS, _all(
            ((0.1, 0.3, 3, 0.5, 10, 4, 0.8), (0.2, 0.3, 2, 0.5, 12, 4, 0.7), (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
             (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65), (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55)),
            _snow(0.8, 0.8, 0.7, 0.65, 0.6), _snow(0.95, 0.9, 0.9, 0.85, 0.8))),
    Corruption(
        "spatter", weather.add_spatter, "mean; std; size of drops, px; threshold; std of their edge, px", MU, _mnist(
            (0.65, 0.3, 4, 0.69, 0.6), (0.65, 0.3, 3, 0.68, 0.6), (0.65, 0.3, 2, 0.68, 0.5), (0.65, 0.3, 1, 0.65, 1.5),
            (0.67, 0.4, 1, 0.65, 1.5))),
    Corruption("jpeg_compression", values.compress_jpeg, "quality", HENDRYCKS, _all(
        (25, 18, 15, 10, 7), (65, 58, 50, 40, 25), (80, 65, 58, 50, 40))),
    Corruption("pixelate", values.pixelate, "share of the size", HENDRYCKS, _all(
        (0.6, 0.5, 0.4, 0.3, 0.25), (0.9, 0.8, 0.7, 0.6, 0.5), (0.95, 0.9, 0.85, 0.75, 0.65))),
    Corruption("rotate", geometry.rotate, "radians", MU, _mnist(*RADIANS)),
    Corruption("scale", geometry.scale, "1 / size", MU, _mnist(*(1 / share for share in (0.9, 0.8, 0.7, 0.6, 0.5)))),
    Corruption("shear", geometry.shear, "radians", MU, _mnist(*RADIANS)),
    Corruption("translate", geometry.translate, "px along both axes", MU, _mnist(1, 2, 3, 4, 5)),
    Corruption(
        "elastic_transform", geometry.transform_elastically,
        "reach; std of the field; jitter of the affine map (shares of the side)", HENDRYCKS, _all(
            ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02),
             (0.12, 0.01, 0.02)),  # written there for 244 px, where 224 was meant
            ((0, 0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02)),
            ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)))),
    Corruption("occlusion", overlays.occlude, "share of the side", ZEILER, _own(1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2)),
    Corruption("stripe", overlays.invert_stripes, "share of the width", AFTER_MU, _own(0.05, 0.1, 0.15, 0.2, 0.25)),
    Corruption("dotted_line", overlays.add_dotted_line, "opacity", AFTER_MU, _own(*OPACITIES)),
    Corruption("zigzag", overlays.add_zigzag, "opacity", AFTER_MU, _own(*OPACITIES)),
    Corruption("canny_edges", overlays.show_edges, "opacity", AFTER_MU, _own(*OPACITIES)),
)
# fmt: on
REGISTRY: Mapping[str, Corruption] = {entry.name: entry for entry in ENTRIES}


@dataclass(frozen=True)
class Step:
    """One corruption of a recipe; rows: its constants at severity 1 to 5, of `table`."""

    corruption: Corruption
    table: str
    rows: Rows

    @property
    def key(self) -> str:
        """The name in stores, metrics and streams."""
        return self.corruption.key

    def constants(self, severity: int) -> Constants:
        """The constants of severity 1 to 5."""
        return self.rows[severity - 1]


def check_names(names: Sequence[str]) -> None:
    """Raise ValueError, which says what is allowed, for an unknown name or one that is given twice."""
    for name in names:
        if name not in REGISTRY:
            raise ValueError(f"names from: {', '.join(REGISTRY)}; there is no {name!r}")
    if len(set(names)) < len(names):
        raise ValueError("each corruption at most once, for its severities are stored under its name")


def choose_steps(names: Sequence[str], table: str) -> list[Step]:
    """The steps of a recipe. An entry with one table takes it; one with several takes `table`.

    Raises ValueError that says what is allowed: for wrong names, and for a table that an entry lacks.
    """
    check_names(names)
    return [_choose_step(REGISTRY[name], table) for name in names]


def _choose_step(corruption: Corruption, table: str) -> Step:
    tables = corruption.tables
    chosen = next(iter(tables)) if len(tables) == 1 else table
    if chosen not in tables:
        raise ValueError(f"table {' or '.join(tables)} with {corruption.name} in the recipe; got table {table}")
    return Step(corruption, chosen, tables[chosen])


def refuse_channels(steps: Sequence[Step], channels: int) -> None:
    """Raise ValueError that names the first step that has no meaning on images of so many channels."""
    for step in steps:
        allowed = step.corruption.channels
        if channels not in allowed:
            needed = " or ".join(map(str, allowed))
            fitting = ", ".join(name for name, entry in REGISTRY.items() if channels in entry.channels)
            raise ValueError(
                f"{step.corruption.name} needs images of {needed} channels, these have {channels}; "
                f"allowed on them: {fitting}"
            )
