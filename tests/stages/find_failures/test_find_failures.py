"""The whole stage on real networks: its failures asked again, its tables recounted, what it says no to."""

import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.covariance import ledoit_wolf

from failure_atlas.classifiers.networks import Classifier
from failure_atlas.core.arrays import read_array, read_attributes, write_arrays
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.image_set import to_bytes
from failure_atlas.judges.ensemble import Ensemble, load_ensemble, save_ensemble
from failure_atlas.stylegan2.noise import draw_seeds
from failure_atlas.walks.true_failures import tell_wrong
from stages.common.artefacts.images import named_arrays, read_images
from stages.common.artefacts.networks import load_networks
from stages.find_failures.__main__ import main
from stages.find_failures.attempts import CHAINS, FROM_REAL, JOINT, MEAN_DIRECTION, NEAREST, SAMPLES, SINGLE
from stages.find_failures.figures import write_figures
from tests.stages.running import Stage, read_metrics
from tests.stages.tiny_networks import teach_population

SECTION = {
    "seed": 1, "starts": 30, "start_samples": [], "real_starts": 0, "confidence": 0.85, "judge_weight": 12.0,
    "inside_share": 0.95, "step_std": 0.2, "most_steps": 20, "restart_steps": 8, "class_samples": 50, "chains": 60,
    "baseline_starts": 20, "noise_draws": 2, "batch_size": 64,
}  # fmt: skip
GIVEN = [134, 124, 80, 199]  # one fails where it starts, two are near, from the last nothing is found
CPU = torch.device("cpu")
NAMES = [str(label) for label in range(10)]
TEXT = dict.fromkeys(("class", "predicted_class", "rival_class", "judge_class", "auditor_class"), str)
SHARES = {
    "auditor_sure_share": "auditor_confirms", "auditor_agrees_share": "auditor_agrees", "far_share": "far_out",
    "readable_share": "readable",
}  # fmt: skip
ROUNDING = {"rtol": 2e-3, "atol": 2e-3}


@pytest.fixture(scope="session")
def make_judge(tmp_path_factory, tiny_population):
    """A function that saves an ensemble of one, which knows the population or, untaught, nothing."""

    def make(seed, taught=True, **changes):
        member = teach_population(tiny_population, seed=seed, steps=40) if taught else Classifier("plain", 10, width=8)
        path = tmp_path_factory.mktemp("witness") / "ensemble.safetensors"
        save_ensemble(path, Ensemble([member.eval()], NAMES, **({"temperature": 0.5} | changes)))
        return path

    return make


@pytest.fixture(scope="session")
def auditor(make_judge):
    return make_judge(5)


@pytest.fixture(scope="module")
def stage(request, robust_judge, auditor):
    return Stage(request, main, "find_failures", SECTION, judge=robust_judge, auditor=auditor, scorer=None)


@pytest.fixture(scope="module")
def wider(stage, make_judge, tmp_path_factory):
    """A run in other batches, with given samples and a third judge."""
    folder = tmp_path_factory.mktemp("wider") / "out"
    return stage.run(folder, batch_size=17, start_samples=GIVEN, scorer=make_judge(6))


@pytest.fixture(scope="module")
def atlas(tiny_generator, tiny_classifier, tiny_population, robust_judge, auditor):
    """Networks and population, asked without the stage's own code."""
    generator, classifier = load_networks(tiny_generator, tiny_classifier, CPU)
    store = tiny_population / "population.zarr"
    w, labels, noise = (read_array(store, name) for name in ("w", "labels", "noise"))
    judges = {"judge": robust_judge, "auditor": auditor}
    networks = {"classifier": classifier} | {name: load_ensemble(path, CPU) for name, path in judges.items()}

    @torch.no_grad()
    def ask(w, seeds):
        """Images in bytes, and by network the softmax on what was drawn and on the bytes of it."""
        drawn = generator.synthesize(generator.map_styles(torch.from_numpy(w)), seeds)
        seen = (drawn, to_bytes(drawn).float() / 255)
        said = {
            name: [network(images).double().softmax(1).numpy() for images in seen] for name, network in networks.items()
        }
        return to_bytes(drawn).numpy(), said

    @torch.no_grad()
    def locate(z, own):
        return generator.map_latents(torch.from_numpy(z), torch.from_numpy(own)).numpy()

    def measure(moved, own):
        """Mahalanobis length of moves in W of samples of these classes."""
        covariances = [ledoit_wolf(w[labels == label].astype(float))[0] for label in range(10)]
        return np.sqrt([way @ np.linalg.solve(covariances[label], way) for way, label in zip(moved, own, strict=True)])

    centre = np.array([w[labels == label].mean(axis=0, dtype=float) for label in range(10)])
    far = measure(w - centre[labels], labels)
    radius = np.array([np.quantile(far[labels == label], 0.95) for label in range(10)])
    return SimpleNamespace(
        w=w, labels=labels, noise=noise, ask=ask, locate=locate, measure=measure, centre=centre, radius=radius,
        mean_noise=np.array(read_attributes(store)["mean_noise"]), generator=generator, judge=networks["auditor"],
    )  # fmt: skip


def read_table(out, name="failures"):
    return pd.read_csv(out / f"{name}.csv", dtype=TEXT)


def read_failures(out):
    return [read_array(out / "failures.zarr", name) for name in ("w", "s", "noise", "labels", "images")]


def find_failures(said, own, confidence):
    """Slow twin: both networks on the image that was drawn and on its bytes."""
    rows = np.arange(len(own))
    wrong = [tell_wrong(softmax, own) for softmax in said["classifier"]]
    sure = [softmax[rows, own] >= confidence for softmax in said["judge"]]
    return np.logical_and.reduce([*wrong, *sure])


def test_every_stored_failure_is_one_when_all_are_asked_again(out, atlas):
    table, (w, styles, noise, own, images) = read_table(out), read_failures(out)
    walked, rows = (table["method"] == NEAREST).to_numpy(), np.arange(len(table))
    assert table["method"].value_counts().reindex([NEAREST, CHAINS, SAMPLES]).min() > 5, "else this tests too little"
    assert table["class"].tolist() == [str(label) for label in own]
    shown, said = atlas.ask(w, noise)
    assert np.abs(shown.astype(int) - images).max() <= 1, "one grey level of rounding"
    with torch.no_grad():
        np.testing.assert_allclose(styles, atlas.generator.map_styles(torch.from_numpy(w)), rtol=1e-4, atol=1e-5)
    for asked in (0, 1):
        assert tell_wrong(said["classifier"][asked], own).all()
        assert (said["judge"][asked][rows, own] >= np.where(walked, 0.85, 0.8) - 1e-4).all()
    for name in ("classifier", "judge", "auditor"):
        np.testing.assert_allclose(table[f"{name}_probability"], said[name][0][rows, own], **ROUNDING)
    assert (table["predicted_class"].astype(int) == said["classifier"][0].argmax(axis=1)).all()
    assert (table["auditor_confirms"] == (table["auditor_probability"] >= 0.8)).all()
    assert (table["auditor_agrees"] == (table["auditor_class"] == table["class"])).all()
    searched = (table["method"] != SAMPLES).to_numpy()
    far = atlas.measure(w - atlas.centre[own], own) / atlas.radius[own]
    assert (far[searched] <= 1 + 1e-5).all()
    assert (far[~searched] > 1).any(), "plain samples are held nowhere"


def draw_again(atlas, label, share):
    """Latents, noise and running number of the first good samples of a class, and how many it took: one by one."""
    random, parts = numpy_stream(1, "find_failures", "starts", label), []
    for _ in range(50 * share // 10):
        w = atlas.locate(random.standard_normal((10, 8), np.float32), np.full(10, label))
        parts.append((w, draw_seeds(10, random)))
    w, noise = (np.concatenate(part) for part in zip(*parts, strict=True))
    said = atlas.ask(w, noise)[1]
    good = (said["classifier"][0].argmax(axis=1) == label) & (said["classifier"][0][:, label] > 0.5)
    good &= said["judge"][0][:, label] >= 0.8
    index = np.flatnonzero(good)[:share]
    return w[index], noise[index], index, int(index[-1]) + 1 if len(index) == share else 50 * share


@pytest.fixture(scope="module")
def starts(atlas):
    """Latents, noise, class, kind and index of the starts of `wider`, and how many samples were drawn for them."""
    parts, drawn = [], 0
    for label in range(10):
        w, noise, index, count = draw_again(atlas, label, 3)
        parts.append((w, noise, np.full(len(w), label), np.full(len(w), "drawn"), index))
        drawn += count
    own, draws = np.tile(np.arange(10), 2), np.repeat([0, 1], 10)
    parts.append((atlas.centre[own], atlas.mean_noise[draws, own], own, np.full(20, "mean"), draws))
    held = (each[GIVEN] for each in (atlas.w, atlas.noise, atlas.labels))
    parts.append((*held, np.full(len(GIVEN), "sample"), np.array(GIVEN)))
    w, noise, own, kind, index = (np.concatenate(part) for part in zip(*parts, strict=True))
    return SimpleNamespace(w=np.float32(w), noise=noise, own=own, kind=kind, index=index, drawn=drawn)


def test_starts_are_the_first_good_samples_of_each_class_the_means_and_the_given(wider, starts):
    table = read_table(wider, "starts")
    assert table["class"].tolist() == [str(label) for label in starts.own]
    assert table["start"].tolist() == list(starts.kind)
    assert table["index"].tolist() == list(starts.index)
    count = table[table["start"] == "drawn"].groupby("class").size()
    assert count.max() == 3
    assert 25 <= count.sum() < 30, "one class must have too few, else nothing tests that"
    metrics = read_metrics(wider)
    assert (metrics["starts"], metrics["samples_drawn"]) == (count.sum(), starts.drawn)
    given = table[table["start"] == "sample"]
    assert given["index"].tolist() == GIVEN
    assert given["found"].tolist() == [True, True, True, False]
    assert given["steps"].iloc[0] == 0
    assert (table["steps"] == 20)[~table["found"]].all()
    assert table["steps"].between(0, 20).all()
    assert (table["judge_probability"] >= 0.85)[table["found"]].all()
    assert table["judge_probability"][~table["found"]].isna().all()


def test_a_class_with_too_few_good_samples_is_told(run, caplog):
    few = {"starts": 30, "most_steps": 1, "class_samples": 10, "chains": 0, "baseline_starts": 0}
    metrics = read_metrics(run(**few))
    (told,) = [record.getMessage() for record in caplog.records if "samples are right and sure" in record.getMessage()]
    assert told.startswith("find_failures.starts: class ")
    assert told.endswith(" of 150 samples are right and sure, 3 were wanted")
    assert metrics["methods"].keys() == {NEAREST, CHAINS, SAMPLES}
    assert metrics["methods"][CHAINS]["start_share"] == {"value": None, "low": None, "high": None, "n": 0}


def test_distances_are_those_from_the_starts(wider, starts, atlas):
    table, (w, _, noise, own, images) = read_table(wider), read_failures(wider)
    walked = np.flatnonzero(table["method"] == NEAREST)
    rows = table["row"].to_numpy()[walked]
    found = read_table(wider, "starts")
    assert list(rows) == list(np.flatnonzero(found["found"]))
    assert set(found["start"][rows]) == {"drawn", "mean", "sample"}, "else this tests too little"
    np.testing.assert_array_equal(noise[walked], starts.noise[rows])
    expected = atlas.measure(w[walked] - starts.w[rows].astype(float), own[walked])
    np.testing.assert_allclose(table["distance_std"][walked], expected, rtol=1e-3)
    np.testing.assert_allclose(found["distance_std"][rows], expected, rtol=1e-3)
    before = atlas.ask(starts.w[rows], starts.noise[rows])[0]
    apart = np.linalg.norm((images[walked].astype(float) - before).reshape(len(rows), -1) / 255, axis=1)
    np.testing.assert_allclose(table["image_distance"][walked], apart, rtol=1e-2, atol=1e-2)
    plain = table[table["method"] == SAMPLES]
    assert plain[["distance_std", "image_distance"]].isna().all(axis=None)


def test_plain_samples_are_independent_and_all_failures_among_them_are_found(out, atlas):
    random = numpy_stream(1, "find_failures", "samples", 0)
    z, noise = random.standard_normal((1000, 8), np.float32)[:500], draw_seeds(1000, random)[:500]
    own = np.arange(500) % 10
    w = atlas.locate(z, own)
    failed = find_failures(atlas.ask(w, noise)[1], own, 0.8)
    table, metrics = read_table(out), read_metrics(out)
    plain = table[table["method"] == SAMPLES]
    assert plain["row"].tolist() == list(np.flatnonzero(failed))
    np.testing.assert_allclose(read_failures(out)[0][plain.index], w[failed], rtol=1e-4, atol=1e-5)
    rate = metrics["independent"]["true_failure_rate"]
    assert (rate["value"], rate["n"]) == (pytest.approx(failed.mean()), 500)
    for label in range(10):
        rate = metrics["per_class"][str(label)]["true_failure_rate"]
        assert (rate["value"], rate["n"]) == (pytest.approx(failed[own == label].mean()), 50)
    chains = table[table["method"] == CHAINS]
    inside = atlas.measure(w[failed] - atlas.centre[own[failed]], own[failed]) <= atlas.radius[own[failed]]
    still = chains["row"][chains["distance_std"] == 0]
    assert still.tolist() == plain["row"][inside].tolist(), "a chain ends where it starts if that is a failure inside"
    assert 3 < len(still) < len(chains), "else no chain went anywhere"
    assert (chains["class"].astype(int) == chains["row"] % 10).all()


def recount(table, held):
    """Check a group of metrics against the failures that they are about."""
    for key, column in SHARES.items():
        assert held[key]["n"] == len(table)
        assert held[key]["value"] == (pytest.approx(table[column].mean(), rel=1e-5) if len(table) else None), key
    lasting = table["true_failure_noise_survival"]
    if len(table) > 1:
        assert held["fresh_noise_share"]["value"] == pytest.approx(lasting.mean(), rel=1e-5)
        assert 0 <= held["fresh_noise_share"]["low"] <= lasting.mean() <= held["fresh_noise_share"]["high"] <= 1
    assert held["distinct"] == table["distinct"].sum()
    assert held["sure_distinct"] == (table["distinct"] & table["auditor_confirms"]).sum()
    assert held["distinct_per_cpu_second"] == pytest.approx(held["sure_distinct"] / held["cpu_seconds"], rel=1e-4)


def test_metrics_equal_a_recount_of_the_tables(wider):
    table, starts, metrics = read_table(wider), read_table(wider, "starts"), read_metrics(wider)
    drawn = starts[starts["start"] == "drawn"]
    walked = table[table["method"] == NEAREST]
    own = walked[walked["row"].isin(drawn.index)]
    assert 5 < len(own) < len(walked)
    recount(own, metrics)
    assert metrics["start_share"]["value"] == pytest.approx(drawn["found"].mean(), rel=1e-5)
    assert metrics["start_share"]["n"] == metrics["starts"] == len(drawn)
    ordered = np.sort(np.where(drawn["found"], drawn["distance_std"], np.inf))
    middle = ordered[(len(drawn) - 1) // 2] if len(drawn) % 2 else ordered[len(drawn) // 2 - 1 :][:2].mean()
    told = metrics["median_distance_std"]["value"]
    assert told == (pytest.approx(middle, rel=1e-4) if np.isfinite(middle) else None)
    assert metrics["sample_distance_std"] == 4  # the root of twice eight
    assert (metrics["confidence"], metrics["inside_share"]) == (0.85, 0.95)
    counts = own[own["distinct"]].groupby("class").size().reindex(NAMES, fill_value=0)
    assert metrics["smallest_class_count"] == counts.min()
    for name in NAMES:
        held, share = metrics["per_class"][name], drawn["found"][drawn["class"] == name]
        assert held["distinct"] == counts[name]
        assert held["start_share"]["n"] == len(share)
        assert held["start_share"]["value"] == pytest.approx(share.mean(), rel=1e-5)
    means = starts["found"][starts["start"] == "mean"]
    assert metrics["from_means"]["start_share"]["value"] == pytest.approx(means.mean(), rel=1e-5)
    methods = metrics["methods"]
    tried = {NEAREST: len(drawn), CHAINS: SECTION["chains"], SAMPLES: 500}
    for method, count in tried.items():
        found = own if method == NEAREST else table[table["method"] == method]
        recount(found, methods[method])
        assert methods[method]["start_share"]["n"] == count
        assert methods[method]["start_share"]["value"] == pytest.approx(len(found) / count, rel=1e-5)
        distance = found["image_distance"].median()
        assert methods[method]["median_image_distance"] == (
            None if np.isnan(distance) else pytest.approx(distance, rel=1e-4, abs=1e-6)
        )
    assert metrics["cpu_seconds"] == methods[NEAREST]["cpu_seconds"]
    assert methods[CHAINS]["cpu_seconds"] > methods[SAMPLES]["cpu_seconds"], "whose samples they start from"
    assert not table[table["distinct"]].duplicated(["method", "row"]).any()


def test_what_is_far_out_or_does_not_last_is_found_by_slow_twins(out, atlas, tiny_images):
    table, (w, _, _, own, images) = read_table(out), read_failures(out)
    real = read_images(tiny_images, "test").images
    with torch.no_grad():
        features = [atlas.judge.features(torch.from_numpy(each / 255).float()).double() for each in (real, images)]
    between, among = (np.sort(torch.cdist(each, features[0]).numpy(), axis=1) for each in features[::-1])
    np.testing.assert_allclose(table["distance_to_real"], between[:, 4], rtol=1e-3)
    share = (among[:, 5] <= between[:, 4:5]).mean(axis=1)
    np.testing.assert_array_equal(table["far_out"], share > 0.99)
    assert 0 < table["far_out"].mean() < 1, "else this tests nothing"
    rows = np.flatnonzero(table["method"] == NEAREST)
    lasting = []
    for draw in range(2):
        seeds = draw_seeds(len(rows), numpy_stream(1, "find_failures", "fresh noise", NEAREST, draw))
        lasting.append(find_failures(atlas.ask(w[rows], seeds)[1], own[rows], 0.8))
    np.testing.assert_allclose(table["true_failure_noise_survival"][rows], np.mean(lasting, axis=0))
    assert 0 < np.mean(lasting) < 1, "else this tests nothing"
    assert (table["noise_survival"] >= table["true_failure_noise_survival"]).all()
    assert (table["readable"] == (table["readable_probability"] >= 0.8)).all()


def test_the_table_of_methods_holds_the_metrics(wider, out):
    for folder in (wider, out):
        methods, table = read_metrics(folder)["methods"], pd.read_csv(folder / "methods.csv").set_index("method")
        assert set(table.index) == methods.keys() == {NEAREST, CHAINS, SAMPLES, SINGLE, JOINT, MEAN_DIRECTION}
        shares = ["start_share", *SHARES, "fresh_noise_share"] + ["scorer_sure_share"] * (folder == wider)
        for method, row in table.iterrows():
            held = methods[method]
            assert row["tried"] == held["start_share"]["n"]
            wanted = {key: held[key] for key in held if not isinstance(held[key], dict)}
            for key in shares:
                wanted |= {key: held[key]["value"], f"{key}_low": held[key]["low"], f"{key}_high": held[key]["high"]}
            assert wanted.keys() == set(table) - {"tried"}
            found = row[list(wanted)].astype(float)
            np.testing.assert_allclose(found, np.array(list(wanted.values()), float), rtol=1e-4)
    assert len(table) == 6
    assert (table["tried"][[SINGLE, JOINT, MEAN_DIRECTION]] == 20).all()
    assert (table["start_share"][[SINGLE, MEAN_DIRECTION]] > 0).all(), "else the walks of the paper test nothing"


def test_a_third_judge_given_samples_and_other_batches_change_nothing_else(wider, out):
    first, second = read_table(out), read_table(wider)
    extra = {"scorer_probability", "scorer_confirms"}
    assert set(second) - set(first) == extra
    metrics = read_metrics(wider)
    own = second[(second["method"] == NEAREST) & (second["row"] < metrics["starts"])]
    assert metrics["scorer_sure_share"]["value"] == pytest.approx(own["scorer_confirms"].mean(), rel=1e-5)
    assert (second["scorer_confirms"] == (second["scorer_probability"] >= 0.8)).all()
    assert second["scorer_confirms"].nunique() == 2, "else this tests nothing"
    assert "scorer" not in (out / "metrics.json").read_text()
    both = [read_table(folder, "starts") for folder in (out, wider)]
    pd.testing.assert_frame_equal(both[0], both[1][: len(both[0])], **ROUNDING)
    kept = second[(second["method"] != NEAREST) | (second["row"] < len(both[0]))].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, kept[list(first)], rtol=2e-2, atol=5e-3)


def test_the_same_inputs_give_the_same_bytes(out, run, hash_folder):
    first = hash_folder(out)
    assert first == hash_folder(run())
    wanted = {"failures.csv", "starts.csv", "methods.csv", "metrics.json", "figures/failures.png"}
    assert wanted | {"figures/failures.csv", "figures/distance.png", "figures/distance.csv"} <= set(first)


def test_the_sheet_shows_the_first_distinct_failures_of_drawn_starts(out):
    table, starts = read_table(out), read_table(out, "starts")
    walked = table[(table["method"] == NEAREST) & table["distinct"]]
    own = walked[(starts["start"] == "drawn").to_numpy()[walked["row"]]]
    sheet = read_table(out / "figures")
    assert len(sheet) == len(own) > 5
    pd.testing.assert_frame_equal(sheet, own[list(sheet)].reset_index(drop=True))


def test_the_curve_ends_at_the_share_of_starts_without_a_failure(out):
    curves, starts = read_table(out / "figures", "distance"), read_table(out, "starts")
    drawn = starts[starts["start"] == "drawn"]
    assert set(curves["class"]) == {"all", *drawn["class"]}
    for name, curve in curves.groupby("class"):
        found = drawn["found"] if name == "all" else drawn["found"][drawn["class"] == name]
        assert (curve["share"].iloc[0], curve["distance_std"].iloc[0]) == (1, 0)
        assert (curve["share"].diff().dropna() <= 0).all()
        assert curve["share"].iloc[-1] == pytest.approx(1 - found.mean(), abs=1e-5)
        assert (curve["n"] == len(found)).all()
        assert curve["low"].le(curve["share"]).all()
        assert curve["share"].le(curve["high"]).all()
        falls = curve["distance_std"][curve["share"].diff() < 0]
        at = drawn.loc[found.index[found], "distance_std"]
        np.testing.assert_allclose(falls, np.unique(at), rtol=1e-5)


@pytest.mark.parametrize(("classes", "each", "most"), [(10, 20, 5), (2, 60, 25), (60, 6, 1)])
def test_the_sheet_holds_fifty_pairs_at_most(tmp_path, classes, each, most):
    names, count = [f"class {label}" for label in range(classes)], classes * each
    own = np.arange(count) % classes
    table = pd.DataFrame({"class": np.array(names)[own], "predicted_class": "other", "distance_std": np.arange(count)})
    table = table.assign(image_distance=1.0, judge_probability=0.9, auditor_probability=0.5, distinct=True)
    table = table.assign(auditor_confirms=own > 0, readable=True, far_out=False)
    images = np.zeros((count, 1, 32, 32), np.uint8)
    walked = SimpleNamespace(
        table=table, images=images, start_images=images, attempt=SimpleNamespace(row=np.arange(count))
    )
    starts = table.assign(start="drawn", found=True)
    write_figures(tmp_path, walked, starts, names, 10.0 + count)
    shown = pd.read_csv(tmp_path / "failures.csv")
    assert len(shown) == 50
    assert shown["class"].value_counts().max() == most
    first = shown[shown["class"] == names[0]]["distance_std"].tolist()
    assert first == [classes * place for place in range(most)], "those of the first starts"
    assert (tmp_path / "failures.png").is_file()


def test_a_black_box_is_searched_by_differences(run, out, atlas, tiny_black_box, tiny_black_box_ranking):
    few = {"starts": 10, "baseline_starts": 10, "class_samples": 10, "chains": 5, "most_steps": 10}
    folder = run(classifier=tiny_black_box, ranking=tiny_black_box_ranking, **few)
    metrics, table = read_metrics(folder), read_table(folder)
    assert metrics["methods"].keys() == {NEAREST, CHAINS, SAMPLES, SINGLE}, "the others need gradients"
    w, _, noise, own, _ = read_failures(folder)
    walked = (table["method"] == NEAREST).to_numpy()
    assert walked.sum() > 3, "else this tests nothing"
    said = atlas.ask(w, noise)[1]
    assert find_failures(said, own, np.where(walked, 0.85, 0.8) - 1e-4).all()
    first = read_table(out, "starts").groupby(["class", "start"]).first()["index"]
    again = read_table(folder, "starts").groupby(["class", "start"]).first()["index"]
    assert (first.loc[again.index] == again).all(), "the same starts"


def test_where_nothing_is_found_the_stage_goes_on(run, make_judge):
    never = make_judge(7, taught=False, temperature=1.0, confidence=0.999)
    out = run(judge=never, most_steps=2, class_samples=10, chains=3)
    metrics = read_metrics(out)
    assert (metrics["starts"], metrics["samples_drawn"]) == (0, 1500)
    assert metrics["start_share"] == {"value": None, "low": None, "high": None, "n": 0}
    assert metrics["median_distance_std"]["value"] is None
    assert metrics["independent"]["true_failure_rate"]["value"] == 0
    assert len(read_table(out)) == 0
    assert len(read_table(out, "starts")) == 20
    assert not (out / "figures/failures.png").exists()


@pytest.fixture(scope="session")
def other_images(tiny_images, tmp_path_factory):
    path = tmp_path_factory.mktemp("other") / "images.zarr"
    write_arrays(path, named_arrays("test", read_images(tiny_images, "test")), {"class_names": ["a", "b"]})
    return path


def test_mistakes_are_named(refuse, robust_judge, auditor, other_images, tmp_path):
    refuse(r"^find_failures\.start_samples: got 200; allowed: 0 to 199, of the population$", start_samples=[0, 200])
    copy = shutil.copyfile(robust_judge, tmp_path / "copy.safetensors")
    for changes in ({"auditor": copy}, {"auditor": robust_judge}, {"scorer": auditor}, {"scorer": copy}):
        refuse(r"the same judge as .*; it confirms nothing unless it is another one$", **changes)
    refuse(r"images\.zarr: shows the classes a, b; the population has 0, 1, 2", images=other_images)
    refuse(r"missing; make it with: dvc repro corrupt_images$", images=tmp_path / "gone.zarr")
    refuse(r"gone\.safetensors: missing; make it with: dvc repro train_judges$", auditor=tmp_path / "gone.safetensors")


def test_from_real_images_walks_start_at_their_reconstruction(run, out, tiny_inverted, tiny_generator, tiny_classifier):
    other = run(real_starts=8)
    starts = pd.read_csv(other / "starts.csv", dtype={"class": str})
    real = starts[starts["start"] == "real"]
    images = pd.read_csv(tiny_inverted / "images.csv", dtype={"class": str}).set_index("index")
    assert images.loc[real["index"], "usable"].all()
    assert images.loc[real["index"], "sample"].all()
    assert list(images.loc[real["index"], "class"]) == list(real["class"])
    failures = pd.read_csv(other / "failures.csv", dtype=TEXT)
    own = (failures["method"] == FROM_REAL).to_numpy()
    assert own.sum() == real["found"].sum() > 0, "the tiny networks must give failures, else this tests nothing"
    generator, classifier = load_networks(tiny_generator, tiny_classifier, CPU)
    w, styles, noise, labels = (
        read_array(other / "failures.zarr", name)[own] for name in ("w", "s", "noise", "labels")
    )
    with torch.no_grad():
        kept = styles - generator.map_styles(torch.from_numpy(w)).numpy()
        softmax = classifier(generator.synthesize(torch.from_numpy(styles), noise)).double().softmax(dim=1).numpy()
    np.testing.assert_allclose(kept, 0.05, atol=1e-5)  # the offset of the reconstruction, all the way
    assert tell_wrong(softmax, labels).all()
    told = read_metrics(other)["from_real_images"]
    assert told["start_share"]["value"] == pytest.approx(real["found"].mean(), rel=1e-5)
    assert (other / "figures/real_images.png").is_file()
    assert not (out / "figures/real_images.png").exists()
    assert "from_real_images" not in read_metrics(out)
    before = pd.read_csv(out / "failures.csv", dtype=TEXT)
    rest = failures[~own].drop(columns="row").reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, before.drop(columns="row"), rtol=1e-3, atol=2e-3)
