"""Every stage's command on a user's own images, generator, judges and classifier, beside classifiers trained here.

The images: colour, 64 px, four classes with odd names.  The generator: a pickle, and once more a module, whose images
later stages show, and which knows no classes.  The classifier: module and weights, of another input and order; the
judge: another of its kind; the auditor: a function without gradients.
"""

import base64
import importlib
import io
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from PIL import Image

from failure_atlas.brought.generator import BroughtGenerator, GeneratorForm
from failure_atlas.brought_generators.convert import convert
from failure_atlas.brought_generators.published import read_published
from failure_atlas.classifiers.networks import load_classifier, save_classifier
from failure_atlas.core.arrays import read_array
from failure_atlas.stylegan2.generator import Generator, load_generator
from tests import yaml12 as yaml
from tests.failure_atlas.brought_generators.generator_files import build_ada, random_tensors, write_pickle
from tests.house import ROOT
from tests.project import shrink_params
from tests.stages.bring_generator.own_module import read_source, write_module
from tests.stages.pinning import pin
from tests.stages.tiny_networks import fit, teach_population

pytestmark = pytest.mark.slow

NAMES = ["$5_note$", "n.a.", "007", "<b>all</b>"]
IMAGES_PER_CLASS = 40
# Half the size of the images, normalised, the classes in reverse.
BROUGHT = {
    "load": "net:Net", "weights": "weights.pt", "arguments": {"classes": len(NAMES)}, "class_order": NAMES[::-1],
    "input": {"size_px": 32, "fit": "resize", "mean": [0.25], "std": [0.25]},
}  # fmt: skip
ANSWERS = {"predict": "box:predict"} | {key: BROUGHT[key] for key in ("class_order", "input")}
CHANGES: dict[str, dict[str, Any]] = {
    "classifiers": {"mine": "bring_classifiers"},
    "prepare_images": {"source": "npz", "size_px": 64, "channels": 3, "test_fraction": 0.25},
    "bring_classifiers": {"mine": BROUGHT, "judge": BROUGHT, "auditor": ANSWERS},
    "train_judges": {"released": "brought", "confidence": 0.6},
    "train_stylegan2": {"generator_channels": [4] * 5, "discriminator_channels": [4] * 5},
    "qualify_generator": {"samples": 40},
    "sample_populations": {"samples": 80, "tsne_samples": 60},
    "compare_rankings": {"samples": 40, "attfind_samples": 8, "held_out_samples": 8},
    "measure_robustness": {"samples": 8, "greedy_samples": 2},
    "invert_images": {"images": 12, "errors": 4, "steps": 1, "style_steps": 1},
    "find_failures": {"starts": 8, "start_samples": [79], "confidence": 0.6, "most_steps": 20},
    "compute_curves": {"shift_dimensions": 3, "max_shift_std": 2.0},
    "report": {"dimensions": 1, "max_shift_std": 2.0},
    "walk_corner_cases": {"start_samples": list(range(8)), "figure_classes": [3, 8]},
}
REPEATED = (
    "rank_dimensions", "name_directions", "compare_rankings", "walk_corner_cases", "measure_robustness",
    "find_failures", "judge_failures", "find_modes",
)  # fmt: skip
SOURCE = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self, classes):
        layers = [nn.Conv2d(3, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 16, 5, stride=2), nn.ReLU(), nn.Flatten()]
        super().__init__(*layers, nn.Linear(16 * 5 * 5, classes))
"""
BOX = f"""
from pathlib import Path

import torch
from net import Net

net = Net({len(NAMES)}).eval()
net.load_state_dict(torch.load(Path(__file__).with_name("weights.pt"), weights_only=True))


def predict(images):
    with torch.no_grad():
        return net(torch.from_numpy(images)).numpy()
"""
# Acceptance speaks of a brought classifier where a criterion names it.
CRITERION = {
    "id": "mine_population_accuracy", "metric": "rank_dimensions/mine: population_accuracy", "comparison": ">=",
    "bar": 0.5, "reason": "It is to be right on generated images more often than not.", "supports": "nothing",
    "needs_generator": False,
}  # fmt: skip


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
            filled = command.replace("${key}", key).replace("${item}", str(item))
            filled = filled.replace("${generator}", params["generator"])
            for name, value in item.items() if isinstance(item, dict) else ():
                filled = filled.replace(f"${{item.{name}}}", str(value))
            for name, value in params["check_claims"].items():
                filled = filled.replace(f"${{check_claims.{name}}}", str(value))
            words = shlex.split(filled)
            assert words[:2] == ["python", "-m"]
            found.append((words[2], words[3:]))
    return found


def run_command(module: str, arguments: list[str]) -> None:
    app = typer.Typer()
    app.command()(importlib.import_module(f"{module}.__main__").main)
    app(arguments, standalone_mode=False)


def teach(data: Path) -> None:
    """Let the classifiers under test go on learning, from generated images.

    So little training makes nothing that they recognise; without this no walk would start and no figure be drawn.
    """
    under_test = teach_population(data / "sample_populations", seed=1, steps=120, classes=len(NAMES))
    for name in ("clean", "corrupted"):
        save_classifier(data / f"train_classifiers/{name}/classifier.safetensors", under_test)


def write_brought(data: Path, generator: Generator) -> None:
    """Modules and weights as a user brings them, learned elsewhere: on the images and on generated ones.

    The classes of these are quarters of all, from dark to light, which the judge will see in the population.
    """
    noise = np.arange(200)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(5)
        z = torch.randn(len(noise), generator.z_dim)
        styles = generator.map_styles(generator.map_latents(z, torch.zeros(len(noise), dtype=torch.int64)))
        made = generator.synthesize(styles, noise)
    quarters = made.mean(dim=(1, 2, 3)).argsort().argsort() * len(NAMES) // len(noise)
    prepared = data / "prepare_images/images.zarr"
    real = torch.from_numpy(read_array(prepared, "train_images")).float() / 255
    labels = torch.cat([quarters, torch.from_numpy(read_array(prepared, "train_labels"))])
    shown = torch.cat([made, real])
    shown = torch.nn.functional.interpolate(shown, size=32, mode="bilinear", antialias=True)
    names: dict[str, Any] = {}
    exec(SOURCE, names)  # noqa: S102 - the module that is brought
    for seed, name in enumerate(CHANGES["bring_classifiers"], start=4):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = names["Net"](len(NAMES))
        fit(net, (shown - 0.25) / 0.25, len(NAMES) - 1 - labels, rate=0.003, steps=60)
        folder = data / "brought" / name
        folder.mkdir(parents=True)
        (folder / "net.py").write_text(SOURCE, encoding="utf-8")
        if name == "auditor":
            (folder / "box.py").write_text(BOX, encoding="utf-8")
        torch.save(net.state_dict(), folder / "weights.pt")


@pytest.fixture(scope="module")
def stand_in() -> Iterator[Callable[[Path], None]]:
    """A function that makes a folder the current one, until the last test here has run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAILURE_ATLAS_DEVICE", "cpu")
        patch.setenv("FAILURE_ATLAS_PROCESSES", "1")
        yield patch.chdir


def write_file(folder: Path) -> tuple[dict[str, Any], Generator]:
    """The entry of a pickle, which is put there, and its generator."""
    file = write_pickle(folder / "network.pkl", build_ada(random_tensors(64, 4, classes=0), 256))
    return {"file": file.name, "sha256": pin(file)["sha256"]}, convert(read_published(file, "file"), len(NAMES))


def write_own_module(folder: Path) -> tuple[dict[str, Any], Generator]:
    """The entry of a module, which is put there, and its generator."""
    source = (
        read_source().replace("= 16, classes", "= 16, 0").replace("labels, self.num_classes", f"labels, {len(NAMES)}")
    )
    arguments = {"classes": len(NAMES), "size_px": 64, "channels": 3}
    network = write_module(folder / "world", source, **arguments)
    form = GeneratorForm(16, 32, network.style_layout(), (3, 64, 64), [0] * len(NAMES), conditional=False)
    entry = {"load": "net:Decoder", "weights": "weights.pt", "arguments": arguments}
    return entry, BroughtGenerator(network, form)


@pytest.fixture(scope="module", params=[write_file, write_own_module])
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, stand_in: Callable[[Path], None]
) -> Path:
    """The `data` of a folder in which every stage has run, in this process."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "data/brought_generator").mkdir(parents=True)
    world, generator = request.param(folder / "data/brought_generator")
    own = {"bring_generator": {"world": world}, "generator": "bring_generator/world"}
    params = write_params(folder, CHANGES | own, training_images=256)
    images, labels = draw_images()
    (folder / "data/own_images").mkdir(parents=True)
    (folder / "data/released").symlink_to(ROOT / "data/released")
    np.savez(folder / "data/own_images/images.npz", images=images, labels=labels, class_names=np.array(NAMES))
    stand_in(folder)
    for module, arguments in commands(params):
        run_command(module, arguments)
        if module == "stages.prepare_images":  # from which those learn that are brought
            write_brought(folder / "data", generator)
        if module == "stages.sample_populations":
            teach(folder / "data")
    return folder / "data"


def write_params(folder: Path, changes: dict[str, Any], training_images: int) -> dict[str, Any]:
    """The params of a run, which are returned; training_images: shown to each classifier."""
    path = folder / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    shrink_params(path)
    params: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    for section, changed in changes.items():
        params[section] = params[section] | changed if isinstance(changed, dict) else changed
    for entry in params["train_classifiers"].values():
        entry["training_images"] = training_images
    if "mine" in params["classifiers"]:
        params["acceptance"]["criteria"].append(CRITERION)
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    return params


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_images_keep_size_and_colours_and_classes_their_names_through_every_stage(project: Path) -> None:
    for store, name in (
        ("prepare_images/images.zarr", "train_images"), ("corrupt_images/images.zarr", "test_images"),
        ("sample_populations/population.zarr", "images"), ("walk_corner_cases/clean/corner_cases.zarr", "images"),
    ):  # fmt: skip
        images = read_array(project / store, name)
        assert images.shape[1:] == (3, 64, 64), store
        assert len(images), store
        assert images.std(axis=1).any(), f"{store}: grey"
    ranking = pd.read_csv(project / "rank_dimensions/clean/ranking.csv", dtype={"scope": str})
    assert set(ranking["scope"]) == {"global", *NAMES}
    walks = pd.read_csv(project / "walk_corner_cases/clean/corner_cases.csv", dtype={"class": str})
    assert set(walks["class"]) <= set(NAMES)
    assert walks["reached"].any()
    figures = project / "walk_corner_cases/clean/figures"
    drawn = {path.name for path in figures.glob("fig5*.png")}
    # None where neither the mean style of class 3 nor a real image of it is recognised.
    assert drawn <= {"fig5_degradation_class3.png", "fig5_degradation_real_class3.png"}
    assert (figures / "fig7_corner_cases.png").is_file()


def test_the_page_names_classes_and_classifiers_and_shows_colour(project: Path) -> None:
    page = (project / "report/report.html").read_text(encoding="utf-8")
    shown = page.split("<script", 1)[0]
    assert "<b>all</b>" not in shown  # a name is text, not markup
    assert re.search(r"\bmine\b", re.sub(r"<[^>]*>", " ", shown))
    sprite = re.search(r'"sprite": ?"data:image/png;base64,([A-Za-z0-9+/=]+)"', page)
    assert sprite is not None
    with Image.open(io.BytesIO(base64.b64decode(sprite[1]))) as picture:
        assert (picture.mode, picture.height) == ("RGB", 64)


def test_a_brought_classifier_has_the_results_of_those_that_were_trained(project: Path) -> None:
    assert read(project / "bring_classifiers/mine/metrics.json")["clean_test_accuracy"]["value"] > 0.5
    for stage in REPEATED:
        results = {
            name: {path.relative_to(folder).as_posix() for path in folder.rglob("*.json")}
            for name in ("clean", "mine")
            if (folder := project / stage / name).is_dir()
        }
        assert results["mine"] == results["clean"] != set(), stage
    assert read(project / "rank_dimensions/mine/metrics.json")["population_accuracy"]["value"] > 0.5
    assert pd.read_csv(project / "walk_corner_cases/mine/corner_cases.csv")["reached"].any()
    points = pd.read_csv(project / "compute_curves/curves.csv").groupby("classifier").size()
    assert list(points.index) == ["clean", "corrupted", "mine"]
    assert points["mine"] == points["clean"]
    assert 0 < read(project / "compute_curves/metrics.json")["mine"]["area"] <= 1
    drawn = pd.read_csv(project / "compute_curves/figures/fig6a_classifiers.csv")
    assert set(drawn["classifier"]) == {"clean", "corrupted", "mine"}
    verdicts = {each["id"]: each["verdict"] for each in read(project / "acceptance/gates.json")["criteria"]}
    assert verdicts["mine_population_accuracy"] == "pass"


LARGE: dict[str, dict[str, Any]] = {
    "prepare_images": {"source": "image-folder", "size_px": 128, "channels": 3, "fit": "pad", "test_fraction": 0.25},
    "train_stylegan2": {"generator_channels": [4] * 6, "discriminator_channels": [4] * 6},
}
LEARNS = ("prepare_images", "corrupt_images", "train_classifiers", "train_stylegan2")


def test_a_folder_of_colour_images_of_128_px_is_learned_from(tmp_path: Path, stand_in: Callable[[Path], None]) -> None:
    params = write_params(tmp_path, LARGE, training_images=64)
    images, labels = draw_images()
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        if label < 2 and number % 2:
            place = tmp_path / "data/own_images" / ("bar", "disk")[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).resize((128, 104)).save(place / f"{number}.png")
    stand_in(tmp_path)
    for module, arguments in commands(params):
        if module.removeprefix("stages.") in LEARNS:
            run_command(module, arguments)
    for store in ("prepare_images", "corrupt_images"):
        images = read_array(tmp_path / f"data/{store}/images.zarr", "train_images")
        assert images.shape == (30, 3, 128, 128)
        assert images.std(axis=1).any(), f"{store}: grey"
    generator = load_generator(tmp_path / "data/train_stylegan2/generator.safetensors", torch.device("cpu"))
    styles = generator.map_styles(generator.map_latents(torch.zeros(2, generator.z_dim), torch.tensor([0, 1])))
    assert generator.synthesize(styles).shape == (2, 3, 128, 128)
    for name in ("clean", "corrupted"):
        path = tmp_path / f"data/train_classifiers/{name}/classifier.safetensors"
        assert load_classifier(path, torch.device("cpu"))(torch.zeros(1, 3, 128, 128)).shape == (1, 2)
