"""What images look like: attributes.zarr of measure_attributes, its writer and its reader."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from failure_atlas.attributes.calibration import Calibration, Scene, measure_scatter
from failure_atlas.attributes.registry import REGISTRY, choose_attributes
from failure_atlas.attributes.spectrum import SpectrumReader
from failure_atlas.core.arrays import read_array, read_attributes, write_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require

NO_SPREAD = 1e-6  # what does not vary at all tells no image from another
LEVELS = ("noise", "blur", "attribute")
DIMENSIONS = {
    "population": ("sample", "attribute"),
    "images": ("image", "attribute"),
    "spread": ("attribute",),
    "noise_std": ("noise",),
    "blur_std_px": ("blur",),
    "centre": ("ring",),
    "scale": ("ring",),
    "weights": ("term",),
    "mean": LEVELS,
    "standard_error": LEVELS,
}


@dataclass(frozen=True)
class Measured:
    """M attributes of the images that a run is about, as people read them (see `Calibration.read`).

    names: [M], of the registry.  population: float32 [N, M], of the population's samples.  images: float32 [T, M], of
    the corrupted test images. Both are NaN where an image shows no figure, and in columns that the scene has not.
    spread: [M], of mended measurements of the population within its classes, the unit of directions (see
    `measure_spread`); NaN where the scene has not what is measured.  calibration: with its scene.
    """

    names: tuple[str, ...]
    population: np.ndarray
    images: np.ndarray
    spread: np.ndarray
    calibration: Calibration

    @property
    def meaningful(self) -> np.ndarray:
        """Which attributes the scene has, bool [M]."""
        return np.asarray(np.isfinite(self.calibration.scene.keep(np.zeros(len(self.names)))))

    def offer(self, asked: Sequence[str] | None, true_class: np.ndarray, params: Path) -> tuple[str, ...]:
        """The attributes that conditions may be made of: those asked for, else those in which images visibly differ.

        params: the file in which find_modes.attributes asks; StageError for one that there is not.
        """
        there = [name for name, has in zip(self.names, self.meaningful, strict=True) if has]
        if asked is not None:
            unknown = [name for name in asked if name not in there]
            if unknown or not asked or len(set(asked)) < len(asked):
                held = unknown[0] if unknown else f"[{', '.join(asked)}]"
                allowed = f"null, or some of {', '.join(there)}, each once"
                raise StageError(f"{params}: find_modes.attributes: got {held}; allowed: {allowed}")
            return tuple(asked)
        scatter = dict(zip(self.names, measure_scatter(self.population, true_class), strict=True))
        least = {name: max(REGISTRY[name].least_spread, NO_SPREAD) for name in there}
        return tuple(name for name in there if scatter[name] >= least[name] and REGISTRY[name].offered)

    def pick(self, values: np.ndarray, chosen: Sequence[str]) -> np.ndarray:
        """Some columns of what was read, float64 [n, len(chosen)]; values: [n, M].

        Raises StageError for an attribute that these images do not show.
        """
        there = dict(zip(self.names, self.meaningful, strict=True))
        for name in chosen:
            if not there.get(name):
                raise StageError(f"measure_attributes: these images show no {name}, as those of the search do")
        return values[:, [self.names.index(name) for name in chosen]].astype(np.float64)


def write_measured(folder: Path, measured: Measured) -> None:
    """Write the store that `read_measured` reads."""
    calibration = measured.calibration
    arrays = {
        "population": measured.population.astype(np.float32),
        "images": measured.images.astype(np.float32),
        "spread": measured.spread,
        **{name: getattr(calibration, name) for name in ("noise_std", "blur_std_px", "mean", "standard_error")},
        **vars(calibration.spectrum),
    }
    told = {"names": list(measured.names), "scene": asdict(calibration.scene), "n": calibration.n}
    write_arrays(folder / "attributes.zarr", {name: (array, DIMENSIONS[name]) for name, array in arrays.items()}, told)


def read_measured(folder: Path, true_class: Sequence[int] | np.ndarray | None = None) -> Measured:
    """Read the result folder of measure_attributes.

    true_class: of the population that it has to be of, if its samples are looked at one by one.
    Raises StageError if it is missing, of another form, of other attributes, or of another population.
    """
    path = require(folder / "attributes.zarr", "measure_attributes")
    told, again = read_attributes(path), "make it again with: dvc repro measure_attributes"
    try:
        scene, names, n = Scene(**told["scene"]), tuple(map(str, told["names"])), int(told["n"])
    except (KeyError, TypeError, ValueError) as error:
        raise StageError(f"{path}: does not tell its scene, names and n ({error}); {again}") from error
    known = tuple(attribute.name for attribute in choose_attributes(3 if scene.colours else 1))
    if names != known:
        raise StageError(f"{path}: holds the attributes {', '.join(names)}; known are {', '.join(known)}; {again}")
    arrays = {name: read_array(path, name) for name in DIMENSIONS}
    levels = (len(arrays["noise_std"]), len(arrays["blur_std_px"]), len(names))
    wanted = {"mean": levels, "standard_error": levels, "spread": levels[2:]}
    wanted |= {name: (len(arrays[name]), len(names)) for name in ("population", "images")}
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise StageError(f"{path}: array '{name}' is of shape {arrays[name].shape}, not {shape}; {again}")
    held = arrays["population"]
    if true_class is not None and len(held) != len(true_class):
        raise StageError(f"{path}: measures {len(held)} samples, the population has {len(true_class)}; {again}")
    spectrum = SpectrumReader(*(arrays[name] for name in ("centre", "scale", "weights")))
    levels_read = {name: arrays[name] for name in ("noise_std", "blur_std_px", "mean", "standard_error")}
    calibration = Calibration(**levels_read, spectrum=spectrum, n=n, scene=scene)
    return Measured(names, held, arrays["images"], arrays["spread"], calibration)
