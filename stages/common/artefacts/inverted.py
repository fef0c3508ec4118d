"""Real images and their latents: inverted.zarr and images.csv of invert_images, their writer and their reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from failure_atlas.core.arrays import read_array, read_attributes, write_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import read_table, require
from failure_atlas.inversion.invert import Inverted
from failure_atlas.stylegan2.generator import Generator

COLUMNS = ["index", "draw", "class", "sample", "auditor_kept", "usable"]


@dataclass(frozen=True)
class RealImages:
    """N inverted images, with the rows of images.csv.

    images, reconstructions: uint8 [N, C, H, W].  true_class: int64 [N].  found: where they lie.
    """

    images: np.ndarray
    reconstructions: np.ndarray
    true_class: np.ndarray
    found: Inverted
    table: pd.DataFrame

    def select(self, rows: np.ndarray) -> "RealImages":
        """Some of them, by index or mask [N]."""
        found = Inverted(**{name: each[rows] for name, each in vars(self.found).items()})
        table = self.table.iloc[np.arange(len(self.table))[rows]].reset_index(drop=True)
        return RealImages(self.images[rows], self.reconstructions[rows], self.true_class[rows], found, table)

    def take_turns(self, good: np.ndarray, count: int) -> "RealImages":
        """The first `count` of the good ones that were drawn at random, classes in turn; good: bool [N]."""
        rows = np.flatnonzero(good & self.table["sample"].to_numpy(bool))
        turn = pd.Series(self.true_class[rows]).groupby(self.true_class[rows]).cumcount().to_numpy()
        return self.select(rows[np.lexsort((self.true_class[rows], turn))][:count])


def write_inverted(
    path: Path,
    found: Inverted,
    images: np.ndarray,
    reconstructions: np.ndarray,
    true_class: np.ndarray,
    class_names: Sequence[str],
) -> None:
    """Write the store that `read_inverted` reads."""
    pixels = ("image", "channel", "y", "x")
    arrays = {
        "images": (images, pixels),
        "reconstructions": (reconstructions, pixels),
        "labels": (true_class, ("image",)),
        "w": (found.w, ("image", "latent_w")),
        "offset": (found.offset, ("image", "style")),
        "s": (found.styles, ("image", "style")),
        "noise": (found.noise, ("image",)),
        "length_std": (found.length_std, ("image",)),
    }
    write_arrays(path, arrays, {"class_names": list(class_names)})


def read_inverted(folder: Path, generator: Generator, class_names: Sequence[str]) -> RealImages:
    """Read the result folder of invert_images; what is not usable is left out.

    Raises StageError if it is missing, or was made with another generator or for other classes.
    """
    path = require(folder / "inverted.zarr", "invert_images")
    table = read_table(folder / "images.csv", "invert_images", COLUMNS, dtype={"class": str}, keep_default_na=False)
    arrays = {
        name: read_array(path, name) for name in ("images", "reconstructions", "labels", "w", "offset", "s", "noise")
    }
    names = [str(name) for name in read_attributes(path).get("class_names", [])]
    wide = arrays["s"].shape[1]
    if names != list(class_names) or wide != generator.style_dimensions or len(table) != len(arrays["labels"]):
        raise StageError(
            f"{path}: {wide} style dimensions, classes {', '.join(names)}, {len(table)} rows of images.csv; the "
            f"generator has {generator.style_dimensions} and {', '.join(class_names)}; make it again with: "
            "dvc repro invert_images"
        )
    found = Inverted(arrays["w"], arrays["offset"], arrays["s"], arrays["noise"], read_array(path, "length_std"))
    whole = RealImages(arrays["images"], arrays["reconstructions"], arrays["labels"], found, table)
    return whole.select(table["usable"].to_numpy(bool))
