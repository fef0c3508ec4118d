"""The whole stage on bars of every thickness, length and lean; its metrics are counted again from its tables."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from failure_atlas.attributes.calibration import calibrate, corrupt_known, round_grey
from failure_atlas.attributes.registry import GREYS, NAMES
from failure_atlas.core.arrays import read_array, write_arrays
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.image_set import ImageSet, Severities
from failure_atlas.populations.sampling import Population
from failure_atlas.statistics.estimates import estimate_share
from stages.common.artefacts.attributes import Measured, read_measured, write_measured
from stages.common.artefacts.images import named_arrays, named_severities, read_images, read_severities
from stages.common.artefacts.population import store_population
from stages.common.image_params import CorruptImagesParams
from stages.common.mode_params import FindModesParams
from stages.find_planted.__main__ import main
from stages.find_planted.inputs import open_pools
from stages.find_planted.measures import measure_otherwise
from stages.find_planted.params import FindPlantedParams
from stages.find_planted.plants import APPLIED, KINDS, MEASURED
from stages.find_planted.trials import summarize
from tests import yaml12 as yaml
from tests.stages.find_planted.bars import draw_bar
from tests.stages.running import Stage, read_metrics

SECTION = {
    "seed": 1, "runs": 2, "curve_runs": 1, "error_rate": 0.02, "failure_rate": 0.95, "least_support": 0.08,
    "most_support": 0.3, "curve_rates": [0.3, 0.95], "curve_supports": [0.05, 0.1, 0.3], "first_modes": 3,
    "overlap": 0.6, "real_images": 40,
}  # fmt: skip
RECIPE = {
    "find_modes": {
        "seed": 1, "most_modes": 4, "least_share": 0.03, "most_share": 0.5, "inner_modes": 0, "fdr": 0.05,
        "attributes": None, "pictures": 1, "map_bins": 2, "batch_size": 1,
        "operating_domain": {"exposure": [], "costs": []},
    },
    "corrupt_images": {
        "seed": 1, "clean_fraction": 0.4, "recipe": ["gaussian_blur", "gaussian_noise"], "table": "imagenet-c",
        "severities": [1, 2, 3],
    },
}  # fmt: skip
MADE, REAL, CLASSES = 240, 60, 3
GENERATED, ALONE = "generated", "real images alone"


def draw_bars(n, random):
    shapes = zip(*(random.uniform(*span, n) for span in ((2.5, 6), (14, 24), (-40, 40), (-3, 3))), strict=True)
    return round_grey(np.array([random.uniform(0.6, 1) * draw_bar(*shape, fine=4) for shape in shapes]))[:, None]


def write_population(folder, images):
    n = len(images)
    noise, labels = np.arange(n), np.arange(n) % CLASSES
    made = {name: np.zeros((n, 4), np.float32) for name in ("z", "w", "s")}
    part = Population(**made, noise=noise, images=images, labels=labels)
    list(store_population(folder / "population.zarr", [part], n, list("abc"), np.zeros((2, CLASSES), np.int64)))
    return folder


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A population of which three quarters look clean, test images of the recipe's steps, and their looks."""
    folder, random = tmp_path_factory.mktemp("find_planted"), np.random.default_rng(1)
    images, real = draw_bars(MADE, random), draw_bars(REAL, random)
    images[::4] = corrupt_known(images[::4], 0.15, 0.0, random)
    severity = np.where(np.arange(REAL) % 2, random.integers(1, 4, (2, REAL)), 0).astype(np.uint8)
    real[1::2] = corrupt_known(real[1::2], 0.1, 1.0, random)
    test = named_arrays("test", ImageSet(real, np.arange(REAL) % CLASSES))
    levels = named_severities("test", Severities(dict(zip(("blur", "noise"), severity, strict=True))))
    write_arrays(folder / "images.zarr", test | levels, {"class_names": list("abc")})
    calibration = calibrate(draw_bars(12, random), partial(numpy_stream, 1))
    looks = [calibration.read(calibration.measure(each)) for each in (images, real)]
    write_measured(folder / "measured", Measured(NAMES[:GREYS], *looks, np.ones(GREYS), calibration))
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    return {
        "population": write_population(folder / "population", images), "attributes": folder / "measured",
        "images": folder / "images.zarr", "recipe": folder / "recipe.yaml",
    }  # fmt: skip


@pytest.fixture(scope="module")
def stage(request, inputs):
    return Stage(request, main, "find_planted", SECTION, **inputs)


def test_twice_gives_equal_bytes(run, out, hash_folder):
    first = hash_folder(out)
    assert first == hash_folder(run())
    tables = {f"{name}.csv" for name in ("spots", "trials", "planted", "curve")}
    assert first.keys() == tables | {"metrics.json", "figures/planted.png", "figures/planted.csv"}


def test_every_kind_is_planted_in_each_pool(out):
    spots, trials = (pd.read_csv(out / f"{name}.csv") for name in ("spots", "trials"))
    wanted = [(by, basis, kind, run) for by in (GENERATED, ALONE) for basis in (APPLIED, MEASURED)
              for kind, classes in KINDS.items() for run in (0, 1) for _ in classes]  # fmt: skip
    columns = ["by", "basis", "kind", "run"]
    assert sorted(spots[columns].itertuples(index=False, name=None)) == sorted(wanted)
    assert len(trials) == 2 * (2 * 4 * 2 + 2), "pools take turns where nothing is planted"
    assert trials.loc[trials["kind"] == "none", ["by", "basis"]].value_counts().tolist() == [1] * 4
    assert spots["support"].between(0.08, 1.5 * 0.3).all()
    assert (spots["found"] == (spots["overlap"] >= 0.6)).all()
    assert spots.groupby(["basis", "kind", "run", "spot"])["support"].nunique().eq(1).all(), "the same for both"
    assert spots.loc[spots["by"] == GENERATED, "found"].mean() > 0.3 > spots.loc[spots["by"] == ALONE, "found"].mean()


def test_metrics_and_shares_count_the_tables(out):
    metrics, spots, trials = read_metrics(out), pd.read_csv(out / "spots.csv"), pd.read_csv(out / "trials.csv")
    false = trials["kind"].eq("none") & (trials["run"] == 1)
    assert summarize(spots, trials.assign(modes=trials["modes"] + false))["clean_runs_without_mode"] == 1
    for by, ending in ((GENERATED, ""), (ALONE, "_real_images_alone")):
        own, tried = spots[spots["by"] == by], trials[trials["by"] == by]
        counts = {
            "planted_recovered_share": (own["found"].sum(), len(own)),
            "reported_false_share": (tried["false_modes"].sum(), tried["modes"].sum()),
        }  # fmt: skip
        for name, (hits, n) in counts.items():
            expected, told = estimate_share(int(hits), int(n)), metrics[f"{name}{ending}_interval"]
            assert metrics[f"{name}{ending}"] == pytest.approx(expected.value, rel=1e-5)
            assert (told["low"], told["high"]) == pytest.approx((expected.low, expected.high), rel=1e-5)
            assert told["n"] == n > 0
        clean = tried[tried["kind"] == "none"]
        assert metrics[f"clean_runs{ending}"] == len(clean) == 2
        assert metrics[f"clean_runs_without_mode{ending}"] == (clean["modes"] == 0).sum()
    table, curve = pd.read_csv(out / "planted.csv"), pd.read_csv(out / "curve.csv")
    for row in table.to_dict("records"):
        own = spots[(spots["basis"] == row["basis"]) & (spots["kind"] == row["kind"])].groupby("by")["found"]
        assert (row["generated"], row["real"]) == tuple(own.mean()[[GENERATED, ALONE]])
        assert [row["n"]] * 2 == own.size().tolist()
    assert curve[["rate", "support_low"]].to_numpy().tolist() == [[0.3, 0.05], [0.3, 0.1], [0.95, 0.05], [0.95, 0.1]]
    assert (curve["share"] - curve["found"] / curve["n"]).abs().max() < 1e-5
    assert curve["n"].between(1, 4).all()
    assert curve["share"][3] > curve["share"][0], "the larger and the worse"


def test_spots_fire_on_written_severities_or_on_the_other_measurements(inputs):
    models = FindModesParams(**RECIPE["find_modes"]), CorruptImagesParams(**RECIPE["corrupt_images"])
    pools, chosen = open_pools(*inputs.values(), *models, FindPlantedParams(**SECTION))
    measured = read_measured(inputs["attributes"])
    images = read_array(inputs["population"] / "population.zarr", "images")
    looks, real_looks = (measured.pick(each, chosen) for each in (measured.population, measured.images))
    made, real = pools[APPLIED]
    assert len(made.origin) > MADE
    assert (np.bincount(made.origin, minlength=MADE)[::4] == 0).all(), "what is noisy is not corrupted again"
    assert set(np.bincount(made.origin)) <= {0, 2}
    unchanged = (made.levels["blur"] == 0) & (made.levels["noise"] == 0)
    assert unchanged.mean() == pytest.approx(0.4, abs=0.01)
    np.testing.assert_allclose(made.looks[unchanged], looks[made.origin[unchanged]], rtol=1e-5)
    noise = made.looks[:, chosen.index("noise")]
    assert noise[made.levels["noise"] == 3].min() > noise[unchanged].max()
    np.testing.assert_array_equal(made.true_class, made.origin % CLASSES)
    rows = [int(np.flatnonzero((real_looks == row).all(axis=1))[0]) for row in real.looks]
    assert len(set(rows)) == 40
    for name, level in read_severities(inputs["images"], "test").by_step.items():
        np.testing.assert_array_equal(real.levels[name], level[rows])
    test = read_images(inputs["images"], "test")
    shown = ((images, np.arange(MADE) % CLASSES), (test.images[rows], test.labels[rows]))
    for pool, (images, labels) in zip(pools[MEASURED], shown, strict=True):
        np.testing.assert_array_equal(pool.true_class, labels)
        for name, level in measure_otherwise(images).items():
            np.testing.assert_array_equal(pool.levels[name], level)
    np.testing.assert_array_equal(pools[MEASURED][0].looks, looks)


def test_what_is_missing_or_does_not_fit_together_is_named(refuse, inputs, tmp_path):
    made_by = {"population": "sample_populations", "attributes": "measure_attributes", "images": "corrupt_images"}
    for key, stage in made_by.items():
        refuse(f"missing; make it with: dvc repro {stage}$", **{key: tmp_path / "gone"})
    measured = read_measured(inputs["attributes"])
    for name, lost in (("population", MADE), ("images", REAL)):
        changed = replace(measured, **{name: getattr(measured, name)[: lost - 1]})
        write_measured(tmp_path / name, changed)
    refuse(
        "of another population; make it again with: dvc repro measure_attributes$", attributes=tmp_path / "population"
    )
    refuse(r"images\.zarr: 60 test images; 59 were measured", attributes=tmp_path / "images")
    test = named_arrays("test", read_images(inputs["images"], "test"))
    write_arrays(tmp_path / "others.zarr", test, {"class_names": list("xyz")})
    message = r"others\.zarr: shows the classes x, y, z; the population has a, b, c$"
    refuse(message, images=tmp_path / "others.zarr")
    refuse(r"find_planted\.real_images: got 61; allowed: at most as many as there are$", real_images=61)
    recipe = RECIPE | {"find_modes": RECIPE["find_modes"] | {"attributes": ["nois"]}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    refuse(
        r"recipe\.yaml: find_modes\.attributes: got nois; allowed: null, or some of ", recipe=tmp_path / "recipe.yaml"
    )
    told = r"least_support and most_support: no class, condition of a supp"
    refuse(told, least_support=0.45, most_support=0.49)
