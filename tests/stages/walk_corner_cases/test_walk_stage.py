"""The whole stage on real networks."""

import numpy as np
import pandas as pd
import pytest
import torch

from failure_atlas.core.arrays import read_array, read_attributes
from failure_atlas.judges.ensemble import load_ensemble, save_ensemble
from failure_atlas.judges.verdicts import READINGS, read_labels
from failure_atlas.world.show import World
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.ranking import read_ranking
from stages.walk_corner_cases.__main__ import main
from stages.walk_corner_cases.figures import FRAMES, LETTERS, MOST_SHOWN, choose_nearest, tell_seen
from tests.stages.running import Stage, read_metrics

CPU = torch.device("cpu")
SECTION = {
    "scope": "class", "dimensions": 3, "max_shift_std": 20.0, "grid_step_std": 1.0, "min_effect": 0.001,
    "only_true_failures": False, "start_samples": [], "real_starts": 0, "figure_classes": [0, 2], "batch_size": 64,
}  # fmt: skip


def test_a_black_box_walks_by_its_own_ranking(run, tiny_black_box, tiny_black_box_ranking, score):
    """The softmax at the ends is that of the network behind the black box."""
    out = run(classifier=tiny_black_box, ranking=tiny_black_box_ranking, dimensions=2, figure_classes=[0])
    cases = read_cases(out)
    reached = cases["reached"].to_numpy(bool)
    assert reached.sum() > 5, "the tiny networks must give crossings, else this tests nothing"
    styles, noise = (read_array(out / "corner_cases.zarr", name)[reached] for name in ("s", "noise"))
    ends = score(styles, cases["class"].astype(int)[reached], noise)
    np.testing.assert_allclose(ends, 0.5, atol=1.2e-3)
    ranked = read_ranking(tiny_black_box_ranking).set_index(["scope", "dimension"])
    directions = [ranked.loc[(row["class"], row["dimension"]), "direction"] for row in cases.to_dict("records")]
    np.testing.assert_array_equal(cases["direction"], directions)


def read_cases(out):
    return pd.read_csv(out / "corner_cases.csv", dtype={"class": str, "start": str, "predicted_class": str})


@pytest.fixture(scope="module")
def stage(request, robust_judge):
    return Stage(request, main, "walk_corner_cases", SECTION, judge=robust_judge)


@pytest.fixture(scope="module")
def networks(tiny_generator, tiny_classifier, robust_judge):
    return *load_networks(tiny_generator, tiny_classifier, CPU), load_ensemble(robust_judge, CPU)


@pytest.fixture(scope="module")
def score(networks):
    """True-class softmax of styles by the real networks, one at a time: the slow twin."""
    generator, classifier, _ = networks

    def read(styles, true_class, noise):
        with torch.no_grad():
            images = [generator.synthesize(torch.from_numpy(styles[row : row + 1]), noise[row : row + 1])
                      for row in range(len(styles))]  # fmt: skip
            rows = [classifier(image).double().softmax(1) for image in images]
        return np.array([float(row[0, label]) for row, label in zip(rows, true_class, strict=True)])

    return read


@pytest.fixture(scope="module")
def population(tiny_population):
    """Styles, labels and noise."""
    return [read_array(tiny_population / "population.zarr", name) for name in ("s", "labels", "noise")]


def test_walks_end_at_half_within_tolerance_or_at_the_farthest_shift(out, score):
    cases = read_cases(out)
    assert cases["reached"].any(), "the tiny networks must give corner cases, else this tests nothing"
    assert (cases.groupby(["class", "noise_draw"]).size() <= 3).all()
    reached = cases[cases["reached"]]
    assert reached["end_probability"].between(0.4989, 0.500001).all()
    assert (cases["shift_std"] <= 20).all()
    assert (cases[~cases["reached"]]["shift_std"] == 20).all()
    styles, noise = (read_array(out / "corner_cases.zarr", name) for name in ("s", "noise"))
    again = score(styles, cases["class"].astype(int), noise)
    np.testing.assert_allclose(again, cases["end_probability"], atol=1e-4)
    assert (cases["start_probability"] > 0.5).all()


@pytest.mark.parametrize(("store", "table"), [("corner_cases.zarr", None), ("true_failures.zarr", "corner_case")])
def test_stored_images_are_made_again_from_stored_styles_and_noise_byte_for_byte(
    out, networks, tiny_population, store, table
):
    styles, noise, images = (read_array(out / store, name) for name in ("s", "noise", "images"))
    again = World(networks[0].synthesize, batch_size=SECTION["batch_size"]).show(styles, noise=noise)
    np.testing.assert_array_equal(again.images, images)
    cases = read_cases(out)
    cases = cases.iloc[read_array(out / store, table)] if table else cases
    of_means = np.array(read_attributes(tiny_population / "population.zarr")["mean_noise"])
    np.testing.assert_array_equal(noise, of_means[cases["noise_draw"], cases["class"].astype(int)])
    assert set(cases["noise_draw"]) == {0, 1}


def test_only_one_dimension_moves_and_by_what_the_table_says(out, population):
    cases, (styles, labels, _) = read_cases(out), population
    ends = read_array(out / "corner_cases.zarr", "s")
    std = styles.std(axis=0, dtype=float, ddof=1)
    for case, own, end in zip(cases.itertuples(), cases["class"].astype(int), ends, strict=True):
        mean = styles[labels == own].mean(0, dtype=float).astype(np.float32)
        assert list(np.flatnonzero(end != mean)) == [case.dimension]
        assert end[case.dimension] - mean[case.dimension] == pytest.approx(case.direction * case.shift, rel=1e-3)
        assert case.shift == pytest.approx(case.shift_std * std[case.dimension], rel=1e-4)
    np.testing.assert_array_equal(read_array(out / "corner_cases.zarr", "labels"), cases["class"].astype(int))
    assert read_array(out / "corner_cases.zarr", "images").dtype == np.uint8


def test_metrics_equal_a_recount_of_the_table(out):
    cases, starts = read_cases(out), pd.read_csv(out / "starts.csv")
    metrics = read_metrics(out)
    assert (metrics["walks"], metrics["noise_draws"]) == (len(cases), 2)
    draws = [own for _, own in cases.groupby("noise_draw")]
    size = round(np.mean([len(own) for own in draws]))
    for limit in (5, 10, 20):
        share = np.mean([(own["reached"] & (own["shift_std"] <= limit)).mean() for own in draws])
        assert metrics[f"reached_within_{limit}_std"] == pytest.approx(share, rel=1e-4)
        interval = metrics[f"reached_within_{limit}_std_interval"]
        assert interval["low"] <= share <= interval["high"]
        assert interval["n"] == size
    if all(own["reached"].mean() > 0.5 for own in draws):
        medians = [own["shift_std"].median() for own in draws]
        assert metrics["median_shift_std"] == pytest.approx(np.mean(medians), rel=1e-4)
    assert starts["walks"].sum() == len(cases)
    assert starts["reached"].sum() == metrics["reached"] == cases["reached"].sum()
    assert metrics["skipped_no_effect"] == starts["skipped_no_effect"].sum()
    assert metrics["starts_in_doubt"] == (~starts["walked"]).sum()
    reached = cases[cases["reached"]]
    error = (reached["end_probability"] - 0.5).abs().max()
    assert error <= 1e-3 + 1e-6
    assert metrics["largest_end_error"] == pytest.approx(error, abs=2e-6)
    assert "from_samples" not in metrics
    share = np.mean([own["true_failure"].mean() for own in draws])
    assert metrics["true_failure_walks"]["value"] == pytest.approx(share, rel=1e-4)
    assert metrics["true_failure_walks"]["n"] == metrics["true_failure_median_shift_std_interval"]["n"] == size
    shares = {"all": (metrics["readings"], reached)}
    shares |= {name: (own, reached[reached["class"] == name]) for name, own in metrics["readings_by_class"].items()}
    assert list(shares) == ["all", *"0123456789"]
    for told, part in shares.values():
        for reading in READINGS:
            estimate = told[reading.replace(" ", "_")]
            if not len(part):
                assert (estimate["n"], estimate["value"]) == (0, None)
                continue
            draws = (part["reading"] == reading).groupby(part["noise_draw"])
            assert estimate["n"] == round(draws.size().mean())
            assert estimate["value"] == pytest.approx(draws.mean().mean(), rel=1e-4, abs=1e-9)
            assert estimate["low"] <= estimate["value"] <= estimate["high"]


def test_samples_are_walked_beside_the_means_and_the_batch_size_moves_ends_by_rounding(run, out, score, population):
    samples, (styles, labels, noise) = [3, 17, 18, 19], population
    other = run(start_samples=samples, figure_classes=[], batch_size=7)
    cases, metrics = read_cases(other), read_metrics(other)
    starts = pd.read_csv(other / "starts.csv", dtype=str)
    assert list(starts["start"]) == ["mean"] * 20 + [str(index) for index in samples]
    assert list(starts["noise_draw"]) == ["0"] * 10 + ["1"] * 10 + ["0"] * 4
    p = score(styles[samples], labels[samples], noise[samples])
    np.testing.assert_allclose(starts["start_probability"][20:].astype(float), p, rtol=1e-3, atol=1e-6)
    assert list(starts["walked"][20:]) == [str(value > 0.5) for value in p]
    own = cases[cases["start"] != "mean"]
    assert set(own["start"]) == {str(index) for index, value in zip(samples, p, strict=True) if value > 0.5}
    from_samples = metrics.pop("from_samples")
    assert (from_samples["walks"], from_samples["starts_in_doubt"]) == (len(own), (p <= 0.5).sum())
    pd.testing.assert_frame_equal(cases[cases["start"] == "mean"], read_cases(out), rtol=1e-3, atol=1e-4)
    assert metrics.keys() == read_metrics(out).keys()


def test_a_short_leash_leaves_far_shares_unknown_and_the_global_ranking_is_the_same_for_every_class(run):
    out = run(max_shift_std=0.01, scope="global", min_effect=0.0)
    cases, metrics = read_cases(out), read_metrics(out)
    assert (cases["shift_std"] <= 0.01).all()
    assert metrics["reached_within_5_std"] is metrics["median_shift_std"] is None
    assert metrics["median_shift_std_interval"]["high"] is None
    assert len({tuple(own["dimension"]) for _, own in cases.groupby(["class", "noise_draw"])}) == 1


def test_the_same_inputs_give_the_same_bytes(run, out, hash_folder):
    first = hash_folder(out)
    assert first == hash_folder(run())
    assert {"figures/fig7_corner_cases.png", "figures/fig7_corner_cases.csv", "corner_cases.csv"} <= set(first)
    assert {"figures/true_failures.png", "figures/true_failures.csv", "true_failures.zarr/s/zarr.json"} <= set(first)


def test_figure_5_goes_from_the_start_to_the_end_of_the_classes_that_there_are(run, caplog):
    caplog.set_level("INFO")
    out = run(figure_classes=list(range(11)))
    assert "walk_corner_cases.figure_classes: 10: classes are 0 to 9; no figure 5" in caplog.text
    cases, starts = (each[each["noise_draw"] == 0] for each in (read_cases(out), pd.read_csv(out / "starts.csv")))
    drawn = [(out / "figures" / f"fig5_degradation_class{index}.png").exists() for index in range(11)]
    assert drawn == [*starts["walked"], False]
    for index in starts.index[starts["walked"]]:
        table = pd.read_csv(out / "figures" / f"fig5_degradation_class{index}.csv")
        own = cases[cases["class"] == str(index)]
        assert list(table["progress"]) == list(np.repeat([0, 0.25, 0.5, 0.75, 1], len(own)))
        np.testing.assert_allclose(table["probability"].tail(len(own)), own["end_probability"], atol=1e-4)
        np.testing.assert_allclose(table["probability"].head(len(own)), own["start_probability"], atol=1e-4)


def test_true_failures_are_wrong_answers_to_images_of_which_the_judge_is_sure(out, networks):
    cases, store = read_cases(out), out / "true_failures.zarr"
    assert 0 < cases["true_failure"].sum() < cases["reached"].sum(), "the tiny judge must leave both kinds"
    rows, labels = read_array(store, "corner_case"), read_array(store, "labels")
    assert list(rows) == list(np.flatnonzero(cases["true_failure"]))
    own = cases.iloc[rows]
    assert list(labels) == list(own["class"].astype(int))
    styles, stored, each = read_array(store, "s"), read_array(store, "images"), np.arange(len(rows))
    generator, classifier, judge = networks
    unrounded = generator.synthesize(torch.from_numpy(styles), read_array(store, "noise"))
    np.testing.assert_allclose(stored, unrounded.numpy() * 255, atol=0.51)
    sure = []
    for images in (unrounded, torch.from_numpy(stored).float() / 255):
        softmax, judged = classifier(images).double().softmax(1).numpy(), judge(images).exp().detach().numpy()
        assert (softmax.argmax(1) != labels).all()
        assert (softmax[each, labels] <= 0.5).all()
        sure.append(judged[each, labels])
    assert (np.minimum(*sure) >= 0.8 - 1e-6).all()
    np.testing.assert_allclose(own["true_failure_judge_probability"], np.minimum(*sure), rtol=1e-4)
    ends = read_array(out / "corner_cases.zarr", "s")[rows]
    further = ((own["true_failure_shift_std"] / own["shift_std"] - 1) * own["shift"] * own["direction"]).to_numpy()
    ends[each, own["dimension"]] += further.astype(np.float32)
    np.testing.assert_allclose(ends, styles, rtol=1e-4, atol=1e-4)
    assert read_attributes(store)["class_names"] == [str(index) for index in range(10)]
    lacking = cases[~cases["true_failure"]]
    assert lacking[["true_failure_shift_std", "true_failure_judge_probability"]].isna().all(axis=None)


def test_the_judge_is_asked_at_the_end_of_each_walk_and_rules_on_corner_cases(out, networks):
    cases, (generator, _, judge) = read_cases(out), networks
    ends, noise = (read_array(out / "corner_cases.zarr", name) for name in ("s", "noise"))
    judged = judge(generator.synthesize(torch.from_numpy(ends), noise)).exp().detach().numpy()
    labels = cases["class"].astype(int).to_numpy()
    np.testing.assert_allclose(cases["judge_probability"], judged[np.arange(len(labels)), labels], rtol=1e-3, atol=1e-5)
    expected = np.array(READINGS)[read_labels(judged, labels, 0.8)]
    assert list(cases["reading"].notna()) == list(cases["reached"])
    assert list(cases["reading"][cases["reached"]]) == list(expected[cases["reached"]])


def test_only_true_failures_may_be_kept(run, out, caplog):
    caplog.set_level("INFO")
    only = run("only", only_true_failures=True)
    before, after = read_cases(out), read_cases(only)
    kept = before[before["true_failure"]].reset_index(drop=True)
    assert f"{len(kept)} of {len(before)} walks are kept, {len(before) - len(kept)} without one are left" in caplog.text
    same = ["class", "start", "rank", "dimension", "direction", "true_failure_shift_std", "true_failure"]
    pd.testing.assert_frame_equal(after[same], kept[same])
    pd.testing.assert_series_equal(after["shift_std"], kept["true_failure_shift_std"], check_names=False)
    assert (after["predicted_class"] != after["class"]).all()
    assert (after["end_probability"] <= 0.5).all()
    assert (after["reading"] == "label kept").all()
    assert (out / "metrics.json").read_bytes() == (only / "metrics.json").read_bytes()
    assert list(read_array(only / "true_failures.zarr", "corner_case")) == list(range(len(kept)))
    for store in ("corner_cases.zarr", "true_failures.zarr"):
        np.testing.assert_array_equal(read_array(only / store, "s"), read_array(out / "true_failures.zarr", "s"))
    assert len(pd.read_csv(only / "figures" / "fig7_corner_cases.csv")) == (kept["noise_draw"] == 0).sum()


@pytest.mark.parametrize("only", [False, True])
def test_without_a_true_failure_the_store_is_empty_and_no_figure_drawn(run, only, robust_judge, tmp_path):
    judge = load_ensemble(robust_judge, CPU)
    judge.confidence = 0.9999999999  # nothing is seen as surely as that
    save_ensemble(tmp_path / "judge.safetensors", judge)
    out = run(judge=tmp_path / "judge.safetensors", only_true_failures=only)
    cases, metrics = read_cases(out), read_metrics(out)
    assert metrics["true_failure_walks"]["value"] == 0
    assert metrics["true_failure_median_shift_std"] is None
    assert len(cases) == (0 if only else metrics["walks"])
    assert read_array(out / "true_failures.zarr", "s").shape == (0, 80)
    assert read_array(out / "true_failures.zarr", "images").shape == (0, 1, 32, 32)
    assert not (out / "figures" / "true_failures.png").exists()
    assert (out / "figures" / "fig7_corner_cases.png").exists()


def test_missing_and_foreign_inputs_are_named(refuse, tmp_path, tiny_ranking):
    (tmp_path / "old").mkdir()
    pd.read_csv(tiny_ranking / "ranking.csv").drop(columns="std").to_csv(tmp_path / "old" / "ranking.csv", index=False)
    for options, message in (
        ({"start_samples": [200]}, r"walk_corner_cases\.start_samples: got 200; allowed: 0 to 199"),
        ({"ranking": tmp_path / "none"}, r"ranking\.csv: missing; make it with: dvc repro rank_dimensions"),
        ({"ranking": tmp_path / "old"}, r"ranking\.csv: lacks the columns std"),
        ({"names": tmp_path / "none"}, r"directions\.csv: missing; make it with: dvc repro name_directions"),
        (
            {"judge": tmp_path / "judge.safetensors"},
            r"judge\.safetensors: missing; make it with: dvc repro train_judges",
        ),
    ):
        refuse(message, **options)


def test_walks_bear_the_words_of_their_class_then_those_of_all(out, tiny_names):
    cases = pd.read_csv(out / "corner_cases.csv", dtype={"class": str})
    words = pd.read_csv(tiny_names / "directions.csv", dtype={"scope": str}).fillna({"second_name": ""})
    for class_name, case in zip(cases["class"], cases.itertuples(), strict=True):
        same = (words["dimension"] == case.dimension) & (words["direction"] == case.direction)
        own, shared = (words[same & (words["scope"] == scope)] for scope in (class_name, "global"))
        wanted = own["name"].tolist() or [f"{row.name}, {row.second_name}" for row in shared.itertuples(index=False)]
        assert case.name == (wanted[0] if wanted else "not named")
    assert {"noise +", "larger", "not named"} <= set(cases["name"])
    figures = list((out / "figures").glob("fig5_degradation_class?.csv"))
    assert figures, "a class mean of SECTION must be walked, else this tests too little"
    assert all("name" in pd.read_csv(figure) for figure in figures)


def test_the_nearest_of_each_class_are_shown_in_the_order_of_classes():
    shifts = [3.0, 2, 1, 3, *range(12, 0, -1)]
    table = pd.DataFrame({"class": list("baab" + "c" * 12), "true_failure_shift_std": shifts})
    rows = choose_nearest(table, ["a", "b", "c", "d"])
    assert list(rows) == [2, 1, 0, 3, *range(15, 15 - MOST_SHOWN, -1)]
    assert len(choose_nearest(table[:0], ["a", "b"])) == 0


def test_each_reading_has_a_frame_of_its_own():
    assert set(FRAMES) == set(READINGS)
    assert len({color for color, _ in FRAMES.values()}) == len({line for _, line in FRAMES.values()}) == len(READINGS)


def test_titles_name_the_class_that_is_seen_or_the_next_one_in_few_letters():
    assert (tell_seen("8", "3", "3"), tell_seen("3", "8", "3")) == ("8", "3 (8)")
    assert tell_seen("Coat", "Shirt", "Coat") == "(Shirt)"
    for names in (("Ankle boot", "T-shirt/top", "Ankle boot"), ("T-shirt/top", "Bag", "Ankle boot")):
        assert len(tell_seen(*names)) <= LETTERS


def test_real_images_are_walked_from_beside_all_else(run, out, tiny_inverted, tiny_generator, networks):
    other = run(real_starts=12, batch_size=17)
    own = read_metrics(other)["from_real_images"]
    assert own["starts"] == 12
    assert own["walks"] == 3 * (12 - own["starts_in_doubt"])
    assert own["starts_in_doubt"] == 0  # those in doubt are not chosen
    # The same but for rounding: convolutions add up in an order that the size of a batch decides.
    cases, before = (pd.read_csv(each / "corner_cases.csv") for each in (other, out))
    pd.testing.assert_frame_equal(cases, before, rtol=1e-4, atol=1e-5)
    assert not list((out / "figures").glob("*_real*"))
    assert sorted(path.name for path in (other / "figures").glob("*_real*.png")) == [
        "fig5_degradation_real_class0.png", "fig5_degradation_real_class2.png", "fig7_corner_cases_real.png",
    ]  # fmt: skip
    cases = pd.read_csv(other / "figures/fig7_corner_cases_real.csv", dtype={"class": str, "start": str})
    assert cases.groupby("class")["start"].nunique().max() == 1
    images = pd.read_csv(tiny_inverted / "images.csv", dtype={"class": str, "index": str}).set_index("index")
    assert images.loc[cases["start"], "usable"].all()
    assert list(images.loc[cases["start"], "class"]) == list(cases["class"])
