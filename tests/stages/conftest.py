"""Tiny inputs that every room's tests may share: a real generator, classifier, images and population, made in seconds.

They are made once per test run and read only; write into tmp_path. All have ten classes and 32 px images. The generator
has random weights; the classifier is trained for a moment on its images, so that it is sure of most of them; the images
store is a small one of the form that corrupt_images leaves.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from failure_atlas.brought.checkpoint import adapt, read_network, save_brought
from failure_atlas.brought.folder import hash_files
from failure_atlas.brought.params import BringClassifierParams
from failure_atlas.classifiers.networks import Classifier, load_classifier, save_classifier
from failure_atlas.core.arrays import read_array, write_arrays
from failure_atlas.core.files import write_csv
from failure_atlas.images.image_set import ImageSet, Severities, Split
from failure_atlas.inversion.invert import Inverted
from failure_atlas.judges.ensemble import Ensemble, save_ensemble
from failure_atlas.populations.sampling import Population, balance_labels, draw_latents, draw_noise, sample_population
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture, load_generator, save_generator
from failure_atlas.stylegan2.noise import draw_seeds
from failure_atlas.world.show import World
from stages.common.artefacts.images import named_arrays, named_severities
from stages.common.artefacts.inverted import write_inverted
from stages.common.artefacts.population import store_population, tabulate_styles
from stages.common.artefacts.ranking import GLOBAL
from stages.measure_attributes.__main__ import main as measure_attributes
from stages.rank_dimensions.__main__ import main as rank_dimensions
from tests import yaml12 as yaml
from tests.refusing import refused
from tests.stages.running import Stage, demanding_noise
from tests.stages.tiny_networks import CLASSES, teach, teach_population
from tests.strokes import take_digits

TRAIN_IMAGES, TEST_IMAGES, SAMPLES, NOISE_DRAWS = 100, 50, 200, 2


@pytest.fixture(scope="session")
def tiny_generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights file of a generator with random weights: 80 style dimensions, z = w = 8."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        architecture = GeneratorArchitecture(
            z_dim=8, w_dim=8, num_classes=CLASSES, mapping_layers=2, channels=(8, 8, 8, 4), image_channels=1,
            resampling="bilinear",
        )  # fmt: skip
        generator = Generator(architecture)
    with torch.no_grad():
        for to_image in generator.to_images:
            to_image.weight *= 0.3  # few pixels are saturated, as in a trained generator
        for conv in generator.convs:
            conv.noise_strength.fill_(0.1)
    path = tmp_path_factory.mktemp("tiny_generator") / "generator.safetensors"
    save_generator(path, generator)
    return path


@pytest.fixture(scope="session")
def _tiny_samples(tiny_generator: Path) -> Population:
    generator = load_generator(tiny_generator, torch.device("cpu"))
    z, noise = draw_latents(1, SAMPLES, generator.z_dim), draw_noise(1, SAMPLES)
    return sample_population(generator, z, noise, balance_labels(SAMPLES, CLASSES), batch_size=SAMPLES)


@pytest.fixture(scope="session")
def tiny_population(tmp_path_factory: pytest.TempPathFactory, tiny_generator: Path, _tiny_samples: Population) -> Path:
    """Folder as sample_populations leaves it, without figures: 200 samples of `tiny_generator`, two noises a mean."""
    folder = tmp_path_factory.mktemp("tiny_population")
    names = [str(label) for label in range(CLASSES)]
    mean_noise = draw_seeds((NOISE_DRAWS, CLASSES), np.random.default_rng(1))
    list(store_population(folder / "population.zarr", [_tiny_samples], len(_tiny_samples.labels), names, mean_noise))
    layout = load_generator(tiny_generator, torch.device("cpu")).style_layout()
    write_csv(folder / "style_dimensions.csv", tabulate_styles(layout))
    return folder


@pytest.fixture(scope="session")
def tiny_classifier(tmp_path_factory: pytest.TempPathFactory, _tiny_samples: Population) -> Path:
    """Weights file of a classifier that knows most images of `tiny_population`."""
    classifier = teach(_tiny_samples.images, _tiny_samples.labels, seed=1, steps=38)
    path = tmp_path_factory.mktemp("tiny_classifier") / "classifier.safetensors"
    save_classifier(path, classifier)
    return path


# A function of NumPy arrays that answers with probabilities; only it knows that a network is behind it.
PREDICT = """
from functools import cache
from pathlib import Path

import torch
from failure_atlas.classifiers.networks import load_classifier

HERE = Path(__file__).parent


@cache
def load():
    return load_classifier(HERE / "inside.safetensors", torch.device("cpu"))


def predict(images):
    with torch.no_grad():
        return load()(torch.from_numpy(images)).double().softmax(1).numpy()
"""


@pytest.fixture(scope="session")
def tiny_black_box(tmp_path_factory: pytest.TempPathFactory, tiny_classifier: Path) -> Path:
    """File of a brought classifier without gradients that answers as `tiny_classifier`."""
    project = tmp_path_factory.mktemp("tiny_black_box")
    folder = project / "brought" / "box"
    folder.mkdir(parents=True)
    (folder / "box.py").write_text(PREDICT, encoding="utf-8")
    shutil.copyfile(tiny_classifier, folder / "inside.safetensors")
    entry = BringClassifierParams(predict="box:predict", outputs="probabilities")
    key, names = "bring_classifiers.box", [str(label) for label in range(CLASSES)]
    classifier = adapt(read_network(entry, folder, key), entry, (1, 32, 32), names, key)
    path = project / "classifier.safetensors"
    save_brought(path, classifier, entry, folder, "box", hash_files(folder))
    return path


@pytest.fixture(scope="session")
def tiny_judge(tmp_path_factory: pytest.TempPathFactory, tiny_classifier: Path) -> Path:
    """File of an ensemble of two: `tiny_classifier` and one that knows nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        ignorant = Classifier("residual", classes=CLASSES, width=8)
    members = [load_classifier(tiny_classifier, torch.device("cpu")), ignorant.eval()]
    path = tmp_path_factory.mktemp("tiny_judge") / "judge.safetensors"
    save_ensemble(path, Ensemble(members, [str(label) for label in range(CLASSES)], temperature=0.5, confidence=0.8))
    return path


def _rank(folder: Path, *inputs: Path, **changes: float) -> Path:
    section = {"seed": 1, "batch_size": 100, "split_halves": 4, "top_k": 2, "histogram_bins": 10}
    params = folder / "params.yaml"
    params.write_text(yaml.safe_dump({"rank_dimensions": section | changes}), encoding="utf-8")
    with demanding_noise():
        rank_dimensions(*inputs, folder / "out", params)
    return folder / "out"


@pytest.fixture(scope="session")
def robust_judge(tmp_path_factory: pytest.TempPathFactory, tiny_population: Path) -> Path:
    """File of an ensemble of two that stay sure of some images that `tiny_classifier` gets wrong."""
    members = [teach_population(tiny_population, seed=seed, steps=40) for seed in (3, 4)]
    path = tmp_path_factory.mktemp("robust_judge") / "judge.safetensors"
    save_ensemble(path, Ensemble(members, [str(label) for label in range(CLASSES)], temperature=0.5))
    return path


@pytest.fixture(scope="session")
def tiny_ranking(
    tmp_path_factory: pytest.TempPathFactory, tiny_generator: Path, tiny_classifier: Path, tiny_population: Path
) -> Path:
    """Folder as rank_dimensions leaves it, for `tiny_classifier` on `tiny_population`."""
    return _rank(tmp_path_factory.mktemp("tiny_ranking"), tiny_generator, tiny_classifier, tiny_population)


@pytest.fixture(scope="session")
def tiny_black_box_ranking(
    tmp_path_factory: pytest.TempPathFactory, tiny_generator: Path, tiny_black_box: Path, tiny_population: Path
) -> Path:
    """Folder as rank_dimensions leaves it, for `tiny_black_box` on `tiny_population`."""
    differences = {"finite_difference_samples": 40, "finite_difference_step_std": 0.05}
    folder = tmp_path_factory.mktemp("tiny_black_box_ranking")
    return _rank(folder, tiny_generator, tiny_black_box, tiny_population, **differences)


@pytest.fixture(scope="session")
def tiny_names(tmp_path_factory: pytest.TempPathFactory, tiny_ranking: Path) -> Path:
    """Folder as name_directions leaves it, without figures: words for the first two dimensions of each ranking."""
    ranking = pd.read_csv(tiny_ranking / "ranking.csv", dtype={"scope": str})
    first = ranking[ranking["rank"] <= 2]
    words = first.assign(name=np.where(first["rank"] == 1, "noise +", "larger"), second_name="")
    words.loc[first["scope"] == GLOBAL, "second_name"] = "blurrier"
    folder = tmp_path_factory.mktemp("tiny_names")
    levels = {"noise_sigma_per_std": (0.02, 0.01, 0.03), "blur_sigma_per_std": (0.0, -0.1, 0.1)}
    for column, values in levels.items():
        words[[column, f"{column}_low", f"{column}_high"]] = values
    left_out = set(ranking) - {"scope", "rank", "dimension", "direction"}
    write_csv(folder / "directions.csv", words.drop(columns=left_out))
    return folder


@pytest.fixture(scope="session")
def tiny_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An images store of the form that corrupt_images leaves: 100 training and 50 test images, half of them clean.

    Each class is a bright bar at a place of its own, so that a small network can tell them apart.
    """
    random = np.random.default_rng(1)
    arrays: dict[str, Any] = {}
    splits: dict[Split, int] = {"train": TRAIN_IMAGES, "test": TEST_IMAGES}
    for split, count in splits.items():
        labels = np.arange(count, dtype=np.int64) % CLASSES
        images = random.integers(0, 40, (count, 1, 32, 32))
        for image, label in zip(images, labels, strict=True):
            image[0, 4:28, 1 + 3 * label : 4 + 3 * label] = random.integers(180, 256)
        drawn = np.where(np.arange(count) < count // 2, 0, random.integers(1, 4, (2, count))).astype(np.uint8)
        arrays |= named_arrays(split, ImageSet(images.astype(np.uint8), labels))
        arrays |= named_severities(split, Severities(dict(zip(("blur", "noise"), drawn, strict=True))))
    path = tmp_path_factory.mktemp("tiny_images") / "images.zarr"
    write_arrays(path, arrays, {"source": "tiny", "class_names": [str(label) for label in range(CLASSES)]})
    return path


@pytest.fixture(scope="session")
def tiny_clean_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An images store of the form that prepare_images leaves, test split only: 24 real digits."""
    path = tmp_path_factory.mktemp("tiny_clean_images") / "images.zarr"
    images = take_digits()[:24]
    arrays = named_arrays("test", ImageSet(images, np.arange(len(images)) % CLASSES))
    write_arrays(path, arrays, {"class_names": [str(label) for label in range(CLASSES)]})
    return path


@pytest.fixture(scope="session")
def tiny_attributes(
    tmp_path_factory: pytest.TempPathFactory, tiny_population: Path, tiny_images: Path, tiny_clean_images: Path
) -> Path:
    """Folder as measure_attributes leaves it, of `tiny_population` and `tiny_images`."""
    folder = tmp_path_factory.mktemp("tiny_attributes")
    section = {"measure_attributes": {"seed": 1, "check_images": 10, "fdr": 0.05}}
    (folder / "params.yaml").write_text(yaml.safe_dump(section), encoding="utf-8")
    measure_attributes(tiny_population, tiny_images, tiny_clean_images, folder / "out", folder / "params.yaml")
    return folder / "out"


@pytest.fixture(scope="session")
def tiny_inverted(tmp_path_factory: pytest.TempPathFactory, tiny_population: Path, tiny_generator: Path) -> Path:
    """Folder as invert_images leaves it, of 40 images that `tiny_generator` can make: 38 at random, 37 of them usable.

    Their styles are those of w and an offset, as of real images; the last two are errors of a second draw.
    """
    folder, rows = tmp_path_factory.mktemp("tiny_inverted"), slice(0, 40)
    store, generator = tiny_population / "population.zarr", load_generator(tiny_generator, torch.device("cpu"))
    w, styles, noise, labels = (read_array(store, name)[rows] for name in ("w", "s", "noise", "labels"))
    offset = np.full_like(styles, 0.05)
    found = Inverted(w, offset, styles + offset, noise, np.linalg.norm(w, axis=1))
    made = World(generator.synthesize).show(found.styles, noise=noise).images
    names = [str(label) for label in range(generator.num_classes)]
    write_inverted(folder / "inverted.zarr", found, read_array(store, "images")[rows], made, labels, names)
    place = np.arange(len(labels))
    table = {"index": 100 + place, "draw": place // 38, "class": labels.astype(str), "sample": place < 38}
    write_csv(folder / "images.csv", pd.DataFrame(table | {"auditor_kept": place % 2 == 0, "usable": place != 5}))
    return folder


@pytest.fixture
def run(stage: Stage, tmp_path: Path) -> Callable[..., Path]:
    """A function that runs the module's own fixture `stage` into a folder of this test and returns the folder."""
    return lambda name="out", **changes: stage.run(tmp_path / name, **changes)


@pytest.fixture
def refuse(run: Callable[..., Path], tmp_path: Path) -> Callable[..., None]:
    """A function that checks that `stage` refuses changes with a message, and leaves nothing behind."""

    def check(message: str, **changes: Any) -> None:
        refused(message, run, **changes)
        assert not (tmp_path / "out").exists()

    return check


@pytest.fixture(scope="module")
def out(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of one run of the module's own fixture `stage`, to be read only."""
    return stage.run(tmp_path_factory.mktemp("stage") / "out")


@pytest.fixture
def write_params(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """A function that writes a params file from `{section: {key: value}}` and returns its path."""

    def write(sections: dict[str, Any]) -> Path:
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(sections), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def hash_folder() -> Callable[[Path], dict[str, str]]:
    """A function that maps each file below a folder to its SHA-256; equal maps mean equal bytes."""

    def read(folder: Path) -> dict[str, str]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    return read
