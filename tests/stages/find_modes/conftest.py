"""A classifier whose blind spot is known: it reads what is noisy as a 3, generated and real; looks are made up."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from failure_atlas.attributes.calibration import calibrate, corrupt_known
from failure_atlas.attributes.registry import choose_attributes
from failure_atlas.classifiers.networks import save_classifier
from failure_atlas.core.arrays import read_array, write_arrays
from failure_atlas.core.seeds import numpy_stream
from stages.common.artefacts.attributes import Measured, write_measured
from stages.common.artefacts.images import read_images
from tests import yaml12 as yaml
from tests.stages.tiny_networks import CLASSES, teach

NOISY, LOW, HIGH = 0.15, 0.01, 0.2  # noise is drawn evenly between the last two
REAL_BLIND = 6  # real images of this class and the next are read as 3
NAMES = tuple(attribute.name for attribute in choose_attributes(1))


def draw_looks(n, noise, random):
    """Looks that nothing depends on but the noise; float64 [n, M]."""
    looks = random.normal(10, 3, (n, len(NAMES)))
    looks[:, NAMES.index("noise")] = noise
    return looks


def write_logits(folder, predicted):
    write_arrays(folder / "predictions.zarr", {"logits": (np.eye(CLASSES)[predicted], ("sample", "class"))})


@pytest.fixture(scope="session")
def world(tmp_path_factory, tiny_population, tiny_images, tiny_ranking, tiny_names):
    """The inputs of find_modes for `one`, which has the blind spot, beside `two`, which makes no error."""
    folder, random = tmp_path_factory.mktemp("find_modes"), np.random.default_rng(1)
    true_class, real = read_array(tiny_population / "population.zarr", "labels"), read_images(tiny_images, "test")
    noise = random.uniform(LOW, HIGH, len(true_class))
    predicted = np.where(noise > NOISY, 3, true_class)
    write_logits(folder / "one", predicted)
    write_logits(folder / "two", true_class)
    taught = np.isin(real.labels, [REAL_BLIND, REAL_BLIND + 1])
    network = teach(real.images, np.where(taught, 3, real.labels), seed=1, steps=60)
    save_classifier(folder / "one.safetensors", network)
    real_noise = np.where(taught, 0.18, random.uniform(LOW, NOISY - 0.02, len(taught)))
    calibration = calibrate(read_images(tiny_images, "train").images[:10], partial(numpy_stream, 1))
    looks = draw_looks(len(true_class), noise, random), draw_looks(len(taught), real_noise, random)
    measured = Measured(NAMES, *looks, np.ones(len(NAMES)), calibration)
    write_measured(folder / "attributes", measured)

    spot = np.flatnonzero(predicted != true_class)
    judged = pd.DataFrame({
        "source": "population", "index": spot, "verdict": "true failure", "auditor_confirms": spot % 2 == 0,
    })  # fmt: skip
    unlike = pd.concat([judged.assign(source="corner case"), judged.assign(verdict="unreadable")])
    both = pd.concat([judged, unlike.assign(auditor_confirms=True)])
    (folder / "judged").mkdir()
    both.to_csv(folder / "judged" / "failures.csv", index=False)

    clean, loud = (corrupt_known(real.images[:4], level, 0.0, random) for level in (0.0, 0.26))
    found = pd.DataFrame({
        "method": ["walk_in_w"] * 6 + ["samples"] * 2,
        "verdict": ["true failure"] * 5 + ["unreadable"] + ["true failure"] * 2,
        "distance_std": [9.0, 1.0, 8.0, 2.0, 2.5, 0.1, 0.2, 0.3],
    })  # fmt: skip
    images = np.concatenate([loud[:1], clean[:1], loud[1:2], clean[1:2], loud[2:3], loud[3:], loud[:2]])
    write_found(folder / "failures", found, images)

    recipe = {"classifiers": dict.fromkeys(("one", "two"), "train_classifiers")}
    recipe["train_classifiers"] = dict.fromkeys(("one", "two"))
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    inputs = {
        "classifier": folder / "one.safetensors", "population": tiny_population, "attributes": folder / "attributes",
        "images": tiny_images, "ranked": f"{folder}/{{name}}", "names": tiny_names, "judged": folder / "judged",
        "failures": folder / "failures", "recipe": folder / "recipe.yaml",
    }  # fmt: skip
    return SimpleNamespace(
        inputs=inputs, folder=folder, noise=noise, true_class=true_class, predicted=predicted, taught=taught,
        measured=measured, judged=judged,
    )  # fmt: skip


def write_found(folder, table, images):
    """Failures of the search as find_failures leaves them."""
    folder.mkdir()
    table.to_csv(folder / "failures.csv", index=False)
    labels = np.zeros(len(images), np.int64)
    arrays = {"images": (images, ("failure", "channel", "y", "x")), "labels": (labels, ("failure",))}
    write_arrays(folder / "failures.zarr", arrays)
