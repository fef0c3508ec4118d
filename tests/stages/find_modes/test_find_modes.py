"""The whole stage on a classifier whose blind spot is known; what it tells is counted again."""

import re
import shutil
from copy import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from failure_atlas.core.arrays import read_array, write_arrays
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.decisions.summary import COLUMNS
from failure_atlas.images.image_set import ImageSet
from failure_atlas.modes.mode import Mode, read_mode
from failure_atlas.statistics.estimates import estimate_share
from stages.common.artefacts.attributes import read_measured, write_measured
from stages.common.artefacts.images import named_arrays, read_images
from stages.find_modes.__main__ import main
from tests import yaml12 as yaml
from tests.refusing import refused
from tests.stages.find_modes.conftest import LOW, NAMES, NOISY, write_found, write_logits
from tests.stages.running import Stage, read_metrics
from tests.stages.tiny_networks import CLASSES

SECTION = {
    "seed": 1, "most_modes": 4, "least_share": 0.05, "most_share": 0.5, "inner_modes": 1, "fdr": 0.05,
    "attributes": ["noise", "thickness", "holes"], "pictures": 3, "map_bins": 4, "batch_size": 20,
    "operating_domain": {"exposure": [], "costs": []},
}  # fmt: skip
FILES = {"modes.csv", "others.csv", "metrics.json", *(f"figures/{name}.{end}" for name in ("modes", "map", "mode_1")
         for end in ("csv", "png"))}  # fmt: skip
SENTENCE = "reads other classes as 3: noise above 0.15"


@pytest.fixture(scope="module")
def stage(request, world):
    return Stage(request, main, "find_modes", SECTION, name="one", **world.inputs)


@pytest.fixture
def ask(stage, tmp_path):
    """A function that runs the stage with other params, of which one is called as an input is, and other inputs."""

    def run(section=None, into="out", **inputs):
        other = copy(stage)
        other.params = SECTION | (section or {})
        return other.run(tmp_path / into, **inputs)

    return run


@pytest.fixture(scope="module")
def half(world):
    """The samples that were not searched."""
    held = np.zeros(200, bool)
    held[numpy_stream(1, "halves").permutation(200)[:100]] = True
    return held


def read_modes(out):
    return pd.read_csv(out / "modes.csv", keep_default_na=False, na_values=[""], dtype={"class": str, "read_as": str})


def use(exposure=(), costs=()):
    return {"operating_domain": {"exposure": list(exposure), "costs": list(costs)}}


def write_spots(world, tmp_path, predicted):
    """The option --ranked for a classifier that answers so, beside `two`."""
    write_logits(tmp_path / "one", predicted)
    shutil.copytree(world.folder / "two", tmp_path / "two")
    return f"{tmp_path}/{{name}}"


def test_twice_and_in_other_batches_gives_equal_bytes(run, out, hash_folder):
    first = hash_folder(out)
    assert first == hash_folder(run()) == hash_folder(run("batches", batch_size=7))
    assert first.keys() == FILES


def test_the_blind_spot_is_told_in_words_and_counted_again(out, world, half):
    (row,), metrics = read_modes(out).to_dict("records"), read_metrics(out)
    assert {*COLUMNS} <= row.keys()
    assert not [name for name in (*row, *metrics) if "second" in name], "none was given"
    inside, wrong = world.noise > NOISY, world.predicted != world.true_class
    assert (row["rank"], row["sentence"], row["conditions"], row["read_as"]) == (1, SENTENCE, "noise above 0.15", "3")
    assert pd.isna([row["within"], row["class"]]).all()
    read = read_mode(row["definition"], NAMES, [str(label) for label in range(CLASSES)])
    assert read == Mode(None, {NAMES.index("noise"): (NOISY, None)})
    n, failures = (inside & half).sum(), (inside & wrong & half).sum()
    assert (row["n"], row["failures"]) == (n, failures)
    confirmed = world.judged[world.judged["auditor_confirms"]]["index"]
    shares = {
        "rate": (failures, n), "rate_elsewhere": (0, 100 - n), "share": (n, 100), "real_rate": (10, 10),
        "true_failure_share": (half[confirmed].sum(), failures),
    }  # fmt: skip
    for name, counts in shares.items():
        expected = estimate_share(*map(int, counts))
        told = tuple(row[f"{name}{side}"] for side in ("", "_low", "_high"))
        assert told == pytest.approx((expected.value, expected.low, expected.high), rel=1e-4), name
    assert row["true_failures"] == half[confirmed].sum() < failures
    assert row["risk"] == pytest.approx(failures / 100)
    assert (row["found_failures"], row["nearest_distance_std"]) == (3, 2.5), "by what found images look like"
    assert (row["n_real"], row["real_failures"], row["verdict"]) == (10, 10, "corroborated")
    told = (metrics["modes"], metrics["corroborated"], metrics["explained_share"]["value"], metrics["effective_n"])
    assert told == (1, 1, 1, 100)
    found = [metrics[key]["value"] for key in ("worst_rate", "domain_share", "real_explained_share")]
    assert found == pytest.approx([row["rate"], row["share"], 1], rel=1e-4)
    assert metrics["failure_rate"]["value"] == (wrong & half).mean() * 2
    (other,) = pd.read_csv(out / "others.csv").to_dict("records")
    assert (other["rank"], other["classifier"], other["n"], other["rate"]) == (1, "two", n, 0)


def test_every_cell_of_the_map_is_counted_again(out, world):
    mapped = pd.read_csv(out / "figures" / "map.csv")
    assert set(zip(mapped["x"], mapped["y"], strict=True)) == {("noise", "thickness")}, "holes are no axis"
    sides = ((world.measured.population, world.predicted == world.true_class), (world.measured.images, ~world.taught))
    for row in mapped.to_dict("records"):
        counts = []
        for looks, right in sides:
            x, y = (looks[:, NAMES.index(row[side])] for side in ("x", "y"))
            own = (x >= row["x_low"]) & (x < row["x_high"]) & (y >= row["y_low"]) & (y < row["y_high"])
            counts += [own.sum(), (own & right).sum()]
        assert (row["n"], row["right"], row["n_real"], row["real_right"]) == tuple(counts)
    covered = read_metrics(out)["coverage"]
    assert (covered["value"], covered["n"]) == ((mapped["n"] >= 30).mean(), (mapped["n"] > 0).sum())
    assert mapped["n"].sum() > 190


def test_a_classifier_without_errors_has_no_modes(ask, world, tmp_path):
    nothing = pd.DataFrame(columns=["method", "verdict", "distance_std"])
    write_found(tmp_path / "found", nothing, np.empty((0, 1, 32, 32), np.uint8))
    (tmp_path / "judged").mkdir()
    world.judged[:0].to_csv(tmp_path / "judged" / "failures.csv", index=False)
    out = ask(name="two", failures=tmp_path / "found", judged=tmp_path / "judged")
    table, metrics = read_modes(out), read_metrics(out)
    assert len(table) == metrics["modes"] == metrics["candidates"] == 0
    assert table.columns.tolist() == [*COLUMNS, "definition"]
    assert metrics["explained_share"] == {"value": None, "low": None, "high": None, "n": 0}
    assert (out / "figures/modes.png").is_file()
    assert (out / "figures/map.png").is_file()
    assert len(pd.read_csv(out / "others.csv")) == 0


def test_without_two_attributes_that_are_no_counts_there_is_no_map(ask):
    out = ask({"attributes": ["holes", "pieces"]})
    assert not list(out.glob("figures/map.*"))
    assert (out / "figures" / "modes.png").is_file()
    assert "coverage" not in read_metrics(out)


def test_another_generator_is_asked_and_real_images_that_were_measured_elsewhere(
    ask, world, tmp_path, tiny_population, out
):
    noise, labels = world.noise[::-1], world.true_class
    looks, quiet = world.measured.population.copy(), world.measured.images.copy()
    looks[:, NAMES.index("noise")], quiet[:, NAMES.index("noise")] = noise, LOW
    write_measured(tmp_path / "second", replace(world.measured, population=looks))
    write_measured(tmp_path / "real", replace(world.measured, population=looks[:7], images=quiet))
    inside = noise > 0.15
    for answers, verdict in ((np.where(inside, 3, labels), "corroborated"), (labels, "contradicted")):
        write_logits(tmp_path / verdict, answers)
        second = tiny_population, tmp_path / "second", tmp_path / verdict
        told = ask({}, f"{verdict} out", second=second, real_attributes=tmp_path / "real")
        (row,), (plain,) = (read_modes(each).to_dict("records") for each in (told, out))
        failed, n = int((inside & (answers != labels)).sum()), int(inside.sum())
        expected = estimate_share(failed, n)
        assert (row["n_second"], row["second_failures"], row["second_verdict"]) == (n, failed, verdict)
        shares = [row[f"second_rate{side}"] for side in ("", "_low", "_high", "_elsewhere")]
        assert shares == pytest.approx([expected.value, expected.low, expected.high, 0], rel=1e-4)
        assert read_metrics(told)["second_corroborated"] == (verdict == "corroborated")
        assert (row["n_real"], row["verdict"], plain["n_real"]) == (0, "too few", 10)
        assert [row[name] for name in ("sentence", "n", "rate")] == [plain[name] for name in ("sentence", "n", "rate")]


def test_a_kind_within_a_kind_is_told_after_it_and_held_against_the_rest_of_that(ask, world, tmp_path, half):
    looks, images = world.measured.population.astype(np.float32), world.measured.images.copy()
    outer, thick = looks[:, 0] > 0.1, looks[:, NAMES.index("thickness")] > 10
    # Of 16 noisy real images 10 are misread, five of the thicker eight and five of the others; elsewhere none is.
    order = np.argsort(~world.taught, kind="stable")
    images[order, 0] = np.where(np.arange(50) < 16, 0.18, LOW)
    images[order, NAMES.index("thickness")] = np.where(np.arange(50) % 2, 14, 6)
    write_measured(tmp_path / "measured", replace(world.measured, images=images))
    wrong = outer & (thick | (np.arange(200) // 10 % 2 == 0))
    ranked = write_spots(world, tmp_path, np.where(wrong, (world.true_class + 1) % 10, world.true_class))
    section, measured = {"attributes": ["noise", "thickness"], "most_share": 0.7}, tmp_path / "measured"
    table = read_modes(ask(section, ranked=ranked, attributes=measured))
    assert table["within"].isna().tolist() == [True, False]
    assert table["within"][1] == 1
    assert table["sentence"][0].startswith("fails: noise above 0."), "read as many classes, of many classes"
    assert table["sentence"][1].startswith(f"{table['sentence'][0]}, stroke thicker than ")
    assert table["rate"][1] > table["rate"][0] + 0.1
    assert table["n"][1] < table["n"][0]
    noisy, thicker = (float(bound) for bound in re.findall(r" ([0-9.]+)(?: px)?(?:,|$)", table["conditions"][1]))
    rest = half & (looks[:, 0] > noisy) & (looks[:, NAMES.index("thickness")] <= thicker)
    assert table["rate_elsewhere"][1] == pytest.approx(wrong[rest].mean(), rel=1e-4)
    assert table[["n_real", "real_failures"]].to_numpy().tolist() == [[16, 10], [8, 5]]
    assert table["real_rate_elsewhere"].tolist() == [0, 5 / 8]
    assert table["verdict"][0] == "corroborated" != table["verdict"][1], "of all others fewer are misread"
    # What only the half that was not searched shows within a kind is not found.
    wrong = outer & np.where(half, thick, np.arange(200) // 10 % 2 == 0)
    ranked = write_spots(world, tmp_path / "half", np.where(wrong, (world.true_class + 1) % 10, world.true_class))
    table = read_modes(ask(section, "half out", ranked=ranked))
    assert table["sentence"].tolist() == ["fails: noise above 0.10"]


@pytest.fixture
def two_spots(world, tmp_path):
    """Noise reads as 3, and what is thickest as 4; --ranked, and where the thickest begin."""
    thickness = world.measured.population[:, NAMES.index("thickness")]
    bound = float(np.quantile(thickness, 0.88))
    predicted = np.where(thickness > bound, 4, np.where(world.noise > NOISY, 3, world.true_class))
    return write_spots(world, tmp_path, predicted), bound


def test_use_changes_shares_and_order_and_costs_change_risk(ask, two_spots):
    ranked, bound = two_spots
    plain = read_modes(ask({}, "plain", ranked=ranked))
    often = ask(use([{"attribute": "thickness", "above": bound, "share": 0.8}]), "often", ranked=ranked)
    costly = use(costs=yaml.safe_load("[{true_class: null, read_as: 4, cost: 50}]"))
    costly = read_modes(ask(costly, "costly", ranked=ranked))
    weighed = read_modes(often)
    assert plain["read_as"].tolist() == ["3", "4"]
    assert weighed["read_as"].tolist() == costly["read_as"].tolist() == ["4", "3"], "by risk"
    assert weighed["share"][0] == pytest.approx(0.8, abs=0.1), "of the half that was not searched"
    assert plain["share"][1] < 0.25
    assert weighed["rate"][0] == pytest.approx(plain["rate"][1], abs=1e-3), "all of one weight"
    assert costly["risk"][0] == pytest.approx(50 * plain["risk"][1], rel=1e-4)
    assert costly["risk"][1] < plain["risk"][0] + 50 * plain["risk"][1]
    assert set(costly["sentence"]) == set(plain["sentence"]) == set(weighed["sentence"]), "found as before"
    assert read_metrics(often)["effective_n"] < 50


def test_without_a_list_conditions_are_made_of_what_visibly_differs(ask, world, tmp_path):
    looks = world.measured.population.copy()
    looks[:, NAMES.index("slant")] = 3
    write_measured(tmp_path / "measured", replace(world.measured, population=looks))
    out = ask({"attributes": None}, attributes=tmp_path / "measured")
    offered = read_measured(tmp_path / "measured").offer(None, world.true_class, tmp_path)
    assert set(NAMES) - set(offered) == {"slant", "aspect", "area"}
    assert read_modes(out)["sentence"].tolist() == [SENTENCE]


NOISE = {"attribute": "noise", "share": 0.1}
ONE_SIDE = r"find_modes\.operating_domain\.exposure\.0: .*above or below, one of them"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"attributes": ["nois"]}, r"find_modes\.attributes: got nois; allowed: null, or some of noise, blur, "),
        ({"attributes": ["noise"] * 2}, r"find_modes\.attributes: got \[noise, noise\]; allowed: null, .*, each once$"),
        ({"most_share": 0.05}, r"find_modes\.most_share: got 0\.05; allowed: .*more than least_share"),
        ({"attributes": []}, r"find_modes\.attributes: got \[\]; allowed: null, or some of noise, "),
        (use([NOISE | {"attribute": "x y", "above": 1}]), r"exposure: got 'x y'; allowed: noise, blur"),
        (use([NOISE | {"above": 9}]), r"noise above 9\.0 cannot hold in 0\.1 of use: it holds in 0\.000 of the popul"),
        (use([NOISE | {"below": 9}]), r"noise below 9\.0 cannot hold in 0\.1 of use: it holds in 1\.000 of the popul"),
        (use([NOISE | {"above": 0.1, "below": 0.2}]), ONE_SIDE),
        (use([NOISE]), ONE_SIDE),
        (use([NOISE | {"above": 0.1, "share": 1.0}]), r"exposure\.0\.share: got 1\.0; allowed: less than 1"),
        (use(costs=[{"true_class": "3", "read_as": "x", "cost": 2}]), r"costs: got 'x'; allowed: 0, 1, 2, "),
        (
            use(costs=[{"true_class": "3", "read_as": "8", "cost": -1}]),
            r"costs\.0\.cost: got -1.*; allowed: greater",
        ),
        ({"fdr": 0.5}, r"find_modes\.fdr: got 0\.5; allowed: less than 0\.5"),
        ({"modes": 3}, r"find_modes\.modes: unknown key; allowed here: "),
    ],
)
def test_wrong_params_are_named(ask, tmp_path, section, message):
    refused(message, ask, section)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("key", "missing", "made_by"),
    [
        ("population", "population.zarr", "sample_populations"),
        ("attributes", "attributes.zarr", "measure_attributes"),
        ("names", "directions.csv", "name_directions"), ("judged", "failures.csv", "judge_failures"),
        ("failures", "failures.csv", "find_failures"), ("failures", "failures.zarr", "find_failures"),
        ("ranked", "predictions.zarr", "rank_dimensions"), ("images", "", "corrupt_images"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_the_command_that_makes_it(refuse, world, tmp_path, key, missing, made_by):
    folder = tmp_path / "gone"
    if missing == "failures.zarr":
        folder = shutil.copytree(world.inputs["failures"], folder, ignore=lambda *_: ["failures.zarr"])
    given = {key: f"{folder}/{{name}}" if key == "ranked" else folder}
    refuse(rf"{missing}: missing; make it with: dvc repro {made_by}$", **given)


def test_what_does_not_fit_together_is_named(ask, refuse, world, tmp_path, tiny_images):
    refused(r"NAME: got 'three'; allowed: one, two$", ask, name="three")
    refuse(r"--ranked: got 'here'; allowed: a path with \{name\} in it", ranked="here")
    write_measured(tmp_path / "other", replace(world.measured, population=world.measured.population[:150]))
    refuse(
        r"measures 150 samples, the population has 200; make it again with: dvc repro measure_attributes$",
        attributes=tmp_path / "other",
    )
    test = read_images(tiny_images, "test")
    few = ImageSet(test.images[:9], test.labels[:9])
    for name, part, names in (("few", few, "0123456789"), ("others", test, "abcdefghij")):
        write_arrays(tmp_path / name, named_arrays("test", part), {"class_names": list(names)})
        message = f"{name}: {len(part.labels)} test images of the classes {names[0]}, .*; 50 were measured, .*dvc repro"
        refuse(message, images=tmp_path / name)
    held = pd.read_csv(world.inputs["failures"] / "failures.csv")
    images = read_array(world.inputs["failures"] / "failures.zarr", "images")
    write_found(tmp_path / "found", held, images[:5])
    refuse(
        r"failures\.zarr: 5 images, failures\.csv has 8 rows; .* dvc repro find_failures$", failures=tmp_path / "found"
    )
    (tmp_path / "judged").mkdir()
    world.judged.assign(index=200, auditor_confirms=True).to_csv(tmp_path / "judged" / "failures.csv")
    refuse(r"failures\.csv: names sample 200 of a population of 200; .* judge_failures$", judged=tmp_path / "judged")
    ranked = write_spots(world, tmp_path, world.predicted[:9])
    refuse(r"outputs for 9 samples and 10 classes, the population has 200 and 10; .* rank_dimensions$", ranked=ranked)
