"""A published survey of images that were made to fool a classifier, and the judge before the same images.

The form is that of Riccio and Tonella (When and why test generators for deep learning produce invalid inputs, ICSE
2023): one row per image in a table, with two people's words for it, and the images in the same order in an .npz file.
The project holds none of these files.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from failure_atlas.core.errors import StageError
from failure_atlas.images.frame import Frame, frame_all
from failure_atlas.images.npz import DAMAGE
from failure_atlas.judges.ensemble import Ensemble
from failure_atlas.judges.verdicts import measure_kappa
from failure_atlas.statistics.estimates import proportion
from failure_atlas.world.show import JUDGE, World
from stages.judge_failures.sheet import read_text

EXPECTED, WORDS = "Expected", ("ASS 1", "ASS 2")
SIZE_PX = 32  # the frame in which the released judges see images
MOST_BYTES = 20_000_000  # of the table
MOST_UNPACKED = 1_000_000_000  # bytes of the images
NOTHING = -1  # what a person said who saw none of the classes


@dataclass(frozen=True)
class Survey:
    """images: uint8 [N, C, 32, 32].  expected: int64 [N], the class meant.  said: int64 [N, 2], the class that each of
    two people saw, or NOTHING."""

    images: np.ndarray
    expected: np.ndarray
    said: np.ndarray


def read_survey(table: Path, images: Path, class_names: Sequence[str]) -> Survey:
    """A survey and its images, framed on black as the released judges see them.

    table: with the columns Expected, a class, and `ASS 1` and `ASS 2`, such as `Digit 5`: the last word is a class, or
    the person saw none.  images: its array `images`, uint8 or floats in about [0, 1], which are clipped.
    Raises StageError if a file is missing, too large, damaged or of another form.
    """
    if table.is_file() and (size := table.stat().st_size) > MOST_BYTES:
        raise StageError(f"{table}: {size:,} bytes; allowed: at most {MOST_BYTES:,}; give the survey's table alone")
    held = read_text(table, [EXPECTED, *WORDS], "use the table of the survey with all its columns")
    places = {name: place for place, name in enumerate(class_names)}
    expected = held[EXPECTED].str.strip()
    if not expected.isin(places).all():
        row = int((~expected.isin(places)).to_numpy().argmax())
        allowed = f"a class of the judge: {', '.join(class_names)}"
        raise StageError(f"{table}: row {row + 2}: {EXPECTED}: got '{expected[row]}'; allowed: {allowed}")
    said = np.stack([held[word].str.split().str[-1].map(places).fillna(NOTHING).to_numpy(int) for word in WORDS], 1)
    if (said == NOTHING).all():
        raise StageError(f"{table}: no word in {' and '.join(WORDS)} ends in a class ({', '.join(class_names)})")
    pixels = _read_pixels(images)
    channels = pixels.shape[3] if pixels.ndim == 4 else 1
    if pixels.ndim not in (3, 4) or channels not in (1, 3) or max(pixels.shape[1:3]) > SIZE_PX:
        allowed = f"[N, H, W] or [N, H, W, 1 or 3] of at most {SIZE_PX} px"
        raise StageError(f"{images}: images has the shape {list(pixels.shape)}; needed: {allowed}")
    if len(pixels) != len(held):
        raise StageError(f"{images}: {len(pixels)} images, {table} has {len(held)} rows; give those of this table")
    if pixels.dtype != np.uint8:
        if pixels.dtype.kind != "f" or not (np.abs(pixels.astype(float) - 0.5) <= 1).all():  # also refuses NaN
            raise StageError(f"{images}: images is {pixels.dtype}; allowed: uint8, or floats in about 0 to 1")
        pixels = np.rint(np.clip(pixels.astype(float), 0, 1) * 255).astype(np.uint8)
    return Survey(frame_all(pixels, Frame(SIZE_PX, channels, "pad")), expected.map(places).to_numpy(int), said)


def _read_pixels(path: Path) -> np.ndarray:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MOST_UNPACKED:
            raise StageError(f"{path}: unpacks to {size:,} bytes; allowed: at most {MOST_UNPACKED:,}")
        with np.load(path, allow_pickle=False) as held:
            return np.asarray(held["images"])
    except (*DAMAGE, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise StageError(f"{path}: no .npz file with an array images ({reason}); give that of the survey") from error


def compare_people(survey: Survey, judge: Ensemble, confidence: float, random: np.random.Generator) -> dict[str, Any]:
    """The judge's verdict on each image against two people, and these against each other, shares as `{value, ..., n}`.

    By people an image is a true failure if they see the class meant (the classifier it was made for sees another); by
    the judge if it gives that class at least `confidence`. Precision and recall are of the images on which both people
    say alike whether it is one, and whether it shows a class at all.
    judge_agrees_where_sure: of those in which both see the same class and the judge is sure of one, the share in which
    it is that class.  people_agreement, people_kappa: on the class, or none, of all images.
    """
    try:
        opinion = World(nn.Identity(), {JUDGE: judge}).look(survey.images).softmax(JUDGE)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise StageError(f"the judge cannot look at images of {survey.images.shape[1]} channels: {reason}") from error
    kept = opinion[np.arange(len(opinion)), survey.expected] >= confidence
    first, second = survey.said.T
    sees_meant, sees_none = survey.said == survey.expected[:, None], survey.said == NOTHING
    alike = (sees_meant[:, 0] == sees_meant[:, 1]) & (sees_none[:, 0] == sees_none[:, 1])
    true = sees_meant[:, 0]
    sure = (first == second) & ~sees_none[:, 0] & (opinion.max(axis=1) >= confidence)
    return {
        "confidence": confidence,
        "images": len(opinion),
        "people_alike": int(alike.sum()),
        "precision": proportion(true[alike & kept]),
        "recall": proportion(kept[alike & true]),
        "judge_agrees_where_sure": proportion((opinion.argmax(axis=1) == first)[sure]),
        "people_agreement": proportion(first == second),
        "people_kappa": measure_kappa(first, second, random),
    }
