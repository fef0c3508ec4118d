"""Every stage's command on images of a user's own: colour, 64 px, four classes with odd names."""

import base64
import importlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import typer
import yaml
from PIL import Image

from stages.common.arrays import read_array
from stages.train_classifiers.checkpoint import save_classifier
from stages.train_classifiers.networks import Classifier
from stages.train_judges.ensemble import Ensemble, save_ensemble
from tests.house import ROOT
from tests.project import shrink_params

pytestmark = pytest.mark.slow

NAMES = ["$5_note$", "n.a.", "007", "<b>all</b>"]
IMAGES_PER_CLASS = 40
CHANGES = {
    "prepare_images": {"source": "npz", "size_px": 64, "channels": 3, "test_fraction": 0.25},
    "train_judges": {"training_images": 640},
    "train_stylegan2": {"generator_channels": [4] * 5, "discriminator_channels": [4] * 5},
    "qualify_generator": {"samples": 40},
    "sample_populations": {"samples": 120, "tsne_samples": 60},
    "compare_rankings": {"samples": 40, "attfind_samples": 6, "held_out_samples": 8},
    "measure_robustness": {"samples": 8, "greedy_samples": 2},
    "walk_corner_cases": {"start_samples": [], "figure_classes": [3, 8]},
}


def draw_images() -> tuple[np.ndarray, np.ndarray]:
    """Coloured bars, disks, frames and stripes on dark grounds: uint8 [N, 48, 60, 3] and labels."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[:48, :60]
    shapes = [
        np.abs(x - 30) < 6,
        np.hypot(x - 30, y - 24) < 14,
        np.maximum(abs(x - 30), abs(y - 24)) // 4 == 4,
        y % 12 < 4,
    ]
    labels = np.repeat(np.arange(len(NAMES)), IMAGES_PER_CLASS)
    images = np.empty((len(labels), 48, 60, 3), np.uint8)
    for image, label in zip(images, labels, strict=True):
        shape = np.roll(shapes[label], tuple(random.integers(-5, 6, 2)), axis=(0, 1))
        ground, ink = random.integers(0, 60, 3), random.integers(120, 256, 3)
        image[:] = np.where(shape[..., None], ink, ground)
        image += random.integers(0, 6, image.shape, np.uint8) * (image < 250)
    return images, labels


def commands(params: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Stage and arguments of every command of dvc.yaml, in order; `foreach` repeats over a section as in DVC."""
    found = []
    for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values():
        command = stage.get("do", stage)["cmd"]
        entries = params[stage["foreach"].strip("${}")] if "foreach" in stage else {"": ""}
        for key, item in entries.items():
            words = shlex.split(command.replace("${key}", key).replace("${item}", str(item)))
            assert words[:2] == ["python", "-m"]
            found.append((words[2], words[3:]))
    return found


def run_command(module: str, arguments: list[str]) -> None:
    app = typer.Typer()
    app.command()(importlib.import_module(f"{module}.__main__").main)
    app(arguments, standalone_mode=False)


def teach(data: Path) -> None:
    """Let classifiers, judge and auditor go on learning, from generated images.

    So little training makes nothing that they recognise; without this no walk would start and no figure be drawn.
    """
    store = data / "sample_populations/population.zarr"
    images, labels = torch.from_numpy(read_array(store, "images")), torch.from_numpy(read_array(store, "labels"))
    under_test, judge, auditor = (learn(images.float() / 255, labels, seed) for seed in (1, 2, 3))
    for name in ("clean", "corrupted"):
        save_classifier(data / f"train_classifiers/{name}/classifier.safetensors", under_test)
    for name, one in (("judge", judge), ("auditor", auditor)):
        save_ensemble(data / f"train_judges/{name}.safetensors", Ensemble([one], NAMES, confidence=0.6))


def learn(images: torch.Tensor, labels: torch.Tensor, seed: int) -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = Classifier("plain", classes=len(NAMES), width=8, channels=3)
    optimiser = torch.optim.Adam(classifier.parameters(), lr=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(classifier(images), labels).backward()
        optimiser.step()
    return classifier.eval()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which every stage has run, in this process."""
    folder = tmp_path_factory.mktemp("own")
    params = write_inputs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("FAILURE_ATLAS_DEVICE", "cpu")
        patch.setenv("FAILURE_ATLAS_PROCESSES", "1")
        for module, arguments in commands(params):
            run_command(module, arguments)
            if module == "stages.sample_populations":
                teach(folder / "data")
        yield folder


def write_inputs(folder: Path) -> dict[str, Any]:
    """The images, and the params of the run, which are returned."""
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    shrink_params(folder / "params.yaml")
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    for section, changes in CHANGES.items():
        params[section] |= changes
    for entry in params["train_classifiers"].values():
        entry["training_images"] = 1280
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    images, labels = draw_images()
    (folder / "data/own_images").mkdir(parents=True)
    np.savez(folder / "data/own_images/images.npz", images=images, labels=labels, class_names=np.array(NAMES))
    return params


def test_images_keep_size_and_colours_through_every_store(project: Path) -> None:
    for store, name in (
        ("prepare_images/images.zarr", "train_images"),
        ("corrupt_images/images.zarr", "test_images"),
        ("sample_populations/population.zarr", "images"),
        ("walk_corner_cases/clean/corner_cases.zarr", "images"),
    ):
        images = read_array(project / "data" / store, name)
        assert images.shape[1:] == (3, 64, 64), store
        assert len(images), store
        assert images.std(axis=1).any(), f"{store}: grey"


def test_tables_bear_the_names_of_the_classes(project: Path) -> None:
    ranking = pd.read_csv(project / "data/rank_dimensions/clean/ranking.csv", dtype={"scope": str})
    assert set(ranking["scope"]) == {"global", *NAMES}
    walks = pd.read_csv(project / "data/walk_corner_cases/clean/corner_cases.csv", dtype={"class": str})
    assert set(walks["class"]) <= set(NAMES)
    assert walks["reached"].any()


def test_figures_of_classes_that_are_there_are_drawn(project: Path) -> None:
    drawn = {path.name for path in (project / "data/walk_corner_cases/clean/figures").glob("fig5*.png")}
    assert drawn <= {"fig5_degradation_class3.png"}  # none where the mean style of class 3 is not recognised
    assert (project / "data/walk_corner_cases/clean/figures/fig7_corner_cases.png").is_file()


def test_the_page_names_the_classes_and_shows_colour(project: Path) -> None:
    page = (project / "data/report/report.html").read_text(encoding="utf-8")
    assert "<b>all</b>" not in page.split("<script", 1)[0]  # a name is text, not markup
    sprite = re.search(r'"sprite": ?"data:image/png;base64,([A-Za-z0-9+/=]+)"', page)
    assert sprite is not None
    with Image.open(io.BytesIO(base64.b64decode(sprite[1]))) as picture:
        assert picture.mode == "RGB"
        assert picture.height == 64
