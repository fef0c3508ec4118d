"""What the rooms upstream left, read and checked before any work: claimed failures, and who may say what of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from failure_atlas.core.arrays import read_array, read_attributes
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from failure_atlas.core.progress import Progress
from failure_atlas.core.weights import read_description
from failure_atlas.images.image_set import ImageSet
from failure_atlas.judges.ensemble import Ensemble, load_judge
from failure_atlas.judges.realism import measure_deviation, score_realism
from failure_atlas.stylegan2.discriminator import Discriminator
from failure_atlas.stylegan2.generator import NO_SNAPSHOT, Generator
from failure_atlas.stylegan2.state import load_discriminator
from stages.common.artefacts.images import read_class_names, read_images
from stages.common.artefacts.population import Samples

POPULATION, CORNER_CASE, SEARCH, REAL = "population", "corner case", "true failure search", "real test image"
# Missing where nobody walked; name: what the move does to images of the class, `not named` where nobody measured it;
# noise_draw: which draw of noise the start was shown under.
WALK_COLUMNS = {
    "dimension": "Int64", "direction": "Int64", "name": "string", "shift_std": "Float64", "noise_draw": "Int64"
}  # fmt: skip
AGAIN = "make {} again with: dvc repro walk_corner_cases"


@dataclass(frozen=True)
class Claims:
    """M images on which the classifier is claimed to fail.

    source: one of the names above.  index: [M] int64, of the population sample, or the row of the source's own table.
    styles: [M, D] float32.  noise: int64 [M], the seed of each.  images: [M, C, H, W] uint8, rounded.  true_class: [M]
    int64, the class that was meant.  walks: M rows, the columns of WALK_COLUMNS.
    """

    source: str
    index: np.ndarray
    styles: np.ndarray
    noise: np.ndarray
    images: np.ndarray
    true_class: np.ndarray
    walks: pd.DataFrame

    def __len__(self) -> int:
        return len(self.index)


def claim_population(samples: Samples, images: np.ndarray, predicted: np.ndarray) -> Claims:
    """All misclassified samples of a population; images: [N, C, H, W] uint8.  predicted: [N] int64."""
    wrong = np.flatnonzero(predicted != samples.true_class)
    walks = pd.DataFrame(np.nan, index=range(len(wrong)), columns=list(WALK_COLUMNS)).astype(WALK_COLUMNS)
    own = (samples.styles[wrong], samples.noise[wrong], images[wrong], samples.true_class[wrong])
    return Claims(POPULATION, wrong, *own, walks)


def read_walks(folder: Path, dimensions: int, class_names: Sequence[str]) -> tuple[pd.DataFrame, Claims, Claims]:
    """All walks of a result folder of walk_corner_cases, those that reached 0.50, and the true failures of its search.

    The first is corner_cases.csv, with classes, layers and names as text. Of the second, each where it crossed; index:
    the row of corner_cases.csv. Of the third, index: the row of true_failures.zarr; shift_std is that of the true
    failure, which lies at the 0.50 crossing of its walk or beyond it.
    """
    path = require(folder / "corner_cases.csv", "walk_corner_cases")
    walks = pd.read_csv(path, dtype=dict.fromkeys(("class", "start", "layer", "kind", "name"), str))
    missing = [name for name in ("class", "layer", "kind", "reached", *WALK_COLUMNS) if name not in walks]
    if missing:
        raise StageError(f"{path}: lacks the columns {', '.join(missing)}; {AGAIN.format('it')}")

    store = folder / "corner_cases.zarr"
    *crossed, crossing = _read_store(store, "reached", dimensions, class_names)
    if len(crossing) != len(walks):
        raise StageError(f"{store}: {len(crossing)} walks, {path} has {len(walks)}; {AGAIN.format('both')}")
    reached = np.flatnonzero(crossing)

    store = folder / "true_failures.zarr"
    *found, rows = _read_store(store, "corner_case", dimensions, class_names)
    if rows.size and not 0 <= rows.min() <= rows.max() < len(walks):
        there = f"row {rows.max()} of corner_cases.csv, which has {len(walks)}"
        raise StageError(f"{store}: names {there}; {AGAIN.format('both')}")
    walked = _walks_of(walks.iloc[rows])
    if "true_failure_shift_std" in walks:
        walked["shift_std"] = walks["true_failure_shift_std"].iloc[rows].astype("Float64").to_numpy()
    own = [each[reached] for each in crossed]
    crossings = Claims(CORNER_CASE, reached, own[0], own[1], own[2], own[3], _walks_of(walks.iloc[reached]))
    return walks, crossings, Claims(SEARCH, np.arange(len(rows)), found[0], found[1], found[2], found[3], walked)


def load_judges(
    judge: Path, auditor: Path, class_names: Sequence[str], device: torch.device
) -> tuple[Ensemble, Ensemble]:
    """The judge and the auditor; StageError if they are one and the same, or know other classes."""
    judges = load_judge(judge, class_names, device), load_judge(auditor, class_names, device)
    if judge.read_bytes() == auditor.read_bytes():
        raise StageError(f"{auditor}: the auditor is the judge itself; it confirms nothing unless it is another one")
    return judges


def load_critic(snapshot: Path, generator: Generator, device: torch.device) -> Discriminator | None:
    """The discriminator of a snapshot, or None beside a generator that was brought, which has none.

    Raises StageError if it was not trained on images such as the generator makes.
    """
    if read_description(snapshot).get("kind") == NO_SNAPSHOT:
        return None
    critic = load_discriminator(snapshot, device)
    seen, made = critic.architecture, generator.architecture
    held = (seen.num_classes, seen.image_channels, 2 << len(seen.channels))
    needed = (made.num_classes, made.image_channels, made.size_px)
    if held != needed:
        told = "knows {} classes and images of {} channels and {} px, the generator makes {}, {} and {}"
        remedy = "use the snapshot of the same training"
        raise StageError(f"{snapshot}: its discriminator {told.format(*held, *needed)}; {remedy}")
    return critic


def measure_realism(
    critic: Discriminator | None, images: np.ndarray, true_class: np.ndarray, batch_size: int
) -> tuple[float, np.ndarray]:
    """The deviation that the critic meets in the population, and its score of each sample [N]; NaN without a critic."""
    if critic is None:
        return np.nan, np.full(len(images), np.nan)
    deviation = measure_deviation(critic, images, batch_size=batch_size)
    with Progress("realism of the population", len(images), "img") as progress:
        advance = progress.advance
        return deviation, score_realism(critic, images, true_class, deviation, batch_size=batch_size, advance=advance)


def read_test_images(path: Path, class_names: Sequence[str]) -> ImageSet:
    """The real test images; StageError if they are of other classes."""
    names = read_class_names(require(path, "corrupt_images"))
    if names != list(class_names):
        other = f"shows the classes {', '.join(names)}; the population has {', '.join(class_names)}"
        raise StageError(f"{path}: {other}; use the images that the generator learned from")
    return read_images(path, "test")


def _read_store(path: Path, name: str, dimensions: int, class_names: Sequence[str]) -> list[np.ndarray]:
    """Its styles, noise, images and labels, and one more array; StageError if it is missing or of another run."""
    styles = read_array(require(path, "walk_corner_cases"), "s")
    names = read_attributes(path).get("class_names", [])
    if styles.shape[1] != dimensions or list(names) != list(class_names):
        raise StageError(
            f"{path}: {styles.shape[1]} style dimensions and the classes {', '.join(map(str, names))}, the generator "
            f"has {dimensions} and the population {', '.join(class_names)}; {AGAIN.format('it')}"
        )
    return [styles, *(read_array(path, each) for each in ("noise", "images", "labels", name))]


def _walks_of(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[list(WALK_COLUMNS)].astype(WALK_COLUMNS).reset_index(drop=True)
