"""What came of each mixture: accuracy, paired gains, and what became of the modes."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.modes.mode import cover
from failure_atlas.repair.gains import cross_mean, find_detectable
from failure_atlas.statistics.estimates import Estimate, flatten, read_estimate
from stages.repair_classifier.inputs import CLEAN, OUTSIDE, POPULATION, REAL_TESTS, RECIPE, Inputs
from stages.repair_classifier.mixtures import ADDED_MORE, PLAIN, REPAIRS, Arm

Right = Mapping[Arm, Mapping[str, np.ndarray]]  # by arm and test: bool [S, I]
REPAIRED, NOT_DECIDED, WORSE = "repaired", "not decided", "worse"
ALL_CONTROLS = {"plain": PLAIN, "more": ADDED_MORE}  # of every arm
PLANTS = "plants"
GENERATED_SURE = "generated, the auditor sure"
FEWEST = 6  # images: of fewer, all turned right by chance, are no rarity (two-sided sign test: 2 / 2^6 = 0.03)
RATES = ("before", "after", "change")
COLUMNS = [
    "generator", "rank", "sentence", "images", *(f"{name}{end}" for name in RATES for end in ("", "_low", "_high")),
    "n", "verdict",
]  # fmt: skip


def subtract_right(right: Right, first: Arm, second: Arm, test: str) -> np.ndarray:
    """How many more times the first is right, -1, 0 or 1: float64 [S, I]."""
    return right[first][test].astype(float) - right[second][test]


def list_controls(arm: Arm, arms: Sequence[Arm]) -> dict[str, Arm]:
    """What an arm is held against, but for itself: plain, more of the same, generated images alone of its generator."""
    controls = {name: next(each for each in arms if each.kind == kind) for name, kind in ALL_CONTROLS.items()}
    controls |= {"generated": arm.without_failures} if arm.generator else {}
    return {name: other for name, other in controls.items() if other != arm}


def tabulate_mixtures(right: Right, arms: Sequence[Arm], inputs: Inputs) -> pd.DataFrame:
    """mixtures.csv: each arm on each test, and its gains over the controls, in percent and points."""
    rows = []
    for arm in arms:
        for test, kept in _list_tests(inputs):
            row: dict[str, Any] = {"mixture": arm.kind, "generator": arm.generator, "added": arm.added}
            row |= {"failures": arm.failures, "test": test, "trainings": len(right[arm][RECIPE])}
            name = OUTSIDE if test.startswith(OUTSIDE) else test
            row |= _tell("accuracy", cross_mean(right[arm][name][:, kept].astype(float)))
            for control, other in list_controls(arm, arms).items():
                row |= _tell(f"over_{control}", cross_mean(subtract_right(right, arm, other, name)[:, kept]))
            rows.append(row)
    return pd.DataFrame(rows)


def _list_tests(inputs: Inputs) -> list[tuple[str, np.ndarray]]:
    everything = [(name, np.ones(len(inputs.tests[name].labels), bool)) for name in REAL_TESTS]
    return everything + [(f"{OUTSIDE}: {kind}", inputs.kind_of == place) for place, kind in enumerate(inputs.kinds)]


def _tell(name: str, estimate: Estimate) -> dict[str, Any]:
    """In percent."""
    told = {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return {key: 100 * value for key, value in told.items()} | {"n": estimate.n}


def tabulate_modes(right: Right, best: Mapping[str, Arm], before: Arm, inputs: Inputs) -> pd.DataFrame:
    """modes.csv: how often each mode is misread before and after, on real images and where the auditor is sure.

    best: by generator, the repair whose trainings are `after`.  Nothing is decided on fewer than 6 images: where all of
    them change alike, an interval has no width.
    """
    sides = {
        "real": (RECIPE, inputs.real_test, np.ones(len(inputs.real_test.images.labels), bool)),
        GENERATED_SURE: (POPULATION, inputs.population, inputs.auditor_sure),
    }
    rows = []
    for (generator, arm), (side, (test, seen, sure)) in product(best.items(), sides.items()):
        members = cover(inputs.modes, seen.looks, seen.images.labels)
        for place, (sentence, member) in enumerate(zip(inputs.sentences, members, strict=True)):
            kept = member & sure
            rates = [cross_mean(1.0 - right[each][test][:, kept]) for each in (before, arm)]
            change = cross_mean(-subtract_right(right, arm, before, test)[:, kept])
            verdict = REPAIRED if change.high < 0 else WORSE if change.low > 0 else NOT_DECIDED
            verdict = verdict if kept.sum() >= FEWEST else NOT_DECIDED
            row: dict[str, Any] = {"generator": generator, "rank": place + 1}
            row |= {"sentence": sentence, "images": side}
            for name, each in zip(RATES, (*rates, change), strict=True):
                row |= _tell(name, each)
            rows.append(row | {"verdict": verdict})
    return pd.DataFrame(rows, columns=COLUMNS)


def summarize(
    right: Right, arms: Sequence[Arm], best: Mapping[str, Arm], modes: pd.DataFrame, plants: pd.DataFrame
) -> dict[str, Any]:
    """metrics.json: of each generator what its best repair gains, in points; of the first one by itself.

    best: by generator, the repair that read the most held-out images rightly.
    """
    told: dict[str, Any] = {"accuracy": {}, "gain": {}}
    for arm in arms:
        accuracy = {test: cross_mean(right[arm][test].astype(float)) for test in REAL_TESTS}
        told["accuracy"][arm.key] = {test: _in_points(each).as_dict() for test, each in accuracy.items()}
        if arm.kind in REPAIRS:
            controls = list_controls(arm, arms).items()
            gains = {of: cross_mean(subtract_right(right, arm, each, RECIPE)) for of, each in controls}
            told["gain"][arm.key] = {of: _in_points(each).as_dict() for of, each in gains.items()}
    for name, arm in best.items():
        plain, more, own = list_controls(arm, arms).values()
        group: dict[str, Any] = {"mixture": arm.kind, "added": arm.added, "failures": arm.failures}
        for key, first, second, test in (
            ("gain_over_generated", arm, own, RECIPE), ("gain_over_more", arm, more, RECIPE),
            ("gain_over_plain", arm, plain, RECIPE), ("generated_over_plain", own, plain, RECIPE),
            ("outside_gain", arm, plain, OUTSIDE), ("outside_over_generated", arm, own, OUTSIDE),
            ("clean_gain", arm, plain, CLEAN),
        ):  # fmt: skip
            group |= flatten(key, _in_points(cross_mean(subtract_right(right, first, second, test))).as_dict())
        group["detectable_gain"] = 100 * find_detectable(subtract_right(right, arm, own, RECIPE))
        for key, side in (("real", "real"), ("generated", GENERATED_SURE)):
            rows = modes[(modes["generator"] == name) & (modes["images"] == side)]
            group |= {f"{key}_modes": len(rows), f"{key}_modes_repaired": int((rows["verdict"] == REPAIRED).sum())}
            group[f"{key}_modes_worse"] = int((rows["verdict"] == WORSE).sum())
        told[name] = group
    if len(plants):
        took = plants[plants["took"]]
        told[PLANTS] = {
            "planted": len(plants), "took": len(took), "repaired": int(took["repaired"].sum()),
            "generated_repaired": int(took["generated_repaired"].sum()),
            "others_worse": int(took["others_worse"].sum()),
        }  # fmt: skip
    return told


def _in_points(estimate: Estimate) -> Estimate:
    return Estimate(100 * estimate.value, 100 * estimate.low, 100 * estimate.high, estimate.n)


def tell(metrics: Mapping[str, Any], name: str) -> list[str]:
    """The findings in a line for each generator, and one for the planted faults."""
    lines = []
    for generator, held in metrics.items():
        if generator in ("accuracy", "gain"):
            continue
        if generator == PLANTS:
            lines.append(
                f"of {held['took']} faults planted in the training data {held['repaired']} are repaired, "
                f"{held['generated_repaired']} by generated images alone"
            )
            continue
        gains = [
            read_estimate({"value": held[key], **held[f"{key}_interval"]}).tell()
            for key in ("gain_over_generated", "gain_over_plain")
        ]
        lines.append(
            f"{name}, {generator}: {held['mixture']} gains {gains[0]} points over generated images alone, {gains[1]} "
            f"over plain; told from 0 from {held['detectable_gain']:.2f} on; {held['real_modes_repaired']} of "
            f"{held['real_modes']} modes are misread less on real images"
        )
    return lines
