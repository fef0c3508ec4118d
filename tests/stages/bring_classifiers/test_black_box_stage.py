"""A function and a server brought through the whole stage, and loaded again; what passes a black box, and what not."""

import json
import shutil
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from failure_atlas.brought import http_predictor
from failure_atlas.brought.black_box import BlackBox
from failure_atlas.brought.checkpoint import load_classifier, read_network
from failure_atlas.brought.params import BringClassifierParams
from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.core.errors import StageError
from failure_atlas.images.image_set import to_unit
from failure_atlas.world.gradients import differentiate, softmax
from failure_atlas.world.show import CLASSIFIER, World
from stages.common.artefacts.images import read_images
from stages.common.artefacts.networks import load_networks
from stages.compute_curves.__main__ import main as compute_curves
from stages.walk_corner_cases.__main__ import main as walk_corner_cases
from tests import yaml12 as yaml
from tests.stages.bring_classifiers.test_http_predictor import serving

CPU = torch.device("cpu")
# The brightest band of columns names the class, in NumPy alone; softmax of its brightness.
SOURCE = """
import numpy as np

LEFT = 1 + 3 * np.arange(10)


def predict(images):
    bands = np.stack([images[:, 0, 4:28, left : left + 3].mean((1, 2)) for left in LEFT], 1).astype(float)
    odds = np.exp(30 * (bands - bands.max(1, keepdims=True)))
    return odds / odds.sum(1, keepdims=True)


class Wrapped:
    pass


def names(images):
    return predict(images).argmax(1)


def reversed_bands(images):
    return np.ascontiguousarray(predict(images)[:, ::-1])
"""
ENTRY = {"predict": "bands:predict", "outputs": "probabilities"}


@pytest.fixture
def bands(brought: Path) -> Path:
    """The folder of the function, without anything of another classifier."""
    for file in brought.iterdir():
        file.unlink()
    (brought / "bands.py").write_text(SOURCE, encoding="utf-8")
    return brought


def expect(images: np.ndarray) -> np.ndarray:
    names: dict[str, object] = {}
    exec(SOURCE, names)  # noqa: S102 - the module that was brought
    return names["predict"](images)


@pytest.fixture
def serve() -> Iterator[ThreadingHTTPServer]:
    """A server on loopback that computes the function."""
    with serving(expect) as server:
        yield server


def check_loaded(out: Path, tiny_images: Path) -> torch.nn.Module:
    """The classifier of the file answers as the function, and says that it gives no gradients."""
    classifier = load_classifier(out / "classifier.safetensors", CPU)
    assert not is_differentiable(classifier)
    test = read_images(tiny_images, "test")
    shown = to_unit(test.images)
    np.testing.assert_allclose(classifier(shown).softmax(1), expect(shown.numpy()), atol=1e-6)
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["differentiable"] is False
    assert metrics["parameters"] == 0
    assert metrics["clean_test_accuracy"]["value"] == pytest.approx(1.0)
    return classifier


def test_a_function_is_brought_and_loaded_again(bands, bring, tiny_images, tiny_generator, hash_folder):
    out = bring(ENTRY)
    classifier = check_loaded(out, tiny_images)
    first = hash_folder(out)
    assert first == hash_folder(bring(ENTRY))
    network, again = load_networks(tiny_generator, out / "classifier.safetensors", CPU)
    styles = torch.ones(2, network.style_dimensions)
    with torch.no_grad():
        np.testing.assert_allclose(again(network.synthesize(styles)), classifier(network.synthesize(styles)), rtol=1e-4)
    world = World(network.synthesize, {CLASSIFIER: again})
    with pytest.raises(StageError, match=r"bring_classifiers\.mine\.predict: is a black box and gives no gradients"):
        list(differentiate(world, {"softmax": softmax}, styles.numpy(), np.zeros(2, np.int64)))

    (bands / "bands.py").write_text(SOURCE + "\n", encoding="utf-8")
    with pytest.raises(StageError, match=r"bands\.py: expected SHA-256 [0-9a-f]{64}, found SHA-256"):
        load_classifier(out / "classifier.safetensors", CPU)


def test_a_server_is_brought_and_its_warning_says_what_no_hash_pins(bands, bring, serve, tiny_images, monkeypatch):
    (bands / "bands.py").unlink()
    (bands / "model.txt").write_text("bands, version 1\n", encoding="utf-8")
    out = bring({"url": f"http://127.0.0.1:{serve.server_port}/predict", "outputs": "probabilities"})
    check_loaded(out, tiny_images)
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    (warning,) = metrics["warnings"]
    assert warning.startswith("bring_classifiers.mine.url: no hash pins what the server runs")
    assert list(metrics["files"]) == ["model.txt"]
    monkeypatch.setattr(http_predictor, "PAUSE_SECONDS", 0.0)
    serve.socket.close()
    with pytest.raises(StageError, match=r"http://127\.0\.0\.1:\d+/: not reached in 3 tries"):
        bring({"url": f"http://127.0.0.1:{serve.server_port}/"})


def test_a_server_is_asked_as_its_entry_says(tmp_path):
    for entry, wanted in (({}, (60, 250)), ({"timeout_seconds": 2.5, "images_per_request": 7}, (2.5, 7))):
        params = BringClassifierParams(url="http://127.0.0.1:1/predict", **entry)
        again = BringClassifierParams.model_validate(params.model_dump())
        predictor = read_network(again, tmp_path, "bring_classifiers.mine").predict
        assert (predictor.timeout_seconds, predictor.batch_size) == wanted


WALKS = {
    "scope": "class", "dimensions": 1, "max_shift_std": 3.0, "grid_step_std": 1.5, "min_effect": 0.001,
    "only_true_failures": False, "start_samples": [], "figure_classes": [], "batch_size": 64,
}  # fmt: skip
CURVES = {
    "seed": 1, "top_k": [3], "headline_k": 3, "bins": 2, "tail_quantile": 0.99, "shift_samples": 20,
    "shift_dimensions": 2, "max_shift_std": 1.0, "shift_step_std": 1.0, "random_draws": 2, "bootstrap_replicates": 100,
    "batch_size": 50,
}  # fmt: skip


def test_walks_and_curves_of_a_server_are_those_of_the_function_that_it_serves(
    brought, keep, hash_folder, tiny_generator, tiny_population, tiny_judge, tiny_names, tiny_black_box,
    tiny_black_box_ranking,
):  # fmt: skip
    names = {"classifiers": {"classifier": "bring_classifiers"}, "bring_classifiers": {"classifier": {}}}
    params = yaml.safe_dump(names | {"walk_corner_cases": WALKS, "compute_curves": CURVES})
    Path("params.yaml").write_text(params, encoding="utf-8")
    Path("ranked_classifier").symlink_to(tiny_black_box_ranking)
    inside = load_classifier(tiny_black_box, CPU)
    asked = []

    def predict(images: np.ndarray) -> np.ndarray:
        asked.append(len(images))
        with torch.no_grad():
            return inside(torch.from_numpy(images.copy())).double().softmax(1).numpy()

    shutil.rmtree(brought)
    brought.mkdir()
    (brought / "model.txt").write_text("version 1\n", encoding="utf-8")
    with serving(predict) as server:
        served = keep({"url": f"http://127.0.0.1:{server.server_port}/", "outputs": "probabilities"})
        for name, weights in (("function", tiny_black_box), ("server", served)):
            world = tiny_generator, weights, tiny_judge, tiny_population
            walk_corner_cases(*world, tiny_black_box_ranking, tiny_names, Path(name) / "walks")
            places = f"{weights.parent}/{{name}}.safetensors", tiny_population, "ranked_{name}", tiny_judge
            compute_curves(tiny_generator, *places, Path(name) / "curves")
    assert sum(asked) > 100
    for out in ("walks", "curves"):
        assert hash_folder(Path("server") / out) == hash_folder(Path("function") / out) != {}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"predict": "bands:Wrapped"}, r"mine\.predict: bands:Wrapped is a type; name a function of a NumPy array"),
        ({"predict": "bands:LEFT"}, r"mine\.predict: bands:LEFT is a ndarray; name a function of a NumPy array"),
        ({"predict": "bands:nobody"}, r"mine\.predict: got 'bands:nobody'; bands has no nobody"),
        ({"predict": "bands:names"}, r"mine\.predict: returned an array of shape \[24\] for 24 images; needed: \[24, "),
        ({"predict": "bands:predict", "input": {"size_px": 16}}, r"mine\.predict: (failed on|ret|its)|mine: its a"),
        ({"predict": "bands:predict", "weights": "w.pt"}, r"weights only beside load; it stands beside predict"),
        ({"predict": "bands:predict", "timeout_seconds": 5}, r"timeout_seconds only beside url; it stands beside pred"),
        (ENTRY | {"predict": "bands:reversed_bands"}, r"mine: 0\.000 of 50 clean test .* no better than chance"),
        ({"url": "http://me:secret@host/x"}, r"http://\.\.\.@host/x: no URL that can be called; allowed: http://HOST"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value encountered")
def test_what_cannot_be_asked_is_named(bands, bring, entry, message):
    with pytest.raises(StageError, match=message):
        bring(entry)


IMAGES = torch.arange(2 * 1 * 3 * 4, dtype=torch.float32).view(2, 1, 3, 4) / 24


def halves(images):
    """Sums of the left and of the right half."""
    return np.stack([images[..., :2].sum((1, 2, 3)), images[..., 2:].sum((1, 2, 3))], axis=1)


def test_predict_gets_a_float32_copy_in_rows_after_rows_whatever_the_memory_order():
    seen = []

    def spoil(images):
        seen.append((images.dtype, images.flags.c_contiguous, images.copy()))
        images[:] = 0
        return np.ones((len(images), 2))

    images = IMAGES.clone().contiguous(memory_format=torch.channels_last)
    BlackBox(spoil, "mine")(images)
    assert seen[0][:2] == (np.dtype(np.float32), True)
    np.testing.assert_array_equal(seen[0][2], IMAGES.numpy())
    torch.testing.assert_close(images, IMAGES)


def test_a_gradient_is_refused_and_never_zero():
    box = BlackBox(halves, "mine")
    leaf = IMAGES.clone().requires_grad_()
    loss = (2 * box(leaf)).softmax(1).sum()
    with pytest.raises(StageError, match=r"mine: is a black box and gives no gradients; .* auto or finite_difference"):
        loss.backward()
    with pytest.raises(StageError, match="mine: is a black box"):
        torch.autograd.grad(box(leaf).sum(), leaf)
    assert leaf.grad is None


def raising(_):
    raise KeyError("weights")


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (raising, r"mine: failed on images of shape \(2, 1, 3, 4\) with KeyError: 'weights'; correct its code"),
        (lambda x: halves(x).tolist(), r"mine: returned list; needed: a NumPy array \[2, 3\] of numbers; convert it"),
        (lambda x: torch.ones(len(x), 3), r"mine: returned Tensor; needed: a NumPy array"),
        (lambda x: np.full((len(x), 3), "cat"), r"mine: returned an array of <U3; needed: real numbers \[2, 3\]"),
        (lambda x: np.ones((len(x), 3), complex), r"mine: returned an array of complex128; needed: real numbers"),
        (lambda x: x[:, 0, 0, 0], r"mine: returned an array of shape \[2\] for 2 images; needed: \[2, 3\], one row"),
        (lambda _: np.ones((1, 3)), r"mine: returned an array of shape \[1, 3\] for 2 images; needed: \[2, 3\]"),
        (lambda x: np.ones((len(x), 4)), r"mine: returned an array of shape \[2, 4\] for 2 images; needed: \[2, 3\]"),
    ],
)
def test_what_is_no_answer_is_named(predict, message):
    with pytest.raises(StageError, match=message):
        BlackBox(predict, "mine", classes=3)(IMAGES)


def test_the_number_of_classes_may_not_change_between_calls_and_is_above_one():
    counts = iter((3, 4))
    box = BlackBox(lambda x: np.ones((len(x), next(counts))), "mine")
    box(IMAGES)
    with pytest.raises(StageError, match=r"shape \[2, 4\] for 2 images; needed: \[2, 3\]"):
        box(IMAGES)
    with pytest.raises(StageError, match=r"shape \[2, 1\] for 2 images; needed: \[2, classes\]"):
        BlackBox(lambda x: np.ones((len(x), 1)), "mine")(IMAGES)
