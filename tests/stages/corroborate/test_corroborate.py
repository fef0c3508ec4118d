"""The whole stage on what invert_images leaves of tiny networks; its claims and curves are counted again."""

import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from failure_atlas.core.arrays import read_array, write_arrays
from failure_atlas.inversion.corroboration import NO_CLAIM, TOO_FEW, VERDICTS, estimate_area
from stages.common.artefacts.ranking import read_ranking
from stages.corroborate.__main__ import main
from tests.refusing import refused
from tests.stages.invert_images.inverting import prepare
from tests.stages.running import Stage, read_metrics

SECTION = {
    "seed": 1, "dimensions": 30, "distance_dimensions": 20, "bins": 3, "tail_quantile": 0.9, "max_shift_std": 2.0,
    "shift_step_std": 1.0, "significance": 0.05, "replicates": 100, "batch_size": 50,
}  # fmt: skip
FILES = (
    "claims.csv",
    "curve.csv",
    "shifts.csv",
    "metrics.json",
    *map("figures/corroboration.{}".format, ("png", "csv")),
)


@pytest.fixture(scope="module")
def inverted(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inverted")
    return prepare(request, folder).run(folder / "out")


@pytest.fixture(scope="module")
def stage(request, inverted):
    return Stage(request, main, "corroborate", SECTION, name="one", inverted=inverted)


@pytest.fixture(scope="module")
def images(inverted):
    return pd.read_csv(inverted / "images.csv", dtype={"class": str, "one_real": str, "one_reconstruction": str})


@pytest.fixture(scope="module")
def case(images):
    """By row of cases and controls whether it is a case; others are left out."""
    controls = images["sample"] & (images["one_real"] == images["class"])
    return images["one_case"][images["usable"] & (images["one_case"] | controls)]


@pytest.fixture(scope="module")
def scores(tiny_population, tiny_ranking, inverted, case):
    """Of generated and of real images: deviations in the direction of each dimension, by rank, and who is wrong."""
    ranked = read_ranking(tiny_ranking).query("scope == 'global'").sort_values("rank")
    styles, labels = (read_array(tiny_population / "population.zarr", name) for name in ("s", "labels"))
    wrong = read_array(tiny_ranking / "predictions.zarr", "logits").argmax(axis=1) != labels
    centre = np.array([styles[(labels == label) & ~wrong].mean(axis=0, dtype=float) for label in range(10)])
    sign = ranked["direction"].to_numpy() / styles.std(axis=0, dtype=float, ddof=1)[ranked["dimension"]]
    held = [read_array(inverted / "inverted.zarr", name)[case.index] for name in ("s", "labels")]
    return {
        side: ((each - centre[own])[:, ranked["dimension"]] * sign, failed)
        for side, each, own, failed in (("generated", styles, labels, wrong), ("real", *held, case.to_numpy()))
    }


def read_claims(out):
    return pd.read_csv(out / "claims.csv", keep_default_na=False, na_values=[""])


def test_twice_gives_equal_bytes(run, out, hash_folder):
    first = hash_folder(out)
    assert first == hash_folder(run())
    assert first.keys() == set(FILES)


def test_every_area_is_counted_again(out, images, case, scores, tiny_ranking):
    claims, kept = read_claims(out), images["auditor_kept"][case.index].to_numpy()
    ranked = read_ranking(tiny_ranking).query("scope == 'global' and rank <= 30")
    assert claims["dimension"].tolist() == [-1, -1, -1, *ranked["dimension"]]
    for side, (deviations, failed) in scores.items():
        far, some = np.linalg.norm(deviations[:, :20], axis=1), kept if side == "real" else slice(None)
        expected = [roc_auc_score(failed, far), roc_auc_score(failed[some], far[some])]
        expected += [roc_auc_score(failed, deviations[:, :30].sum(axis=1))]
        expected += [roc_auc_score(failed, column) for column in deviations[:, :30].T]
        np.testing.assert_allclose(claims[side], expected, rtol=1e-4)
        assert claims[f"{side}_n"].tolist() == [len(failed), len(failed[some]), *[len(failed)] * 31]
    apart = estimate_area(scores["real"][0][:, 0], case.to_numpy(), images["index"][case.index].to_numpy())
    assert tuple(claims.loc[3, ["real_low", "real_high"]]) == pytest.approx((apart.low, apart.high), rel=1e-4)
    assert {"noise +, blurrier", "larger, blurrier", "not named"} == set(claims["name"].dropna())


def test_verdicts_add_up(out, inverted, images, case):
    claims, metrics = read_claims(out), read_metrics(out)
    unclaimed = (claims["generated_low"] <= 0.5) & (claims["generated_high"] >= 0.5)
    np.testing.assert_array_equal(claims["verdict"] == NO_CLAIM, unclaimed)
    assert (~unclaimed).sum() > 2, "else this tests too little"
    counts, held = claims.loc[claims["claim"] == "direction", "verdict"].value_counts(), metrics["directions"]
    assert [held[verdict.replace(" ", "_")] for verdict in VERDICTS] == [counts.get(each, 0) for each in VERDICTS]
    assert counts.sum() == 30
    assert held["decidable"] == held["corroborated"] + held["contradicted"] == metrics["corroborated_share"]["n"]
    assert (metrics["cases"], metrics["controls"]) == (case.sum(), (~case).sum())
    assert metrics["images"] == images["index"][case.index].nunique() < len(case)
    assert metrics["error_rate"] == read_metrics(inverted)["error_rates"]["one"]["value"]
    for key, row in (("distance", 0), ("projection", 2)):
        told = (metrics[f"{key}_verdict"], *(metrics[f"{key}_auc{side}"]["value"] for side in ("", "_generated")))
        assert told == tuple(claims.loc[row, ["verdict", "real", "generated"]])


def test_real_accuracy_is_weighted_to_the_share_of_errors(out, inverted, case, scores):
    curve, rate = pd.read_csv(out / "curve.csv"), read_metrics(inverted)["error_rates"]["one"]["value"]
    made, real = (np.linalg.norm(deviations[:, :20], axis=1) for deviations, _ in scores.values())
    np.testing.assert_allclose(curve["distance_high"], np.quantile(made, [0.3, 0.6, 0.9]), rtol=1e-5)
    weight = np.where(case, rate / case.sum(), (1 - rate) / (~case).sum())
    for low, row in zip([0, *curve["distance_high"][:2]], curve.to_dict("records"), strict=True):
        own, same = ((each >= low) & (each < row["distance_high"]) for each in (real, made))
        assert (row["real_n"], row["real_cases"], row["generated_n"]) == (own.sum(), (own & case).sum(), 60)
        assert row["real"] == pytest.approx(weight[own & ~case].sum() / weight[own].sum(), rel=1e-4)
        assert row["generated"] == pytest.approx((~scores["generated"][1])[same].mean(), abs=0.02)
    gap = read_metrics(out)["accuracy_gap"]
    assert gap["value"] == pytest.approx((curve["real"] - curve["generated"]).mean(), abs=1e-4)
    assert gap["low"] < gap["value"] < gap["high"]


def test_controls_are_moved_from_their_reconstructions(out, images, case):
    shifts, controls = pd.read_csv(out / "shifts.csv"), images.loc[case.index[~case]]
    kept = controls["one_reconstruction"] == controls["class"]
    assert 0 < kept.sum() < len(kept), "some reconstructions must be misread, else this tests nothing"
    assert (shifts[["real_n", "generated_n"]] == kept.sum()).all(axis=None)
    assert (shifts["generated"][0], shifts["real"][0]) == (1, 1)
    assert (shifts.loc[1:, ["real", "generated"]] < 0.6).all(axis=None), "the ranking leads where the classifier fails"
    gap = read_metrics(out)["shift_gap"]["value"]
    assert gap == pytest.approx((shifts["real"] - shifts["generated"]).mean(), abs=1e-5)


def test_cases_that_are_not_usable_are_counted_and_of_too_few_nothing_is_said(run, inverted, images, tmp_path):
    folder, lost = shutil.copytree(inverted, tmp_path / "inverted"), images.index[images["one_case"]][:-9]
    images.assign(usable=~images.index.isin(lost)).to_csv(folder / "images.csv", index=False)
    out = run(inverted=folder)
    metrics, claims = read_metrics(out), read_claims(out)
    assert (metrics["cases"], metrics["cases_left_out"]) == (9, len(lost))
    assert claims["real"].isna().all()
    assert set(claims["verdict"]) == {NO_CLAIM, TOO_FEW}


def test_a_class_of_which_nothing_is_read_rightly_is_left_out(
    run, tiny_ranking, tiny_population, images, case, tmp_path
):
    labels, folder = read_array(tiny_population / "population.zarr", "labels"), tmp_path / "ranking"
    logits = read_array(tiny_ranking / "predictions.zarr", "logits")
    logits[labels == 2, 2] = -100
    shutil.copytree(tiny_ranking, folder)
    shutil.rmtree(folder / "predictions.zarr")
    write_arrays(folder / "predictions.zarr", {"logits": (logits, ("sample", "class"))})
    out = run(ranking=folder)
    claims, curve, rest = read_claims(out), pd.read_csv(out / "curve.csv"), images.loc[case.index, "class"] != "2"
    assert np.isfinite(claims[["generated", "real", "real_low"]].to_numpy()).all()
    assert (claims["generated_n"] == np.count_nonzero(labels != 2)).all()
    assert claims.loc[0, "real_n"] == rest.sum() < len(rest)
    assert (curve["generated_n"] == curve["generated_n"][0]).all()


def test_a_ranking_that_lacks_a_dimension_is_refused(run, tiny_ranking, tmp_path):
    folder = shutil.copytree(tiny_ranking, tmp_path / "ranking")
    ranked = pd.read_csv(folder / "ranking.csv", dtype={"scope": str})
    ranked.query("not (scope == 'global' and rank == 5)").to_csv(folder / "ranking.csv", index=False)
    refused("scope 'global' does not hold each of 80 dimensions once", run, ranking=folder)


def test_unknown_classifiers_and_wrong_params_are_named(refuse, stage, tmp_path):
    for name in ("three", "auditor"):
        refused(f"NAME: got '{name}'; allowed: one, two, of whom .*out h", stage.run, tmp_path / "out", name=name)
        assert not (tmp_path / "out").exists()
    many = "got 81; allowed: at most the 80 style dimensions of the generator"
    refuse(rf"corroborate\.dimensions: {many}", dimensions=81)
    refuse(rf"corroborate\.distance_dimensions: {many}", distance_dimensions=81)
    refuse(r"corroborate: allowed: at most 10,000 steps, not max_shift_std 2", shift_step_std=1e-5)
