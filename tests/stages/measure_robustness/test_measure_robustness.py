"""The whole stage on real networks."""

import numpy as np
import pandas as pd
import pytest
import torch

from failure_atlas.core.arrays import read_array, read_attributes
from failure_atlas.core.errors import StageError
from failure_atlas.judges.ensemble import load_ensemble
from failure_atlas.judges.verdicts import READINGS, VERDICTS, give_verdicts, read_labels
from stages.common.artefacts.names import read_names
from stages.common.artefacts.networks import load_networks
from stages.measure_robustness.__main__ import main
from tests.stages.running import Stage, read_metrics

SECTION = {
    "seed": 1, "samples": 20, "greedy_samples": 10, "step_std": 0.5, "max_shift_std": 4.0, "single_max_shift_std": 4.0,
    "single_step_std": 0.5, "budget_std": 2.0, "most_dimensions": 4, "batch_size": 64,
}  # fmt: skip
SAID = [f"{place}{word}" for place in ("", "beyond_", "single_", "set_") for word in ("reading", "verdict")]
START = ["class", "start", "noise_draw"]  # the columns that name one
WORDS = dict.fromkeys(["class", "start", "predicted_class", "beyond_predicted_class", *SAID], str)


@pytest.fixture(scope="module")
def stage(request, robust_judge):
    return Stage(request, main, "measure_robustness", SECTION, judge=robust_judge)


@pytest.fixture
def look(tiny_generator, tiny_classifier, robust_judge):
    """Softmax of the classifier and opinion of the judge on styles [N, D], all at once."""
    generator, classifier = load_networks(tiny_generator, tiny_classifier, torch.device("cpu"))
    judge = load_ensemble(robust_judge, torch.device("cpu"))

    def read(styles, noise):
        with torch.no_grad():
            images = generator.synthesize(torch.from_numpy(styles), noise)
            return classifier(images).double().softmax(1).numpy(), judge(images).exp().detach().numpy()

    return read


def read_table(out):
    return pd.read_csv(out / "joint_walks.csv", dtype=WORDS, keep_default_na=False, na_values=[""])


def read_ends(out, *kinds):
    return [read_array(out / "walks.zarr", f"{kind}_s") for kind in kinds]


@pytest.fixture(scope="module")
def start(out, tiny_population):
    """The styles and the noise of each start, and the std of the population."""
    store = tiny_population / "population.zarr"
    styles, labels, seeds = (read_array(store, name) for name in ("s", "labels", "noise"))
    of_means = read_attributes(store)["mean_noise"]
    table = read_table(out)
    starts = list(zip(table["start"], table["class"].astype(int), table["noise_draw"], strict=True))
    rows = [styles[labels == own].mean(0, dtype=float) if at == "mean" else styles[int(at)] for at, own, _ in starts]
    noise = [of_means[draw][own] if at == "mean" else seeds[int(at)] for at, own, draw in starts]
    return np.array(rows, np.float32), np.array(noise), styles.std(0, ddof=1, dtype=float)


def test_ends_lie_at_half_where_reached_and_as_far_as_the_table_says(out, look, start):
    table, (start, noise, std) = read_table(out), start
    np.testing.assert_array_equal(read_array(out / "walks.zarr", "noise"), noise)
    truth, rows = table["class"].astype(int).to_numpy(), np.arange(len(table))
    assert table["noise_draw"].tolist() == [0] * 10 + [1] * 10 + [0] * 20
    np.testing.assert_array_equal(read_array(out / "walks.zarr", "labels"), truth)
    probability = look(start, noise)[0][rows, truth]
    np.testing.assert_allclose(probability, table["start_probability"], rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(table["walked"], probability > 0.5)
    assert table["walked"].sum() > 10, "the tiny networks must give walks, else this tests nothing"
    kinds = {"joint": ("distance_std", "reached"), "single": ("single_distance_std", "single_reached")}
    for kind, (distance, reached) in (kinds | {"set": ("set_distance_std", "set_reached")}).items():
        (ends,) = read_ends(out, kind)
        softmax, opinion = look(ends, noise)
        arrived = (table["walked"] & table[reached]).to_numpy(bool)
        assert arrived.sum() > 3, kind
        end = softmax[rows, truth]
        assert (np.abs(end[arrived] - 0.5) < 1.2e-3).all(), kind
        offset = (ends - start) / std
        far = np.sqrt(np.square(offset).sum(axis=1))
        known = arrived | (table["walked"] & table[distance].notna() & (kind != "single")).to_numpy(bool)
        np.testing.assert_allclose(far[known], table[distance][known].astype(float), rtol=2e-3, atol=1e-4)
        shown, prefix = table[reached].to_numpy(bool), "" if kind == "joint" else f"{kind}_"
        for column, names, given in (
            (f"{prefix}reading", READINGS, read_labels(opinion, truth, 0.8)),
            (f"{prefix}verdict", VERDICTS, give_verdicts(opinion, truth, softmax.argmax(axis=1), 0.8)),
        ):
            np.testing.assert_array_equal(table[column][shown], np.array(names)[given][shown])
            assert table[column][~shown].isna().all()
    still = ~table["walked"].to_numpy(bool)
    assert still.any(), "some samples must be in doubt, else this tests nothing"
    assert (table["distance_std"][still] == 0).all()
    assert table["reached"][still].all()
    np.testing.assert_array_equal(read_ends(out, "joint")[0][still], start[still])


def test_each_kind_of_walk_moves_what_it_may(out, start, tiny_names):
    table, (start, _, std) = read_table(out), start
    joint, beyond, single, sets = (ends - start for ends in read_ends(out, "joint", "beyond", "single", "set"))
    walked, short = table["walked"].to_numpy(bool), table["single_best_dimension"].notna().to_numpy()
    assert (np.count_nonzero(joint[walked], axis=1) > 20).all()
    assert not joint[:, std == 0].any()
    np.testing.assert_array_equal(np.count_nonzero(single, axis=1), short)
    np.testing.assert_array_equal(np.abs(single[short]).argmax(axis=1), table["single_best_dimension"][short])
    words, direction = read_names(tiny_names), np.sign(single.sum(axis=1))
    named = words.name_rows(table["class"][short], table["single_best_dimension"][short], direction[short])
    assert list(table["single_best_name"][short]) == named
    assert set(named) > {"not named"}, "the tiny names must name some, else this tests nothing"
    assert table["single_best_name"][~short].isna().all()
    searched = table["set_searched"].to_numpy(bool)
    np.testing.assert_array_equal(np.count_nonzero(sets[searched], axis=1), table["set_size"][searched])
    assert table["set_size"][~searched].isna().all()
    assert (table["set_size"][searched] <= 4).all()
    assert (table["path_std"] >= table["distance_std"] - 1e-5).all()
    assert (table["path_std"] <= 4.00001).all()
    far = np.linalg.norm(beyond / np.where(std > 0, std, 1), axis=1)
    np.testing.assert_allclose(far, table["beyond_distance_std"], rtol=2e-3, atol=1e-4)
    counted = pd.read_csv(out / "dimensions.csv")
    moved = sets[(searched & table["set_reached"]).to_numpy(bool)] != 0
    assert counted["chosen"].sum() == moved.sum() > 0
    np.testing.assert_array_equal(counted["chosen"], moved.sum(axis=0)[counted["dimension"]])
    assert counted["chosen"].is_monotonic_decreasing
    assert (counted["n"] == len(moved)).all()
    np.testing.assert_allclose(counted["share"], counted["chosen"] / counted["n"], rtol=1e-5)


def test_metrics_equal_a_recount_of_the_table(out):
    table, metrics = read_table(out), read_metrics(out)
    samples, means = table[table["start"] != "mean"], table[table["start"] == "mean"]
    everyone = metrics["population"]
    assert everyone["in_doubt_at_start"]["value"] == pytest.approx((~samples["walked"]).mean())
    for limit in (1, 2, 3):
        share = (samples["reached"] & (samples["distance_std"] <= limit)).mean()
        estimate = everyone[f"failed_within_{limit}_std"]
        assert estimate["value"] == pytest.approx(share)
        assert estimate["low"] <= share <= estimate["high"]
        assert estimate["n"] == 20
    assert everyone["failed_within_10_std"]["value"] is None  # farther than was walked
    for name, part in (("from_samples", samples[samples["walked"]]), ("from_means", means[means["walked"]])):
        walks, draw = metrics[name], part["noise_draw"]

        def average(values, draw=draw):
            return values.groupby(draw).mean().mean()

        assert walks["walks"] == len(part)
        assert walks["only_joint_reaches"]["value"] == pytest.approx(average(part["reached"] & ~part["single_reached"]))
        assert walks["only_joint_reaches"]["n"] == round(part.groupby("noise_draw").size().mean())
        ends = part[part["reached"]]
        for key, place in (("joint", ""), ("beyond", "beyond_")):
            kept, wrong = ends[f"{place}reading"] == "label kept", ends[f"{place}predicted_class"] != ends["class"]
            shares = {verdict.replace(" ", "_"): ends[f"{place}verdict"] == verdict for verdict in VERDICTS}
            assert sum(average(share) for share in shares.values()) == pytest.approx(1)
            for verdict, share in (shares | {"label_kept": kept, "true_failure": kept & wrong}).items():
                assert walks[key][f"{verdict}_share"]["value"] == pytest.approx(
                    average(share), rel=1e-5
                )  # of six digits
        if part["reached"].all():
            median = part.groupby("noise_draw")["distance_std"].median().mean()
            assert walks["joint"]["median_std"]["value"] == pytest.approx(median, rel=1e-4)
        assert walks["set"]["searched"] == part["set_searched"].sum()
    assert metrics["from_means"]["noise_draws"] == 2
    assert metrics["images"] > metrics["gradients"] > 0
    assert set(metrics["per_class"]) == {str(label) for label in range(10)}


def test_the_curve_of_all_starts_at_the_share_that_is_not_in_doubt(out):
    table, curves = read_table(out), pd.read_csv(out / "figures" / "robustness.csv")
    samples = table[table["start"] != "mean"]
    whole = curves[(curves["panel"] == "classes") & (curves["scope"] == "all")]
    assert whole["distance_std"].iloc[0] == 0
    assert whole["share"].iloc[0] == pytest.approx(samples["walked"].mean())
    assert set(curves["scope"][curves["panel"] == "classes"]) == {"all", *(str(label) for label in range(10))}
    for _, curve in curves.groupby(["panel", "scope"]):
        assert (curve["share"].diff().dropna() <= 1e-9).all()


def test_the_same_inputs_give_the_same_bytes(out, run, hash_folder):
    first = hash_folder(out)
    assert first == hash_folder(run())
    wanted = {"joint_walks.csv", "dimensions.csv", "metrics.json", "figures/robustness.png", "figures/joint_walks.png"}
    assert wanted <= set(first)


@pytest.mark.parametrize("count", [8, 80])
def test_a_black_box_is_walked_by_differences(out, run, look, tiny_black_box, count):
    """Ends are at 0.50, as the network behind it says; with all slopes anew they are where gradients lead."""
    options = {"samples": 10, "greedy_samples": 5, "finite_difference_dimensions": count}
    if count == 80:
        options |= {"greedy_samples": 0, "finite_difference_step_std": 0.02}
    folder = run(classifier=tiny_black_box, **options)
    metrics, table = read_metrics(folder), read_table(folder)
    assert (metrics["slope"], metrics["slope_dimensions"]) == ("finite_difference", count)
    walked = int(table["walked"].sum())
    assert metrics["images"] > walked * 160 + 2 * count * metrics["gradients"] > 0
    truth = table["class"].astype(int).to_numpy()
    exact = read_table(out).set_index(START)
    both = table[table["walked"] & table["reached"]].set_index(START)
    assert len(both) > 5, "else this tests nothing"
    for ends, reached in zip(read_ends(folder, "joint", "set"), ("reached", "set_reached"), strict=True):
        arrived = (table["walked"] & table[reached]).to_numpy(bool)
        softmax, _ = look(ends[arrived], read_array(folder / "walks.zarr", "noise")[arrived])
        np.testing.assert_allclose(softmax[np.arange(len(softmax)), truth[arrived]], 0.5, atol=1.2e-3)
    if count == 80:
        np.testing.assert_allclose(both["distance_std"], exact.loc[both.index, "distance_std"], rtol=0.05, atol=0.02)
    else:
        assert 0.9 < (both["distance_std"] / exact.loc[both.index, "distance_std"]).median() < 2


def test_fewer_samples_in_other_batches_move_by_rounding_only_and_need_no_sets(out, run):
    folder = run(greedy_samples=0, samples=10, batch_size=17)
    columns = ["walked", "distance_std", "path_std", "reached", "single_distance_std"]
    every, fewer = (read_table(each).set_index(START) for each in (out, folder))
    assert len(fewer) == 30
    pd.testing.assert_frame_equal(every.loc[fewer.index, columns], fewer[columns], rtol=2e-2, atol=2e-3)
    is_mean = fewer.index.get_level_values("start") == "mean"
    pd.testing.assert_series_equal(every.loc[fewer.index, "set_size"][is_mean], fewer["set_size"][is_mean])
    metrics = read_metrics(folder)
    assert metrics["from_samples"]["set"]["searched"] == 0
    assert metrics["from_samples"]["set"]["median_size"]["value"] is None
    assert metrics["from_means"]["set"]["searched"] > 0


def test_more_samples_of_a_class_than_there_are_is_named(run, tmp_path):
    with pytest.raises(StageError, match=r"robustness\.samples: got 201, 21 of class 0; the population has 20"):
        run(samples=201)
    assert not (tmp_path / "out").exists()
