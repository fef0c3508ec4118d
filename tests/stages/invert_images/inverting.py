"""The stage with tiny inputs: its real images are samples of the generator, which its classifiers mostly know."""

import shutil

import torch

from failure_atlas.classifiers.networks import save_classifier
from failure_atlas.core.arrays import read_array, write_arrays
from failure_atlas.images.image_set import ImageSet
from failure_atlas.judges.ensemble import Ensemble, save_ensemble
from stages.common.artefacts.images import named_arrays
from stages.invert_images.__main__ import main
from tests import yaml12 as yaml
from tests.stages.running import Stage
from tests.stages.tiny_networks import teach_population

CPU, NAMES, TEST_IMAGES = torch.device("cpu"), list("0123456789"), 80
SECTION = {
    "seed": 1, "images": 50, "errors": 35, "draws": 2, "inside_share": 0.95, "steps": 6, "style_steps": 3,
    "batch_size": 32,
}  # fmt: skip
CORRUPTION = {
    "seed": 1, "clean_fraction": 0.6, "recipe": ["gaussian_blur", "gaussian_noise"], "table": "imagenet-c",
    "severities": [1, 2],
}  # fmt: skip


def write_recipe(path, names=("one", "two"), **changes):
    """A params file with the sections that the stage takes from its recipe."""
    classifiers = {"classifiers": dict.fromkeys(names, "train_classifiers"), "train_classifiers": dict.fromkeys(names)}
    path.write_text(yaml.safe_dump(classifiers | {"corrupt_images": CORRUPTION | changes}), encoding="utf-8")
    return path


def write_images(path, population, names=NAMES):
    """An images store whose test images are those of the population's first samples."""
    drawn = [read_array(population / "population.zarr", name)[:TEST_IMAGES] for name in ("images", "labels")]
    write_arrays(path, named_arrays("test", ImageSet(*drawn)), {"class_names": names})
    return path


def prepare(request, folder):
    """The stage with the classifiers `one` (tiny_classifier) and `two`, and an auditor of its own."""
    population = request.getfixturevalue("tiny_population")
    shutil.copyfile(request.getfixturevalue("tiny_classifier"), folder / "one.safetensors")
    save_classifier(folder / "two.safetensors", teach_population(population, seed=7, steps=25))
    auditor = Ensemble([teach_population(population, seed=5, steps=40)], NAMES, temperature=0.5)
    save_ensemble(folder / "auditor.safetensors", auditor)
    return Stage(
        request, main, "invert_images", SECTION, classifiers=f"{folder}/{{name}}.safetensors",
        judge=request.getfixturevalue("robust_judge"), auditor=folder / "auditor.safetensors",
        images=write_images(folder / "images.zarr", population), recipe=write_recipe(folder / "recipe.yaml"),
    )  # fmt: skip
