"""The whole stage on real networks."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from failure_atlas.classifiers.networks import load_classifier
from failure_atlas.core.arrays import read_array, read_attributes, write_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.core.weights import save_tensors
from failure_atlas.judges.ensemble import load_ensemble
from failure_atlas.judges.verdicts import READINGS, VERDICTS, give_verdicts, read_labels
from failure_atlas.stylegan2.generator import NO_SNAPSHOT, load_generator
from failure_atlas.stylegan2.noise import draw_seeds
from failure_atlas.walks.true_failures import weigh_failures
from failure_atlas.world.show import World
from stages.common.artefacts.images import named_arrays, read_images
from stages.common.artefacts.networks import load_networks
from stages.judge_failures.__main__ import main
from stages.judge_failures.agreement import main as agreement
from tests import yaml12 as yaml
from tests.stages.running import demanding_noise

SECTION = {"seed": 1, "far_out_percentile": 95.0, "contact_sheet_samples": 8, "noise_draws": 3, "batch_size": 64}
CPU = torch.device("cpu")
TEXT = dict.fromkeys(("class", "predicted_class", "rival_class", "judge_class", "auditor_class"), str)


@pytest.fixture(scope="module")
def inputs(
    tiny_generator, tiny_classifier, judge, auditor, snapshot, tiny_images, tiny_population, tiny_ranking, corner_cases
):
    return {
        "generator": tiny_generator, "classifier": tiny_classifier, "judge": judge, "auditor": auditor,
        "snapshot": snapshot, "images": tiny_images, "population": tiny_population, "ranking": tiny_ranking,
        "corner_cases": corner_cases,
    }  # fmt: skip


@pytest.fixture
def run(tmp_path, write_params, inputs):
    def run_main(name="out", section=None, **changes):
        params = write_params({"judge_failures": SECTION | (section or {})})
        with demanding_noise():
            main(**(inputs | changes), out=tmp_path / name, params=params)
        return tmp_path / name

    return run_main


@pytest.fixture(scope="module")
def out(tmp_path_factory, inputs):
    """Folder of one run, to be read only."""
    folder = tmp_path_factory.mktemp("judge_failures")
    (folder / "params.yaml").write_text(yaml.safe_dump({"judge_failures": SECTION}), encoding="utf-8")
    with demanding_noise():
        main(**inputs, out=folder / "out", params=folder / "params.yaml")
    return folder / "out"


def test_without_a_discriminator_realism_is_not_measured(run, out, tmp_path):
    save_tensors(tmp_path / "none.safetensors", {}, {"kind": NO_SNAPSHOT})
    without = run(snapshot=tmp_path / "none.safetensors")
    assert json.loads((without / "metrics.json").read_text(encoding="utf-8"))["realism_measured"] is False
    told, known = read_table(without / "failures.csv"), read_table(out / "failures.csv")
    assert told["realism"].isna().all()
    assert not told["far_out_in_realism"].any()
    pd.testing.assert_series_equal(told["verdict"], known["verdict"])


def read_table(path):
    return pd.read_csv(path, dtype=TEXT)


def test_every_claimed_failure_has_the_verdict_that_a_slow_twin_gives(
    out, tiny_generator, tiny_classifier, judge, auditor, tiny_population, tiny_ranking, corner_cases
):
    table = read_table(out / "failures.csv")
    predicted = read_array(tiny_ranking / "predictions.zarr", "predicted")
    labels = read_array(tiny_population / "population.zarr", "labels")
    reached = np.flatnonzero(read_array(corner_cases / "corner_cases.zarr", "reached"))
    wrong = np.flatnonzero(predicted != labels)
    assert len(wrong) > 3, "else this tests too little"
    assert len(reached) > 3, "else this tests too little"
    assert table["index"].tolist() == [*wrong, *reached]
    assert table["source"].tolist() == ["population"] * len(wrong) + ["corner case"] * len(reached)

    stores = ((tiny_population / "population.zarr", wrong), (corner_cases / "corner_cases.zarr", reached))
    styles, noise, meant = (
        np.concatenate([read_array(store, name)[rows] for store, rows in stores]) for name in ("s", "noise", "labels")
    )
    assert table["class"].tolist() == [str(label) for label in meant]
    generator, classifier = load_networks(tiny_generator, tiny_classifier, CPU)
    ensembles = {"judge": load_ensemble(judge, CPU), "auditor": load_ensemble(auditor, CPU)}
    for row, style in enumerate(styles):
        entry, label = table.iloc[row], meant[row]
        with torch.no_grad():
            image = generator.synthesize(torch.from_numpy(style[None]), noise[row : row + 1])
            softmax = classifier(image).double().softmax(1)[0].numpy()
        assert entry["classifier_probability"] == pytest.approx(softmax[label], rel=1e-3, abs=1e-5)
        for name, ensemble in ensembles.items():
            opinion = ensemble(image)[0].exp().numpy()
            assert entry[f"{name}_probability"] == pytest.approx(opinion[label], rel=1e-3, abs=1e-5)
            assert entry[f"{name}_confidence"] == pytest.approx(opinion.max(), rel=1e-3)
            if name == "judge" and np.abs(opinion - 0.6).min() > 1e-4:
                (reading,) = read_labels(opinion[None], np.array([label]), 0.6)
                assert entry["reading"] == READINGS[reading]
                said = np.array([int(entry["predicted_class"])])
                (verdict,) = give_verdicts(opinion[None], np.array([label]), said, 0.6)
                assert entry["verdict"] == VERDICTS[verdict]
                if entry["verdict"] == "true failure":
                    assert opinion[label] >= 0.6
                    assert softmax.argmax() != label
    assert (table["predicted_class"] != table["class"])[table["source"] == "population"].all()
    assert ((table["verdict"] == "still right") == (table["predicted_class"] == table["class"])).all()
    assert (table["verdict"] == "still right").any(), "else this tests too little"


def test_distances_to_real_images_are_in_the_auditors_features_of_the_stored_images(
    out, auditor, tiny_images, corner_cases
):
    table, ensemble = read_table(out / "failures.csv"), load_ensemble(auditor, CPU)
    own = table[table["source"] == "corner case"]
    images = read_array(corner_cases / "corner_cases.zarr", "images")[own["index"]]
    real, moved = (
        ensemble.features(torch.from_numpy(each / 255).float()).numpy().astype(float)
        for each in (read_images(tiny_images, "test").images, images)
    )
    expected = np.sort(np.linalg.norm(moved[:, None] - real[None], axis=2), axis=1)[:, 4]
    np.testing.assert_allclose(own["distance_to_real"], expected, rtol=1e-3)


def test_walks_are_told_for_corner_cases_alone(out, corner_cases):
    table, walks = read_table(out / "failures.csv"), pd.read_csv(corner_cases / "corner_cases.csv")
    own = table[table["source"] == "corner case"]
    columns = ["dimension", "direction", "shift_std", "noise_draw"]
    assert set(own["noise_draw"]) == {0, 1}, "else draws are not told apart"
    np.testing.assert_allclose(
        own[columns].to_numpy(float), walks[columns].iloc[own["index"]].to_numpy(float), rtol=1e-5
    )
    assert list(own["name"].fillna("")) == list(walks["name"].fillna("").iloc[own["index"]])
    assert table.loc[table["source"] == "population", [*columns, "name"]].isna().all(axis=None)
    directions = pd.read_csv(out / "directions.csv")
    assert directions["walks"].sum() == len(walks)
    assert directions["reached"].sum() == len(own)


def test_each_failure_is_tried_again_under_fresh_noise(
    out, tiny_generator, tiny_classifier, judge, tiny_population, tiny_ranking
):
    table = read_table(out / "failures.csv")
    own = table[table["source"] == "population"]
    styles, labels = (read_array(tiny_population / "population.zarr", name)[own["index"]] for name in ("s", "labels"))
    networks = {"classifier": load_classifier(tiny_classifier, CPU), "judge": load_ensemble(judge, CPU)}
    world = World(load_generator(tiny_generator, CPU).synthesize, networks, classes=10)
    wrong = []
    for draw in range(3):
        noise = draw_seeds(len(own), numpy_stream(1, "fresh noise", "population", draw))
        wrong.append(weigh_failures(world, styles, labels, noise))
    for column, level in (("noise_survival", 1e-12), ("true_failure_noise_survival", 0.6)):
        np.testing.assert_allclose(own[column], (np.array(wrong) >= level).mean(axis=0), rtol=1e-4)
    assert 0 < own["noise_survival"].mean() < 1, "else this tests nothing"


def test_the_true_failures_of_the_search_are_shown_to_the_auditor(out, corner_cases):
    table, metrics = read_table(out / "true_failures.csv"), json.loads((out / "metrics.json").read_text())
    rows = read_array(corner_cases / "true_failures.zarr", "corner_case")
    assert len(table) == len(rows) == metrics["true_failure_search"]["found"]
    assert len(rows) > 0, "else this tests nothing"
    assert (table["verdict"] == "true failure").all(), "the search consulted the same judge with the same confidence"
    walks = pd.read_csv(corner_cases / "corner_cases.csv")
    assert table["dimension"].tolist() == walks["dimension"].iloc[rows].tolist()
    np.testing.assert_allclose(table["shift_std"], walks["true_failure_shift_std"].iloc[rows], rtol=1e-5)
    confirmed, agreed = metrics["confirmed_true_failure_share"], metrics["agreed_true_failure_share"]
    draws = table["noise_draw"]
    assert confirmed["n"] == agreed["n"] == round(draws.value_counts().mean())
    sure, same = table["auditor_probability"].ge(0.6), table["auditor_class"] == table["class"]
    assert confirmed["value"] == pytest.approx(sure.groupby(draws).mean().mean(), rel=1e-5)
    assert agreed["value"] == pytest.approx(same.groupby(draws).mean().mean(), rel=1e-5)
    assert metrics["confirmed_true_failure_point_meets_bar"] == (confirmed["value"] >= 0.9)
    assert (metrics["confirmed_true_failure_verdict"] == "holds") == (confirmed["low"] >= 0.9)


def test_metrics_equal_a_recount_of_the_tables(out):
    table, metrics = read_table(out / "failures.csv"), json.loads((out / "metrics.json").read_text())
    assert metrics["claimed_failures"] == len(table)
    assert metrics["corner_cases"]["claimed_failures"] == (table["source"] == "corner case").sum()
    # What has no draw is part of each.
    draws = [table[table["noise_draw"].isna() | (table["noise_draw"] == draw)] for draw in (0, 1)]
    for verdict, key in zip(VERDICTS, ("true_failure", "label_changed", "unreadable", "still_right"), strict=True):
        share = metrics[f"{key}_share"]
        assert share["value"] == pytest.approx(
            np.mean([(each["verdict"] == verdict).mean() for each in draws]), rel=1e-5
        )
        assert share["low"] <= share["value"] <= share["high"]
        assert share["n"] == round(np.mean([len(each) for each in draws])) < len(table)
    for source, key in (("population", "population"), ("corner case", "corner_cases")):
        told = []
        for each in draws if source == "corner case" else draws[:1]:
            own = each[each["source"] == source]
            true, near = own["verdict"] == "true failure", ~own["far_out"]
            told.append({
                "far_out_share": own["far_out"].mean(),
                "true_failure_share_not_far_out": true[near].mean(),
                "label_kept_share": own["reading"].eq("label kept").mean(),
                "readable_true_failure_share": (true & own["readable"]).mean(),
                "agreed_true_failure_share": (own["auditor_class"] == own["class"])[true].mean(),
                "confirmed_true_failure_share": own["auditor_probability"][true].ge(0.6).mean(),
                "noise_survival": own["noise_survival"][own["misclassified"]].mean(),
                "true_failure_noise_survival": own["true_failure_noise_survival"][true].mean(),
            })  # fmt: skip
        for name, value in pd.DataFrame(told).mean().items():
            assert metrics[key][name]["value"] == pytest.approx(value, rel=1e-5) or np.isnan(value), name
    assert (table["far_out"] == (table["distance_to_real_percentile"] > 95)).all()
    assert (table["readable"] == (table["readable_probability"] >= 0.6)).all()
    shares = metrics["per_class"]["3"]
    assert shares["true_failure_share"]["n"] == round(np.mean([(each["class"] == "3").sum() for each in draws])) > 0
    verdicts = [shares[f"{verdict.replace(' ', '_')}_share"]["value"] for verdict in VERDICTS]
    assert sum(verdicts) == pytest.approx(1)
    real = metrics["real_images"]
    assert real["misclassified_share"]["n"] == 50
    assert metrics["judge_false_alarm_share"]["n"] == round(50 * real["misclassified_share"]["value"]) > 0
    assert metrics["judge_false_alarm_share"] == real["label_changed_share"]
    assert metrics["judge_sensitivity"] == real["true_failure_share"]
    assert (metrics["real_far_out_share"]["value"], metrics["real_far_out_share"]["n"]) == (0.06, 50)  # beyond 95 %


def test_without_true_failures_the_stage_goes_on(run, tmp_path, corner_cases):
    folder = Path(shutil.copytree(corner_cases, tmp_path / "walks"))
    rewrite(folder / "true_failures.zarr", lambda _, array: array[:0])
    out = run(corner_cases=folder)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["confirmed_true_failure_share"] == {"value": None, "low": None, "high": None, "n": 0}
    assert metrics["confirmed_true_failure_point_meets_bar"] is None
    assert len(read_table(out / "true_failures.csv")) == 0


def test_sheets_and_form_fit_together_and_a_review_that_repeats_the_judge_agrees(out, tmp_path):
    table, form = read_table(out / "failures.csv"), pd.read_csv(out / "review.csv", dtype=str, keep_default_na=False)
    contact = pd.read_csv(out / "figures" / "contact_sheet.csv", dtype={"class": str})
    assert len(form) == len(contact) == (table["review_id"] > 0).sum()
    assert contact["verdict"].value_counts().max() <= 8
    assert list(form["id"]) == [str(number) for number in range(1, len(form) + 1)]
    shown = table[table["review_id"] > 0].sort_values("review_id")
    form["reviewer_class"] = shown["judge_class"].where(shown["reading"] != "unreadable", "unreadable").to_numpy()
    form.to_csv(tmp_path / "judge_again.csv", index=False)
    agreement([tmp_path / "judge_again.csv"], failures=out / "failures.csv", out=tmp_path / "agreement")
    result = json.loads((tmp_path / "agreement" / "agreement.json").read_text())["with_judge"]["judge_again"]
    assert result["agreement"]["value"] == 1
    assert result["kappa"]["value"] == 1


def test_batches_and_black_boxes_move_numbers_by_rounding_only(out, run, tiny_black_box):
    for name, other in {
        "batches": run("small", {"batch_size": 7}),
        "box": run("box", classifier=tiny_black_box),
    }.items():
        for file in ("failures.csv", "true_failures.csv"):
            first, second = read_table(out / file), read_table(other / file)
            pd.testing.assert_frame_equal(first, second, rtol=1e-3, atol=1e-4, obj=f"{name}: {file}")


def test_the_same_inputs_give_the_same_bytes(out, run, hash_folder):
    first = hash_folder(out)
    assert first == hash_folder(run("second"))
    assert {
        "failures.csv", "true_failures.csv", "directions.csv", "review.csv", "metrics.json", "figures/verdicts.png",
        "figures/contact_sheet.png", "figures/review_sheet.png", "figures/review_sheet.csv",
    } <= set(first)  # fmt: skip
    other = hash_folder(run("other", {"seed": 2}))
    assert other["figures/review_sheet.png"] != first["figures/review_sheet.png"]
    assert other["figures/verdicts.png"] == first["figures/verdicts.png"]


def rewrite(store, change):
    """Write a store anew; change: name and array -> the array in its place."""
    names = {"images": ("row", "channel", "y", "x"), "s": ("row", "style"), "logits": ("row", "class")}
    held = [name for name in (*names, "noise", "labels", "predicted", "corner_case") if (store / name).exists()]
    arrays = {name: (change(name, read_array(store, name)), names.get(name, ("row",))) for name in held}
    write_arrays(store, arrays, read_attributes(store))


def rename_classes(folder):
    part = read_images(folder, "test")
    write_arrays(folder, named_arrays("test", part), {"class_names": ["a", "b"]})


def edit_table(name, change):
    def edit(folder):
        change(pd.read_csv(folder / name)).to_csv(folder / name, index=False)

    return edit


def edit_store(name, change):
    return lambda folder: rewrite(folder / name, change)


REFUSED = [
    ("images", rename_classes, "shows the classes a, b; the population has 0, 1"),
    (
        "ranking", edit_store("predictions.zarr", lambda _, array: array[:9]),
        "outputs for 9 samples and 10 classes, the population has 200 and 10",
    ),
    (
        "corner_cases", edit_table("corner_cases.csv", lambda table: table.drop(columns="direction")),
        r"corner_cases\.csv: lacks the columns direction; make it again",
    ),
    (
        "corner_cases", edit_table("corner_cases.csv", lambda table: table[:-1]),
        r"corner_cases\.zarr: (\d+) walks, .* has (?!\1)",
    ),
    (
        "corner_cases",
        edit_store("true_failures.zarr", lambda name, array: array + 99 if name == "corner_case" else array),
        r"true_failures\.zarr: names row 1?[0-9]{2} of corner_cases\.csv",
    ),
    (
        "corner_cases", edit_store("true_failures.zarr", lambda name, array: array[:, :5] if name == "s" else array),
        r"true_failures\.zarr: 5 style dimensions .* the generator has 80",
    ),
    *(
        (
            "corner_cases", lambda folder, name=name: (folder / name).rename(folder / "gone"),
            rf"{name}: missing; make it with: dvc repro walk_corner_cases",
        )
        for name in ("corner_cases.csv", "corner_cases.zarr", "true_failures.zarr")
    ),
]  # fmt: skip


@pytest.mark.parametrize(("key", "spoil", "message"), REFUSED)
def test_results_of_another_run_and_missing_ones_are_refused(run, tmp_path, inputs, key, spoil, message):
    spoil(folder := Path(shutil.copytree(inputs[key], tmp_path / "spoilt" / inputs[key].name)))
    with pytest.raises(StageError, match=message):
        run(**{key: folder})
    assert not (tmp_path / "out").exists()


def test_unfit_networks_are_refused(run, judge, make_ensemble, make_snapshot):
    for changes, message in (
        ({"auditor": judge}, "the auditor is the judge itself"),
        (
            {"judge": make_ensemble(5, [f"class {index}" for index in range(10)])},
            r"judges the classes class 0, class 1, .* use a judge of the same",
        ),
        (
            {"snapshot": make_snapshot(num_classes=4)},
            r"its discriminator knows 4 classes and images of 1 channels and 32 px",
        ),
    ):
        with pytest.raises(StageError, match=message):
            run(**changes)
