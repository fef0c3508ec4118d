"""The German Traffic Sign Recognition Benchmark, read inside its archives; nothing is unpacked to disk.

J. Stallkamp, M. Schlipsing, J. Salmen, C. Igel, "Man vs. computer: Benchmarking machine learning algorithms for traffic
sign recognition", Neural Networks 32, 2012; its terms of use: https://benchmark.ini.rub.de
"""

import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from failure_atlas.core.errors import StageError
from failure_atlas.images.download import download
from failure_atlas.images.frame import BadImageError
from failure_atlas.images.image_folder import DAMAGE, decode_picture
from failure_atlas.images.own_images import OwnImage, OwnImages
from failure_atlas.images.problems import Label

SIGNS = (
    "20 km/h limit", "30 km/h limit", "50 km/h limit", "60 km/h limit", "70 km/h limit", "80 km/h limit",
    "end of 80 km/h limit", "100 km/h limit", "120 km/h limit", "no overtaking", "no overtaking by lorries",
    "priority at junction", "priority road", "give way", "stop", "no vehicles", "no lorries", "no entry", "danger",
    "bend left", "bend right", "double bend", "bumpy road", "slippery road", "road narrows", "road works",
    "traffic signals", "pedestrians", "children", "bicycles", "ice or snow", "wild animals", "end of all limits",
    "turn right", "turn left", "straight ahead", "straight or right", "straight or left", "keep right", "keep left",
    "roundabout", "end of no overtaking", "end of no overtaking by lorries",
)  # fmt: skip

SIGNS_VARIABLE = "GTSRB_DIR"  # of the environment: a folder with the archives
ADDRESS = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
# The first holds all 39,209 training images; the second, which torchvision takes, the 26,640 of the competition's first
# part. The test set is that of both.
TRAINING = ("GTSRB_Final_Training_Images.zip", "GTSRB-Training_fixed.zip")
TEST, TEST_LIST = "GTSRB_Final_Test_Images.zip", "GTSRB_Final_Test_GT.zip"
MD5 = {
    TRAINING[0]: "f33fd80ac59bff73c82d25ab499e03a3",
    TRAINING[1]: "513f3c79a4c5141765e10e952eaa2478",
    TEST: "c7e4e6327067d32654124b0fe9e82185",
    TEST_LIST: "fe31e9c9270bbcd7b84b7f21a9d9d9e5",
}

FRAME = re.compile(r"GTSRB/(?:Final_Training/Images|Training)/(000[0-3]\d|0004[0-2])/(\d{5})_\d{5}\.ppm")
TEST_IMAGE, LIST_NAME = re.compile(r"GTSRB/Final_Test/Images/(\d{5}\.ppm)"), "GT-final_test.csv"
TRACKS = 100_000  # more than a class has
MOST_MEMBERS, MOST_MEMBER_BYTES, MOST_ARCHIVE_BYTES = 100_000, 1 << 23, 1 << 30


def fetch_gtsrb(downloads: Path, fetch: Callable[..., None] = download) -> Path:
    """The folder with the archives inside `downloads`; those not there yet are fetched, 350 MB in all."""
    folder = downloads / "gtsrb"
    for name in (TRAINING[0], TEST, TEST_LIST):
        if not (folder / name).exists():
            fetch([ADDRESS + name], folder / name, partial(check_archive, name=name), folder_variable=SIGNS_VARIABLE)
    return folder


def read_gtsrb(folder: Path) -> OwnImages:
    """The training images, by class, track and frame, and the test images of the archives in a folder.

    The first of the two archives of training images that is there is read.  A track is one sign, up to 30 times.
    Raises StageError if an archive is missing, not the official one, or does not hold what it should.
    """
    names = next((name for name in TRAINING if (folder / name).exists()), TRAINING[0]), TEST, TEST_LIST
    training, test, listed = (_open(folder / name) for name in names)
    frames = sorted(filter(None, map(FRAME.fullmatch, training.namelist())), key=lambda match: match[0])
    images = [
        OwnImage(
            Label("train", match[0].removeprefix("GTSRB/"), SIGNS[int(match[1])]),
            partial(_read, training, match[0]),
            TRACKS * int(match[1]) + int(match[2]),
        )
        for match in frames
    ]
    labels = _read_list(listed)
    shown = {match[1]: match[0] for match in map(TEST_IMAGE.fullmatch, test.namelist()) if match}
    if not frames or not shown or shown.keys() != labels.keys():
        raise StageError(
            f"{folder}: {names[0]} holds {len(frames)} images, {names[1]} {len(shown)} and {names[2]} classes for "
            f"{len(labels)}, which do not fit; get the archives again from {ADDRESS}"
        )
    images += [
        OwnImage(Label("test", shown[name].removeprefix("GTSRB/"), SIGNS[labels[name]]), partial(_read, test, path))
        for name, path in sorted(shown.items())
    ]
    return OwnImages(images, SIGNS)


def check_archive(path: Path, name: str) -> None:
    """StageError unless a file is the official archive of that name."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
    if found != MD5[name]:
        raise StageError(
            f"{path}: wrong checksum: MD5 is {found}, expected {MD5[name]}; the archive is damaged or another one: get "
            f"it again from {ADDRESS}{name}"
        )


def _open(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise StageError(
            f"{path}: missing; prepare_images.source gtsrb needs {' or '.join(TRAINING)}, {TEST} and {TEST_LIST} (from "
            f"{ADDRESS}, where they are downloaded from if {SIGNS_VARIABLE} is not set)"
        )
    check_archive(path, path.name)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, *DAMAGE) as error:
        raise StageError(f"{path}: no readable zip archive ({error}); get it again from {ADDRESS}") from error
    sizes = [member.file_size for member in archive.infolist()]
    if len(sizes) > MOST_MEMBERS or max(sizes, default=0) > MOST_MEMBER_BYTES or sum(sizes) > MOST_ARCHIVE_BYTES:
        raise StageError(
            f"{path}: unpacks to {len(sizes):,} files of {sum(sizes):,} bytes, the largest {max(sizes):,}; allowed: "
            f"{MOST_MEMBERS:,}, {MOST_ARCHIVE_BYTES:,} and {MOST_MEMBER_BYTES:,}"
        )
    return archive


def _read(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    try:
        content = archive.read(name)
    except (zipfile.BadZipFile, *DAMAGE) as error:
        raise BadImageError("unreadable", f"{type(error).__name__}: {error}") from error
    return decode_picture(io.BytesIO(content), ("PPM",))


def _read_list(archive: zipfile.ZipFile) -> dict[str, int]:
    """The class of each test image, by file name."""
    try:
        rows = csv.DictReader(io.StringIO(archive.read(LIST_NAME).decode("utf-8-sig")), delimiter=";")
        labels = {row["Filename"]: int(row["ClassId"]) for row in rows}
    except (zipfile.BadZipFile, *DAMAGE) as error:
        told = f"{type(error).__name__}: {error}"
        raise StageError(
            f"{archive.filename}: holds no {LIST_NAME} with Filename and ClassId, separated by ';' ({told})"
        ) from error
    strange = [label for label in labels.values() if not 0 <= label < len(SIGNS)]
    if strange:
        raise StageError(f"{archive.filename}: class {strange[0]} is out of range; allowed: 0 to {len(SIGNS) - 1}")
    return labels
