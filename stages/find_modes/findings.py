"""Each mode as a row: its sentence, its rate, what real images say, what leads into it, what others do there."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import roc_auc_score

from failure_atlas.decisions.summary import COLUMNS, CORROBORATED, VERDICTS
from failure_atlas.modes.estimate import (
    count_effective,
    estimate_lift,
    estimate_risk,
    judge_modes,
    share_weighted,
    test_excess,
)
from failure_atlas.modes.mode import Mode, cover
from failure_atlas.modes.search import draw_half, find_modes, search_modes
from failure_atlas.statistics.estimates import Estimate, estimate_share, subtract
from stages.common.artefacts.ranking import GLOBAL
from stages.common.mode_params import FindModesParams
from stages.find_modes.inputs import Evidence, Seen

REAL, SECOND = "real", "second"  # images that modes are held against: of the world, and of another generator
ENOUGH = 30  # samples of a cell whose accuracy is shown as covered
SAME = 0.7  # overlap (intersection over union) from which on a mode within another says what is said
MOSTLY = 0.5  # of the failures must have been read as the class that the sentence names


@dataclass(frozen=True)
class Findings:
    """Modes in the order of their risk, those within others last; half: bool [N], the samples that no search has seen.

    members: bool [K, N], of the population.  real_members: bool [K, R].  read_as: the class that most failures of the
    mode are read as, -1 if there is no such.  within: the index of the mode that a mode is part of, -1 for none.
    dropped: candidates that the other half did not bear out, or that say once more what is said.
    """

    modes: list[Mode]
    members: np.ndarray
    real_members: np.ndarray
    read_as: list[int]
    within: list[int]
    half: np.ndarray
    dropped: int

    def surround(self, members: np.ndarray) -> np.ndarray:
        """What each mode is compared with, bool [K, n]: all else, or the rest of the mode that it is part of."""
        outer = [members[place] if place >= 0 else np.ones(members.shape[1], bool) for place in self.within]
        return np.asarray(np.array(outer, bool).reshape(members.shape) & ~members)


def find(evidence: Evidence, section: FindModesParams) -> Findings:
    """Search one half, keep what the other half bears out; then the same within each mode."""
    made, half = evidence.generated, draw_half(len(evidence.generated.true_class), section.seed)
    settings: dict[str, Any] = {
        "least_share": section.least_share, "most_share": section.most_share,
        "decimals": np.array([each.bound_decimals for each in evidence.attributes]),
    }  # fmt: skip
    data = made.looks, made.true_class, made.wrong
    modes, dropped = find_modes(*data, half, most=section.most_modes, fdr=section.fdr, **settings)
    losses = [
        estimate_risk((evidence.cost * mode.covers(*data[:2]))[half], evidence.weights[half])[0] for mode in modes
    ]
    modes = [modes[row] for row in np.argsort(np.negative(losses), kind="stable")]
    members, within, tried, p_values = cover(modes, made.looks, made.true_class), [-1] * len(modes), [], []
    for place, outer in enumerate(members):
        candidates = search_modes(*(each[outer & ~half] for each in data), most=section.inner_modes, **settings)
        inner = [modes[place].intersect(each) for each in candidates]
        tried += [(place, mode) for mode in inner]
        rest = outer & half
        p_values += test_excess(cover(inner, made.looks, made.true_class)[:, rest], made.wrong[rest]).tolist()
    sure = stats.false_discovery_control(p_values) <= section.fdr if tried else []
    for (place, mode), holds in zip(tried, sure, strict=True):
        own = mode.covers(made.looks, made.true_class)
        others = [each.covers(made.looks, made.true_class) for each in modes]
        if holds and all(np.sum(own & each) <= SAME * np.sum(own | each) for each in others):
            modes.append(mode)
            within.append(place)
    members = cover(modes, made.looks, made.true_class)
    read_as = [_find_answer(made.predicted[each & half & made.wrong], len(evidence.class_names)) for each in members]
    real = cover(modes, evidence.real.looks, evidence.real.true_class)
    return Findings(
        modes, members, real, read_as, within, half, dropped + len(tried) - sum(place >= 0 for place in within)
    )


def _find_answer(answers: np.ndarray, classes: int) -> int:
    counts = np.bincount(answers, minlength=classes)
    return int(counts.argmax()) if counts.max() > MOSTLY * len(answers) else -1


def tell_mode(mode: Mode, read_as: int, evidence: Evidence) -> tuple[str, str]:
    """A mode as a sentence without its subject, the classifier, and its conditions alone."""
    label = "" if mode.label is None else evidence.class_names[mode.label]
    answer = "" if read_as < 0 else evidence.class_names[read_as]
    conditions = ", ".join(
        evidence.attributes[each].tell_condition(*pair) for each, pair in sorted(mode.bounds.items())
    )
    verb = f"reads {label} as {answer}" if label and answer else f"misreads {label}" if label else ""
    verb = verb or (f"reads other classes as {answer}" if answer else "fails")
    return f"{verb}: {conditions}" if conditions else verb, conditions


def tabulate_modes(found: Findings, evidence: Evidence, section: FindModesParams) -> pd.DataFrame:
    """modes.csv: one row a mode; rates and shares are of the half that was not searched."""
    made, half, rows, told = evidence.generated, found.half, [], []
    weights, wrong, rest_of = evidence.weights[half], made.wrong[half], found.surround(found.members)
    for mode, member, read_as, others in zip(found.modes, found.members, found.read_as, rest_of, strict=True):
        inside, around = member[half], others[half]
        rate, rest = (share_weighted(wrong[each], weights[each]) for each in (inside, around))
        told.append(subtract(rate, rest))
        sentence, conditions = tell_mode(mode, read_as, evidence)
        failures = inside & wrong
        row: dict[str, Any] = {
            "sentence": sentence,
            "class": "" if mode.label is None else evidence.class_names[mode.label],
            "read_as": "" if read_as < 0 else evidence.class_names[read_as],
            "conditions": conditions,
            "definition": mode.define([each.name for each in evidence.attributes], evidence.class_names),
            "n": int(inside.sum()),
            "failures": int(failures.sum()),
        }
        row |= _bounded("rate", rate) | _bounded("rate_elsewhere", rest)
        row |= _bounded("share", share_weighted(inside, weights)) | _bounded("lift", estimate_lift(rate, rest))
        confirmed = int((failures & evidence.confirmed[half]).sum())
        row |= {"true_failures": confirmed}
        row |= _bounded("true_failure_share", estimate_share(confirmed, int(failures.sum())))
        risk = estimate_risk((evidence.cost * member)[half], weights)
        row |= dict(zip(("risk", "risk_low", "risk_high"), risk, strict=True))
        rows.append(row | _lead(mode, member, evidence) | _reach(mode, evidence))
    table = pd.DataFrame(rows)
    if len(table):
        table.insert(0, "rank", np.arange(1, len(table) + 1))
        table.insert(1, "within", ["" if place < 0 else place + 1 for place in found.within])
        table = table.assign(**_hold_against(evidence.real, found, told, section, REAL))
        if evidence.second:
            table = table.assign(**_hold_against(evidence.second, found, told, section, SECOND))
        return table
    return pd.DataFrame(columns=[*COLUMNS, "definition"])


def _bounded(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _lead(mode: Mode, member: np.ndarray, evidence: Evidence) -> dict[str, Any]:
    """The ranked direction along which members lie farthest out among samples of their class."""
    samples = evidence.samples
    scope = GLOBAL if mode.label is None else evidence.class_names[mode.label]
    of_class = np.ones(len(member), bool) if mode.label is None else samples.true_class == mode.label
    best: dict[str, Any] = {"direction": "", "direction_name": "", "direction_auc": 0.5}  # none leads there
    if member[of_class].all() or not member[of_class].any():
        return best
    ranked = evidence.directions[evidence.directions["scope"] == scope]
    for row in ranked.to_dict("records"):
        dimension, way = int(row["dimension"]), int(row["direction"])
        area = float(roc_auc_score(member[of_class], way * samples.styles[of_class, dimension]))
        if area > best["direction_auc"]:
            name = evidence.words.look_up(scope, dimension, way)
            best = {"direction": dimension, "direction_name": name, "direction_auc": area}
    return best


def _reach(mode: Mode, evidence: Evidence) -> dict[str, Any]:
    """How many true failures the search has found in a mode, and how near to its start the nearest lies."""
    inside = mode.covers(evidence.found.looks, evidence.found.true_class)
    distance = evidence.found_rows["distance_std"].to_numpy(float)[inside]
    return {
        "found_failures": int(inside.sum()),
        "nearest_distance_std": min(distance, default=np.nan),
    }


def _hold_against(
    seen: Seen, found: Findings, told: list[Estimate], section: FindModesParams, kind: str
) -> dict[str, list[Any]]:
    """What other images say of each mode: `n_real`, `real_failures`, `real_rate`, ... with `kind` for real."""
    wrong, members = seen.wrong, cover(found.modes, seen.looks, seen.true_class)
    around = found.surround(members)
    verdicts, differences = judge_modes(told, members, around, wrong, section.fdr)
    rows = []
    for member, rest, difference, verdict in zip(members, around, differences, verdicts, strict=True):
        failed, n = int((member & wrong).sum()), int(member.sum())
        row: dict[str, Any] = {f"n_{kind}": n, f"{kind}_failures": failed}
        row |= _bounded(f"{kind}_rate", estimate_share(failed, n))
        row[f"{kind}_rate_elsewhere"] = estimate_share(int((rest & wrong).sum()), int(rest.sum())).value
        row |= {f"{kind}_difference_low": difference.low, f"{kind}_difference_high": difference.high}
        rows.append(row | {"verdict" if kind == REAL else f"{kind}_verdict": verdict})
    return {name: [row[name] for row in rows] for name in rows[0]}


def tabulate_others(found: Findings, evidence: Evidence) -> pd.DataFrame:
    """others.csv: failure rates of the other classifiers in each mode, on the half that was not searched."""
    rows = []
    for rank, member in enumerate(found.members, start=1):
        inside = member & found.half
        for name, predicted in evidence.others.items():
            failed = int((predicted[inside] != evidence.generated.true_class[inside]).sum())
            row = {"rank": rank, "classifier": name, "n": int(inside.sum())}
            rows.append(row | _bounded("rate", estimate_share(failed, int(inside.sum()))))
    return pd.DataFrame(rows, columns=["rank", "classifier", "n", "rate", "rate_low", "rate_high"])


def summarize(table: pd.DataFrame, found: Findings, evidence: Evidence, mapped: pd.DataFrame) -> dict[str, Any]:
    """metrics.json: how many modes, what they explain, and how much of the map is covered."""
    wrong, half = evidence.generated.wrong, found.half
    explained, real = (np.asarray(each.any(axis=0)) for each in (found.members, found.real_members))
    verdicts = table["verdict"].value_counts()
    failure_rate = share_weighted(wrong[half], evidence.weights[half]).as_dict()
    coverage: dict[str, Any] = {}
    if len(mapped):
        inside, reachable = int((mapped["n"] >= ENOUGH).sum()), int((mapped["n"] > 0).sum())
        coverage = {"coverage": estimate_share(inside, reachable).as_dict(), "reachable_cells": reachable}
    carried = {}
    if evidence.second and len(table):
        carried["second_corroborated"] = int((table["second_verdict"] == CORROBORATED).sum())
    return carried | {
        "modes": len(found.modes),
        "candidates": len(found.modes) + found.dropped,
        **{name.replace(" ", "_"): int(verdicts.get(name, 0)) for name in VERDICTS},
        "failure_rate": failure_rate,
        "explained_share": estimate_share(int((explained & wrong & half).sum()), int((wrong & half).sum())).as_dict(),
        "domain_share": share_weighted(explained[half], evidence.weights[half]).as_dict(),
        "real_explained_share": estimate_share(
            int((real & evidence.real.wrong).sum()), int(evidence.real.wrong.sum())
        ).as_dict(),
        "worst_rate": _find_worst(table) if len(table) else failure_rate,  # without a mode, of the whole domain
        **coverage,
        "effective_n": int(count_effective(evidence.weights[half])),
    }


def _find_worst(table: pd.DataFrame) -> dict[str, Any]:
    """The failure rate of the mode in which it is highest."""
    row = table.iloc[int(table["rate"].argmax())]
    return Estimate(row["rate"], row["rate_low"], row["rate_high"], int(row["n"])).as_dict()
