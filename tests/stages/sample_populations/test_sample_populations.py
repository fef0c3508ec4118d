"""The stage on a tiny generator and classifier: its results, a second run, batch sizes, and mistakes."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import zarr

from failure_atlas.classifiers.networks import Classifier, save_classifier
from failure_atlas.core.arrays import read_array, read_attributes, write_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.judges.ensemble import Ensemble, save_ensemble
from failure_atlas.populations.sampling import Population, draw_latents, draw_noise, sample_population
from failure_atlas.stylegan2.generator import Generator, load_generator, save_generator
from failure_atlas.stylegan2.noise import CONSTANT
from stages.common.artefacts.images import read_class_names
from stages.common.artefacts.population import DIMENSIONS, read_samples
from stages.sample_populations.__main__ import main
from tests.stages.running import Stage, read_metrics
from tests.stages.tiny_networks import teach

SECTION = {
    "seed": 1, "samples": 60, "noise": "sample", "mean_noise_draws": 3, "batch_size": 25, "tsne_samples": 50,
    "perplexity": 10.0, "probe_folds": 3,
}  # fmt: skip


def read_population(path):
    return Population(**{name: read_array(path, name) for name in DIMENSIONS})


@pytest.fixture(scope="module")
def stage(request):
    return Stage(request, main, "sample_populations", SECTION)


def test_twice_gives_equal_bytes_and_every_result(run, out, hash_folder):
    metrics = read_metrics(out)
    assert hash_folder(run()) == hash_folder(out)
    assert (metrics["samples"], metrics["probe_samples"], metrics["style_dimensions"]) == (60, 50, 80)
    for key in ("class_separation", "outcome_separation", "outcome_separation_within_class"):
        assert set(metrics[key]) == {"z", "w", "s"}
        assert all((*entry, entry["n"]) == ("high", "low", "n", "value", 50) for entry in metrics[key].values())

    population = read_population(out / "population.zarr")
    assert np.bincount(population.labels).tolist() == [6] * 10
    assert population.s.shape == (60, 80)
    assert np.array_equal(population.noise, draw_noise(1, 60))
    means = np.array(read_attributes(out / "population.zarr")["mean_noise"])
    assert (means.shape, len(np.unique([*means.flat, *population.noise]))) == ((3, 10), 90)
    group = zarr.open_group(out / "population.zarr", mode="r")
    assert group["s"].metadata.dimension_names == ("sample", "style")
    assert group["images"].metadata.dimension_names == ("sample", "channel", "y", "x")
    styles = pd.read_csv(out / "style_dimensions.csv")
    assert len(styles) == 80
    np.testing.assert_allclose(styles["std"], population.s.std(axis=0, ddof=1), rtol=1e-4)
    assert sum(layer["dimensions"] for layer in metrics["layers"].values()) == 80
    assert sum(layer["dead"] for layer in metrics["layers"].values()) == metrics["dead_dimensions"] < 80

    points = pd.read_csv(out / "figures" / "fig3_spaces.csv")
    assert list(points) == ["sample", "class", "well", "z_x", "z_y", "w_x", "w_y", "s_x", "s_y"]
    assert points["well"].mean() == pytest.approx(metrics["accuracy"]["value"], abs=1e-5)


def test_a_black_box_says_well_or_mis_as_the_network_behind_it(run, out, tiny_black_box):
    assert read_metrics(run(classifier=tiny_black_box)) == read_metrics(out)


def test_batch_size_and_number_of_samples_leave_each_sample_alone(run, out):
    one, more = (read_population(place / "population.zarr") for place in (out, run(batch_size=7, samples=90)))
    assert np.array_equal(one.z, more.z[:60])
    assert np.array_equal(one.noise, more.noise[:60])
    np.testing.assert_allclose(one.s, more.s[:60], rtol=1e-4, atol=1e-5)
    assert np.abs(one.images.astype(int) - more.images[:60]).max() <= 1


def test_constant_noise_is_that_of_the_generator_for_samples_and_means(run, out, tiny_generator):
    constant = run(noise="constant") / "population.zarr"
    own, other = read_population(constant), read_population(out / "population.zarr")
    assert (own.noise == CONSTANT).all()
    assert np.array_equal(own.s, other.s)
    generator = load_generator(tiny_generator, torch.device("cpu"))
    levels = generator.synthesize(torch.from_numpy(own.s)).numpy() * 255
    assert np.abs(own.images - levels).max() <= 0.5 + 1e-3
    assert np.abs(own.images.astype(int) - other.images).max() > 2
    held = read_samples(constant.parent, generator)
    assert (held.constant_noise, read_samples(out, generator).constant_noise) == (True, False)
    assert held.mean_noise.tolist() == [[CONSTANT] * 10]


def test_samples_bear_the_names_of_their_classes(run, tmp_path):
    names = ["shirt", "shoe", "bag", "coat", "dress", "boot", "pullover", "sandal", "sneaker", "trouser"]
    write_arrays(tmp_path / "clothing.zarr", {}, {"class_names": names})
    named = run(images=tmp_path / "clothing.zarr")
    assert read_class_names(named / "population.zarr") == names
    points = pd.read_csv(named / "figures" / "fig3_spaces.csv")
    assert points["class"].tolist()[:10] == names


def test_files_that_are_missing_mixed_up_or_of_another_data_set(refuse, tmp_path, tiny_classifier):
    save_classifier(other := tmp_path / "other.safetensors", Classifier("plain", classes=3, width=8))
    write_arrays(tmp_path / "two.zarr", {}, {"class_names": ["cat", "dog"]})
    gone = tmp_path / "absent.safetensors"
    for given, message in (
        ({"samples": 20}, r"sample_populations: got 20 samples and 50 tsne_samples; allowed: at least 30 of each"),
        ({"classifier": other}, r"other\.safetensors: tells 3 classes apart, the generator ma"),
        ({"images": tmp_path / "two.zarr"}, r"two\.zarr: has 2 classes, the generator makes 10"),
        ({"generator": gone}, r"absent\.safetensors: missing; make it with: dvc repro train_stylegan2"),
        ({"generator": tiny_classifier}, r"classifier\.safetensors: holds a classifier, needed: a stylegan2-generator"),
    ):
        refuse(message, **given)


@pytest.fixture
def unconditional(tmp_path, tiny_generator):
    """The tiny generator, which no longer heeds the label."""
    network = load_generator(tiny_generator, torch.device("cpu"))
    own = Generator(replace(network.architecture, conditional=False))
    state = {name: held for name, held in network.state_dict().items() if "embedding" not in name}
    state["mapping.layers.0.weight"] = state["mapping.layers.0.weight"][:, :8]
    own.load_state_dict(state)
    save_generator(tmp_path / "unconditional.safetensors", own)
    return tmp_path / "unconditional.safetensors"


def test_of_an_unconditional_generator_the_judge_says_the_class(run, unconditional, tmp_path):
    params = {"generator": unconditional, "samples": 60, "tsne_samples": 60, "probe_folds": 2}
    network = load_generator(unconditional, torch.device("cpu"))
    balanced = np.arange(60) % 10
    images = sample_population(network, draw_latents(1, 60, 8), draw_noise(1, 60), balanced, batch_size=60).images
    network, names = teach(images, balanced, seed=1, steps=60), [str(label) for label in range(10)]
    sureness = Ensemble([network], names)(torch.from_numpy(images).float() / 255).softmax(dim=1).amax(dim=1)
    judge = Ensemble([network], names, confidence=float(np.median(sureness.detach().numpy())))
    save_ensemble(tmp_path / "judge.safetensors", judge)
    out = run(**params, judge=tmp_path / "judge.safetensors")
    held = read_population(out / "population.zarr")
    opinions = judge(torch.from_numpy(held.images).float() / 255).softmax(dim=1).detach().numpy()
    assert np.array_equal(held.labels, opinions.argmax(axis=1))
    told, unsure = read_metrics(out)["classes_from_judge"], opinions.max(axis=1) < judge.confidence
    assert 0 < told["unsure_samples"] == unsure.sum() < 60
    assert sum(each["unsure_samples"] for each in told["per_class"].values()) == unsure.sum()
    assert [each["samples"] for each in told["per_class"].values()] == np.bincount(held.labels, minlength=10).tolist()
    rare = save_ensemble_of_one_class(tmp_path / "rare.safetensors", judge)
    message = r"the judge sees 0 of 60 samples as 0; needed: one in each of 2 probe_folds; raise samples"
    with pytest.raises(StageError, match=message):
        run("other", **params, judge=rare)
    assert not list((tmp_path / "other").iterdir())


def save_ensemble_of_one_class(path, judge):
    """A judge that sees 9 in everything."""
    network = deepcopy(judge.members[0])
    for parameter in [*network.parameters()][-2:]:
        parameter.data.zero_()
    [*network.parameters()][-1].data[9] = 9.0
    save_ensemble(path, Ensemble([network], judge.class_names))
    return path
