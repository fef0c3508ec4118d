"""The stage on folders with known numbers: verdicts turn where the numbers do, and every mistake is named."""

import json

import pandas as pd
import pytest
from scipy import stats

from failure_atlas.core.errors import StageError
from failure_atlas.decisions.claims import Sources, check_claims, falls, list_sources
from failure_atlas.decisions.metrics import find_group
from stages.check_claims.__main__ import main
from stages.check_claims.params import CheckClaimsParams
from stages.common.artefacts.metrics import read_areas, read_metrics
from tests.stages.check_claims.known_results import NAMES, build_areas, build_estimate, flatten_estimate

NAN = float("nan")
SECTION = {
    "trained_on_clean": "clean", "trained_on_corrupted": "corrupted", "corrupted_accuracy": 0.97,
    "reached_share": 0.5, "ranking_overlap": 0.5, "negligible_ks": 0.1, "significance": 0.05,
}  # fmt: skip


@pytest.fixture
def run(tmp_path, write_params):
    def start(folder, out="out", names=NAMES, **changes):
        params = write_params({"check_claims": SECTION | changes})
        options = [[f"{name}={folder / kind / name}" for name in names] for kind in ("ranked", "walks", "classifiers")]
        ranked, walks, classifiers = options
        main(folder / "curves", ranked, folder / "populations", walks, classifiers, tmp_path / out, params)
        claims = json.loads((tmp_path / out / "claims.json").read_text())["claims"]
        return {claim["id"]: claim for claim in claims}

    return start


def decide(folder):
    """Verdict by claim, without the files that the stage writes."""
    section = CheckClaimsParams(**SECTION)
    folders = {"compute_curves": "curves", "sample_populations": "populations", "rank_dimensions": "ranked",
               "walk_corner_cases": "walks", "train_classifiers": "classifiers"}  # fmt: skip
    read = [read_metrics(folder / folders[stage] / name, stage, name) for stage, name in list_sources(section)]
    sources = Sources({metrics.name: metrics for metrics in read}, read_areas(folder / "curves"))
    return {claim.id: claim for claim in check_claims(sources, section)}


def test_twice_gives_equal_bytes_and_every_verdict_has_evidence_and_rule(run, results, tmp_path, hash_folder):
    folder = results()
    claims = run(folder, "one")
    assert run(folder, "two") == claims
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "two")
    assert len(claims) == 17
    assert "Holm" in json.loads((tmp_path / "one" / "claims.json").read_text())["note"]
    for claim in claims.values():
        assert claim["verdict"] == claim["corrected_verdict"] == "holds", claim["id"]
        assert claim["p_value"] <= claim["holm_p_value"] < 0.05
        assert claim["rule"]
        assert claim["source"]
        assert claim["figure"]
        assert claim["evidence"]
        for estimate in claim["evidence"].values():
            assert set(estimate) == {"value", "low", "high", "n"}
    table = pd.read_csv(tmp_path / "one" / "claims.csv")
    assert list(table["id"]) == list(claims)
    assert set(table["corrected_verdict"]) == {"holds"}
    metrics = json.loads((tmp_path / "one" / "metrics.json").read_text())
    counts = {"holds": 17, "fails": 0, "not_decided": 0}
    assert metrics == {"claims": 17, **counts, "corrected": counts}
    assert (tmp_path / "one" / "figures" / "claims.png").stat().st_size > 1000
    accuracy = claims["corrupted_accuracy"]["evidence"]["train_classifiers/corrupted: corrupted_test_accuracy"]
    assert accuracy == {"value": 0.985, "low": 0.975, "high": 0.995, "n": 1000}


def change(key, value):
    """An edit of one metric; key: folder and names, joined by colons."""

    def edit(metrics):
        *path, last = key.split(":")
        node = metrics
        for name in path:
            node = node[name]
        if isinstance(value, tuple):
            node.update(flatten_estimate(last, *value))
        else:
            node[last] = value

    return edit  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "claim", "verdict"),
    [
        ("classifiers/corrupted:corrupted_test_accuracy", build_estimate(0.97), "corrupted_accuracy", "not decided"),
        ("classifiers/corrupted:corrupted_test_accuracy", build_estimate(0.95), "corrupted_accuracy", "fails"),
        ("classifiers/clean:corrupted_half_test_accuracy", build_estimate(0.98), "corruption_impact", "not decided"),
        ("curves:paired:corrupted_minus_clean:corrupted_test_accuracy", build_estimate(-0.1), "corrupted_training",
         "fails"),
        ("populations:outcome_separation_difference:s_minus_w", build_estimate(0.005), "s_separates_better_than_w",
         "not decided"),
        ("populations:outcome_separation_difference:w_minus_z", build_estimate(-0.1), "w_separates_better_than_z",
         "fails"),
        ("populations:outcome_separation_difference:w_minus_z", {"value": None, "low": None, "high": None, "n": 5},
         "w_separates_better_than_z", "not decided"),
        ("ranked/clean:well_mis_ks:minus_class_mean:top", 0.02, "top_histograms_differ", "not decided"),
        ("ranked/clean:well_mis_ks:minus_class_mean:median", 0.2, "random_histograms_agree", "fails"),
        ("ranked/clean:well_mis_ks:null_95", 0.09, "random_histograms_agree", "not decided"),
        ("ranked/clean:split_half_top10_overlap", (0.5, 0.2), "ranking_is_stable", "not decided"),
        ("ranked/clean:split_half_top10_overlap", (0.3,), "ranking_is_stable", "fails"),
        ("walks/clean:reached", 118, "one_dimension_reaches_half", "not decided"),
        ("walks/clean:reached", 40, "one_dimension_reaches_half", "fails"),
        ("curves:clean:top_minus_random:shift_area", build_estimate(0), "ranking_tells_influence", "not decided"),
        ("curves:clean:top_minus_random:shift_avoidable_area", build_estimate(-0.1),
         "top_dimensions_bring_avoidable_failures", "fails"),
        ("curves:corrupted:slope_minus_random:raw_all", build_estimate(0.1), "top_dimensions_are_steeper_than_random",
         "fails"),
        ("curves:clean:slope_minus_all:raw_all", build_estimate(0), "top_dimensions_are_steeper_than_all",
         "not decided"),
        ("curves:paired:corrupted_minus_clean:area", build_estimate(0), "distance_curves_compare_classifiers",
         "not decided"),
        ("curves:paired:corrupted_minus_clean:shift_area", build_estimate(-1), "shift_curves_compare_classifiers",
         "fails"),
    ],
)  # fmt: skip
def test_verdicts_turn_where_the_numbers_do(results, key, value, claim, verdict):
    claims = decide(results(change(key, value)))
    assert claims[claim].verdict == verdict
    others = [other.verdict for name, other in claims.items() if name != claim]
    assert others.count("holds") >= len(others) - 2  # an accuracy may serve several claims


@pytest.mark.parametrize(
    ("column", "value", "k", "top", "everything"),
    [
        ("rise_p_value", 0.001, "100", "fails", "holds"),
        ("trend_p_value", 0.5, "100", "not decided", "holds"),
        ("trend_p_value", 0.99, "100", "fails", "holds"),
        ("rise_p_value", 0.2, "all", "holds", "not decided"),
    ],
)
def test_shape_of_the_curves_in_each_version(results, column, value, k, top, everything):
    areas = build_areas()
    version = (areas["scaling"] == "raw") & (areas["centre"] == "all")
    areas.loc[(areas["k"] == k) & version & (areas["classifier"] == "clean"), column] = value
    claims = decide(results(areas=areas))
    monotone, not_monotone = (claims[name] for name in ("monotone_in_top_dimensions", "not_monotone_in_all_dimensions"))
    assert (monotone.verdict, not_monotone.verdict) == (top, everything)
    own, one = "(centre of the own class)", "(one centre)"
    others = f"holds in raw S {own}, standardised S {own}, standardised S {one}"
    for claim in (monotone, not_monotone):
        wanted = f"{others}; {claim.verdict} in raw S {one}"
        assert claim.versions == (wanted if claim.verdict != "holds" else "holds in all 4 versions")


@pytest.mark.parametrize(
    ("trend", "rise", "verdict", "p_value"),
    [
        (0.01, 0.3, "holds", 0.01), (0.01, 0.02, "fails", 0.04), (0.2, 0.3, "not decided", 0.2),
        (0.99, 0.3, "fails", 0.02), (NAN, NAN, "not decided", NAN), (0.05, 0.3, "not decided", 0.05),
        (0.95, 0.3, "not decided", 0.95),
    ],
)  # fmt: skip
def test_a_curve_falls_by_trend_and_without_a_rise(trend, rise, verdict, p_value):
    assert falls(trend, rise, 0.05) == (verdict, pytest.approx(p_value, nan_ok=True))


def reach(p_value, sign=1):
    """An estimate whose difference from 0 has this p-value."""
    return build_estimate(sign, stats.norm.isf(0.025) / stats.norm.isf(p_value / 2), 10**9)


def test_verdicts_that_do_not_bear_the_number_of_claims_are_not_decided(results):
    """Of 16 tests the last have p = 0.03 and 0.04, and the fourth last, of two parts, fails in one of them at 0.001."""

    def edit(metrics):
        metrics["curves"]["paired"]["corrupted_minus_clean"].update(area=reach(0.03), shift_area=reach(0.04))
        metrics["curves"]["clean"]["top_minus_random"]["shift_avoidable_area"] = reach(0.001, -1)
        metrics["walks/clean"].update(reached=0, walks=0)  # no test: it does not count

    claims = decide(results(edit))
    for name, *wanted in (
        ("top_dimensions_bring_avoidable_failures", "fails", "fails", 0.002, 0.008),
        ("distance_curves_compare_classifiers", "holds", "not decided", 0.03, 0.06),
        ("shift_curves_compare_classifiers", "holds", "not decided", 0.04, 0.06),
        ("one_dimension_reaches_half", "not decided", "not decided", NAN, NAN),
    ):
        found = claims[name]
        assert [found.verdict, found.corrected_verdict] == wanted[:2]
        assert [found.p_value, found.holm_p_value] == pytest.approx(wanted[2:], nan_ok=True)


def test_no_walks_decide_nothing(results):
    claims = decide(results(lambda metrics: metrics["walks/clean"].update(walks=0, reached=0)))
    assert claims["one_dimension_reaches_half"].verdict == "not decided"


def test_curves_that_were_not_computed_decide_nothing(results):
    areas = build_areas()
    claims = decide(results(areas=areas[areas["k"] != "all"]))
    claim = claims["not_monotone_in_all_dimensions"]
    assert claim.verdict == "not decided"
    assert "compute_curves.top_k" in claim.rule
    assert claims["monotone_in_top_dimensions"].verdict == "holds"


def test_the_order_of_the_classifiers_does_not_matter(run, results):
    def flip(metrics):
        pair = {key: build_estimate(-0.1) for key in ("area", "shift_area", "corrupted_test_accuracy")}
        metrics["curves"]["paired"] = {"clean_minus_corrupted": pair}

    claims = run(results(flip), names=NAMES[::-1])
    assert {claims[f"{kind}_curves_compare_classifiers"]["verdict"] for kind in ("distance", "shift")} == {"holds"}


@pytest.mark.parametrize(
    ("file", "stage"),
    [
        ("curves/metrics.json", "compute_curves"),
        ("curves/areas.csv", "compute_curves"),
        ("populations/metrics.json", "sample_populations"),
        ("ranked/clean/metrics.json", "rank_dimensions"),
        ("walks/corrupted/metrics.json", "walk_corner_cases"),
        ("classifiers/clean/metrics.json", "train_classifiers"),
    ],
)
def test_missing_and_damaged_inputs_name_file_and_stage(run, results, tmp_path, file, stage):
    folder = results()
    (folder / file).write_text("[" if file.endswith("json") else "classifier,kind\n", encoding="utf-8")
    message = "no JSON" if file.endswith("json") else "no column scope, "
    with pytest.raises(StageError, match=rf"{file}: {message}.*make it again with: dvc repro {stage}"):
        run(folder)
    (folder / file).unlink()
    with pytest.raises(StageError, match=rf"{file}: missing; make it with: dvc repro {stage}"):
        run(folder)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda m: m["curves"]["clean"].pop("headline_k"),
            r"curves/metrics.json: holds no 'clean.headline_k'; there: ",
        ),
        (lambda m: m["curves"].pop("paired"), r"no 'paired.corrupted_minus_clean.corrupted_test_accuracy'; there: cl"),
        (change("curves:clean:top_minus_random:shift_area", 0.1), r"'clean.top_minus_random.shift_area' has no inter"),
        (lambda m: m["populations"]["outcome_separation"]["s"].pop("n"), r"'outcome_separation.s' has no n; make"),
        (change("walks/clean:reached", "many"), r"walks/clean/metrics.json: 'reached' is no number but str"),
    ],
)
def test_metrics_of_another_form_are_named(run, results, edit, message):
    with pytest.raises(StageError, match=message):
        run(results(edit))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trained_on_clean": "plain"}, r"check_claims\.trained_on_clean: got 'plain'; allowed: clean, corrupted"),
    ],
)
def test_wrong_params_name_key_value_and_what_is_allowed(run, results, changes, message):
    with pytest.raises(StageError, match=message):
        run(results(), **changes)


def test_unnamed_folder(results, tmp_path, write_params):
    folder = results()
    with pytest.raises(StageError, match=r"--ranked: got '.*'; allowed: NAME=PATH"):
        main(folder, ["ranked"], folder, [], [], tmp_path / "out", write_params({"check_claims": SECTION}))


def test_keys_find_names_that_hold_dots():
    content = {"per_class": {"n.a.": {"share": 1}, "n": {"a": 2}}, "per": {"x": 3}}
    for key, value in (("per_class.n.a..share", 1), ("per_class.n.a", 2), ("per.x", 3)):
        group, name = find_group(content, key)
        assert group[name] == value
    for key in ("per_class.n.b", "other", "per_class.n.a..other", "per.x.y"):
        group, name = find_group(content, key)
        assert name not in group
