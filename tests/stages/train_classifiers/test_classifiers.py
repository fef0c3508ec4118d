"""The two architectures and their files, augmentation and training, calibration and accuracy by severity."""

import math
from itertools import islice

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_atlas.classifiers import evaluation, training
from failure_atlas.classifiers.evaluation import tabulate_severities
from failure_atlas.classifiers.networks import TRUNKS, Classifier, load_classifier, save_classifier
from failure_atlas.classifiers.training import initialise, relight
from failure_atlas.core.weights import save_tensors
from failure_atlas.drawing.classifiers import draw_severities
from failure_atlas.images.image_set import ImageSet, Severities
from tests.refusing import refused

CPU = torch.device("cpu")


def build(network, **arguments):
    classifier = Classifier(network, classes=4, width=8, **arguments)
    initialise(classifier, torch.Generator().manual_seed(1))
    return classifier


@pytest.mark.parametrize("network", TRUNKS)
@pytest.mark.parametrize(("channels", "size"), [(1, 32), (3, 28), (1, 64)])
def test_shapes_and_logits_are_linear_in_the_features(network, channels, size):
    classifier = build(network, channels=channels).eval()
    images = torch.rand(5, channels, size, size)
    features = classifier.features(images)
    assert features.shape == (5, classifier.head.in_features)
    torch.testing.assert_close(classifier(images), classifier.head(features))
    for count in (5, 1, 0):  # a search may ask about no images
        assert classifier(images[:count]).shape == (count, 4)


@pytest.mark.parametrize("network", TRUNKS)
def test_a_grid_keeps_places_apart_and_features_do_not(network):
    images = torch.rand(4, 1, 32, 32)
    mirrored, classifier = images.flip(3), build(network, grid=2)
    assert classifier.head.in_features == 4 * classifier.features(images).shape[1]
    features, logits = classifier.examine(images)
    assert torch.equal(features, classifier.features(images))
    assert torch.equal(logits, classifier(images))
    with torch.no_grad():  # a head that looks at the left places alone
        classifier.head.weight.view(4, -1, 2, 2)[..., 1] = 0
    assert not torch.allclose(classifier(images), classifier(mirrored), atol=1e-3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("network", TRUNKS)
def test_standardised_images_look_alike_whatever_their_light(network):
    classifier, images = build(network, standardize=True), torch.rand(4, 1, 32, 32)
    plain, own = ((each(0.3 * images + 0.1) - each(images)).abs().mean() for each in (build(network), classifier))
    assert own < plain / 10
    flat = torch.full((1, 1, 32, 32), 0.5, requires_grad=True)
    classifier(flat).sum().backward()
    assert flat.grad.isfinite().all()
    assert len(classifier(images[:0])) == 0, "and without a warning"


def test_light_changes_brightness_and_contrast_of_each_image_within_its_limits():
    images = 0.4 + 0.2 * torch.rand(200, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    lit = relight(images, 0.5, torch.Generator().manual_seed(2))
    (std, mean), (lit_std, lit_mean) = (torch.std_mean(each, dim=(1, 2, 3)) for each in (images, lit))
    for ratio in (lit_mean / mean, lit_std / std):
        assert 1 / 1.5 - 1e-4 < ratio.min() < 0.7
        assert 1.45 < ratio.max() < 1.5 + 1e-4
    correlation = torch.corrcoef(torch.stack([lit_mean / mean, lit_std / std]))[0, 1]
    assert abs(correlation) < 0.2
    assert relight(images * 4 - 1.5, 4.0, torch.Generator().manual_seed(2)).aminmax() == (0, 1)


@pytest.mark.parametrize("network", TRUNKS)
def test_each_image_stands_alone_and_the_input_is_kept(network):
    classifier = build(network)
    images = torch.rand(6, 1, 32, 32)
    before = images.clone()
    alone = torch.cat([classifier(image[None]) for image in images])
    torch.testing.assert_close(classifier(images), alone, rtol=1e-4, atol=1e-5)
    assert torch.equal(images, before)


@pytest.mark.parametrize("network", TRUNKS)
def test_gradient_reaches_every_pixel_and_equals_finite_differences(network):
    classifier = build(network).double().eval()
    images = torch.rand(2, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(classifier(images)[:, 1].sum(), images)
    assert (gradient != 0).all()
    assert torch.autograd.gradcheck(lambda x: classifier(x).sum(0), images, fast_mode=True)


@pytest.mark.parametrize("network", TRUNKS)
def test_file_gives_the_same_classifier_back(network, tmp_path):
    classifier = build(network)
    images = torch.rand(8, 1, 32, 32)
    classifier.to(memory_format=torch.channels_last)  # as training leaves it
    save_classifier(tmp_path / "one.safetensors", classifier)
    loaded = load_classifier(tmp_path / "one.safetensors", CPU)
    torch.testing.assert_close(loaded(images), classifier(images), rtol=1e-5, atol=1e-6)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    save_classifier(tmp_path / "two.safetensors", loaded)
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


UNKNOWN = [
    ({"network": "unknown", "classes": 4}, "unknown"),
    ({"network": "plain", "classes": 4, "depth": 3}, "depth"),
    ({"network": "plain", "classes": 9, "width": 8}, "state_dict"),
    (None, "architecture"),
]


@pytest.mark.parametrize(("architecture", "reason"), UNKNOWN)
def test_file_that_fits_no_known_architecture(architecture, reason, tmp_path):
    description = {"kind": "classifier"} | ({"architecture": architecture} if architecture else {})
    save_tensors(tmp_path / "c.safetensors", build("plain").state_dict(), description)
    told = rf"c\.safetensors: holds no classifier .*{reason}.*train it again"
    refused(told, load_classifier, tmp_path / "c.safetensors", CPU)


NONE = {"rotation_degrees": 0.0, "scale": 0.0, "shear": 0.0, "shift": 0.0}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def affine(matrix):
    return torch.tensor([matrix], dtype=torch.float32)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_no_limits_change_nothing(interpolation):
    images = torch.rand(3, 2, 9, 12)
    maps = training.draw_affine(3, generator(), **NONE)
    torch.testing.assert_close(maps, torch.eye(2, 3).expand(3, 2, 3))
    torch.testing.assert_close(training.warp(images, maps, interpolation), images, rtol=1e-5, atol=1e-5)


def test_quarter_turn_and_shift_by_whole_pixels_are_exact():
    images = torch.rand(1, 1, 8, 8)
    turned = training.warp(images, affine([[0, -1, 0], [1, 0, 0]]), "bilinear")
    torch.testing.assert_close(turned, images.rot90(1, (2, 3)), rtol=1e-5, atol=1e-5)
    moved = training.warp(images, affine([[1, 0, 2 * 3 / 8], [0, 1, 0]]), "bilinear")  # looks 3 of 8 px to the right
    torch.testing.assert_close(moved[..., :5], images[..., 3:], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(moved[..., 5:], images[..., 5:].flip(-1), rtol=1e-5, atol=1e-5)  # the mirror


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 45), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5), st.integers(0, 99))
def test_maps_stay_within_their_limits(rotation, scale, shear, shift, seed):
    maps = training.draw_affine(64, generator(seed), rotation_degrees=rotation, scale=scale, shear=shear, shift=shift)
    assert maps[:, :, 2].abs().max() <= 2 * shift + 1e-6
    x_axis = maps[:, :, 0]  # rotation and width only: the slant leaves the first axis
    width = x_axis.norm(dim=1)
    assert width.max() <= (1 + scale) * (1 + 1e-5)
    assert width.min() >= (1 - 1e-5) / (1 + scale)
    angle = torch.atan2(x_axis[:, 1], x_axis[:, 0]).abs()
    assert angle.max() <= math.radians(rotation) + 1e-5
    area = torch.linalg.det(maps[:, :, :2])  # a slant changes no area
    assert area.min() >= (1 - 1e-4) / (1 + scale) ** 2


def test_nearest_keeps_noise_as_strong_as_it_is_and_bilinear_does_not():
    noise = torch.randn(50, 1, 32, 32, generator=generator())
    maps = training.draw_affine(50, generator(), rotation_degrees=15, scale=0.1, shear=0.1, shift=0.1)
    assert training.warp(noise, maps, "nearest").std() == pytest.approx(1, abs=0.02)
    assert training.warp(noise, maps, "bilinear").std() < 0.8


def test_each_factor_fills_its_range():
    maps = training.draw_affine(4000, generator(), rotation_degrees=0, scale=0, shear=0.2, shift=0.1)
    for values, limit in ((maps[:, 0, 1], 0.2), (maps[:, 0, 2], 0.2), (maps[:, 1, 2], 0.2)):
        assert values.std() == pytest.approx(limit / math.sqrt(3), rel=0.05)
        assert abs(values.mean()) < 0.01


def test_learning_rate_rises_to_one_and_falls_to_zero():
    rates = [training.one_cycle(step / 1000) for step in range(1000)]
    assert rates[0] == 0
    assert max(rates) == rates[100] == 1
    assert rates[-1] < 1e-5
    assert (rates[:101], rates[100:]) == (sorted(rates[:101]), sorted(rates[100:], reverse=True))


@pytest.mark.parametrize(("n", "batch_size"), [(10, 3), (3, 10), (4, 4)])
def test_no_image_is_shown_again_before_all_others(n, batch_size):
    batches = list(islice(training.draw_batches(n, batch_size, generator()), 40))
    assert {len(batch) for batch in batches} == {batch_size}
    shown = torch.cat(batches)
    for start in range(0, len(shown) - n, n):
        assert sorted(shown[start : start + n].tolist()) == list(range(n))
    assert not torch.equal(shown[:n], shown[n : 2 * n]) or n < 4


def bars(n, seed=0):
    """Four classes: a bright bar in one of four places, over noise."""
    labels = torch.arange(n) % 4
    images = torch.randint(0, 60, (n, 1, 32, 32), generator=generator(seed), dtype=torch.uint8)
    for image, label in zip(images, labels, strict=True):
        image[0, :, 8 * label + 2 : 8 * label + 6] = 220
    return images, labels


def fit(network="plain", *, shift=0.0, told=None, **changes):
    classifier = Classifier(network, classes=4, width=8)
    augmentation = training.AugmentationParams(**NONE | {"shift": shift}, interpolation="bilinear")
    recipe = {"training_images": 640, "batch_size": 32, "learning_rate": 1e-2, "weight_decay": 0.01}
    recipe |= {"precision": "float32", "augmentation": augmentation} | changes
    images, labels = bars(64)
    shown, how = ImageSet(images.numpy(), labels.numpy()), training.Recipe.model_construct(**recipe)
    curve = training.train(
        classifier, shown, how, seed=1, names=("test",), key="somebody", device=torch.device("cpu"),
        evaluate=lambda: {"threads": float(torch.get_num_threads())},
        advance=lambda amount, note: told.append((amount, note)) if told is not None else None
    )  # fmt: skip
    return classifier, curve


@pytest.mark.parametrize("network", ["plain", "residual"])
def test_training_learns_what_can_be_learned(network):
    told = []
    classifier, curve = fit(network, told=told)
    images, labels = bars(40, seed=9)
    assert (classifier(images.float() / 255).argmax(1) == labels).float().mean() > 0.9
    assert [point["images"] for point in curve][-1] == 640 == sum(amount for amount, _ in told)
    assert len(curve) == 8
    assert curve[-1]["train_loss"] < curve[0]["train_loss"] / 2
    assert {point["threads"] for point in curve} == {1}
    assert told[0][1].startswith("loss ")


@pytest.mark.parametrize("network", ["plain", "residual"])
def test_training_depends_on_its_generators_and_not_on_the_threads(network):
    before = torch.get_num_threads()
    weights = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        weights.append(fit(network, shift=0.05)[0].state_dict())
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert all(torch.equal(weights[0][name], other[name]) for other in weights[1:] for name in other)


@pytest.mark.parametrize("n", [2, 7, 32])
def test_sharded_gradient_is_that_of_the_whole_batch(n):
    classifier = Classifier("plain", classes=4, width=8).double()
    images, labels = bars(n)
    images = images / 255.0
    with training.shard_workers() as workers:
        loss, right = training.set_gradient(classifier, images.double(), labels, workers)
    logits = classifier(images.double())
    whole = torch.nn.functional.cross_entropy(logits, labels)
    assert loss == pytest.approx(whole.item())
    assert right == (logits.argmax(1) == labels).sum()
    for parameter, gradient in zip(
        classifier.parameters(), torch.autograd.grad(whole, classifier.parameters()), strict=True
    ):
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.parametrize(("training_images", "points"), [(1, 1), (33, 2), (6400, 8)])
def test_length_is_in_images_whatever_the_set(training_images, points):
    _, curve = fit(training_images=training_images)
    assert (len(curve), curve[-1]["images"]) == (points, math.ceil(training_images / 32) * 32)


def test_divergence_is_told_at_once():
    refused(r"somebody: loss is not finite after [\d,]+ images; .* \(it is 1e", fit, learning_rate=1e30)


def outputs(confidence, n=None):
    """Two-class probabilities whose largest is `confidence`, always for class 0."""
    confidence = np.asarray(confidence, float)
    return np.stack([confidence, 1 - confidence], axis=1)


def draw_outputs(n, seed, sharpness=3.0):
    stream = np.random.default_rng(seed)
    logits = stream.normal(size=(n, 5)) * sharpness
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (probabilities.cumsum(1) < stream.random((n, 1))).sum(1)  # calibrated by construction
    return probabilities, labels


def test_closed_forms():
    labels = np.array([0] * 8 + [1] * 2)
    assert evaluation.calibration_error(outputs([0.8] * 10), labels) == pytest.approx(0)  # 80 % sure, 80 % right
    assert evaluation.calibration_error(outputs([1.0] * 10), labels) == pytest.approx(0.2)
    assert evaluation.calibration_error(outputs([0.55] * 10), labels) == pytest.approx(0.25)
    # Two bins that err in opposite directions do not cancel.
    halves = outputs([0.6] * 4 + [0.9] * 6)
    assert evaluation.calibration_error(halves, labels) == pytest.approx(0.4 * 0.4 + 0.6 * abs(4 / 6 - 0.9))


def test_slow_twin():
    probabilities, labels = draw_outputs(500, 1)
    confidence, predicted = probabilities.max(1), probabilities.argmax(1)
    error = 0.0
    for low, high in zip(np.linspace(0, 1, 16)[:-1], np.linspace(0, 1, 16)[1:], strict=True):
        inside = [i for i in range(500) if low < confidence[i] <= high]
        if inside:
            hits = sum(predicted[i] == labels[i] for i in inside) / len(inside)
            error += len(inside) / 500 * abs(hits - sum(confidence[i] for i in inside) / len(inside))
    assert evaluation.calibration_error(probabilities, labels) == pytest.approx(error)
    table = evaluation.calibration_table(probabilities, labels)
    filled = table[table["n"] > 0]
    assert (filled["n"] * (filled["accuracy"] - filled["mean_confidence"]).abs()).sum() / 500 == pytest.approx(error)
    assert table["n"].sum() == 500
    assert (filled["low"] < filled["accuracy"] + 1e-9).all()
    assert (filled["high"] > filled["accuracy"] - 1e-9).all()


@pytest.mark.parametrize("overconfidence", [0.0, 0.01, 0.1])
def test_interval_covers_the_error_as_often_as_it_says_also_near_0(overconfidence):
    """Two classes; the first has probability c, and is right with c - overconfidence: the error is known."""
    random, samples, covered = np.random.default_rng(6), 300, []
    for _ in range(120):
        confidence = random.uniform(0.7, 1, samples)
        labels = (random.random(samples) >= confidence - overconfidence).astype(int)
        interval = evaluation.calibration_interval(np.stack([confidence, 1 - confidence], axis=1), labels, random)
        covered.append(interval["low"] <= overconfidence <= interval["high"])
    assert np.mean(covered) >= 0.95
    assert interval["high"] - interval["low"] < 0.2


def test_confusion_counts_pairs():
    labels, predicted = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 0])
    assert evaluation.count_confusion(labels, predicted, 3).tolist() == [[1, 1, 0], [0, 1, 0], [2, 0, 0]]


def test_accuracy_of_each_class_and_of_one_that_is_absent():
    found = evaluation.measure_accuracy(np.array([True, False, True]), np.array([0, 0, 1]), ["a", "b", "c"])
    assert [found[name]["value"] for name in "ab"] == [0.5, 1.0]
    assert [found[name]["n"] for name in "abc"] == [2, 1, 0]


def test_predictions_are_probabilities_and_do_not_depend_on_the_batch():
    classifier = Classifier("plain", classes=4, width=8).eval()
    images = np.random.default_rng(0).integers(0, 256, (7, 1, 32, 32), np.uint8)
    whole, parts = evaluation.predict(classifier, images), evaluation.predict(classifier, images, batch_size=2)
    assert whole.shape == (7, 4)
    np.testing.assert_allclose(whole.sum(1), 1)
    np.testing.assert_allclose(whole, parts, rtol=1e-5)
    with torch.no_grad():
        logits = classifier(torch.from_numpy(images) / 255)
    np.testing.assert_allclose(whole, logits.softmax(1), rtol=1e-5)


RANDOM = np.random.default_rng(1)
CORRECT = RANDOM.random(400) < 0.7


def draw_drawn(*steps):
    clean = np.arange(400) < 200
    return Severities({step: np.where(clean, 0, RANDOM.integers(1, 4, 400)).astype(np.uint8) for step in steps})


@pytest.mark.parametrize("steps", [("shot_noise",), ("rotate", "noise", "blur")])
def test_one_row_per_step_in_the_order_of_the_recipe(steps):
    severities = draw_drawn(*steps)
    table = tabulate_severities(CORRECT, severities)
    figure = draw_severities(table)
    expected = [
        (step, level, CORRECT[drawn == level].sum() / (drawn == level).sum(), (drawn == level).sum())
        for step, drawn in severities.by_step.items()
        for level in range(4)
    ]
    found = [tuple(row) for row in table[["step", "severity", "accuracy", "n"]].itertuples(index=False)]
    assert found == expected
    assert (table["low"] < table["accuracy"]).all()
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == [step.replace("_", " ") for step in steps]
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown, table["accuracy"].to_numpy().reshape(len(steps), 4))


def test_two_steps_are_a_grid():
    severities = draw_drawn("fog", "motion_blur")
    table = tabulate_severities(CORRECT, severities)
    figure = draw_severities(table)
    assert list(table.columns) == ["fog_severity", "motion_blur_severity", "n", "accuracy", "low", "high"]
    assert (len(table), table["n"].sum()) == (1 + 9, 400)
    axes = figure.axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("fog severity", "motion blur severity")
    shown = pd.DataFrame(np.asarray(axes.images[0].get_array().filled(np.nan)))
    assert np.isfinite(shown.iloc[0, 0])
    assert shown.iloc[0, 1:].isna().all()
