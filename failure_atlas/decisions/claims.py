"""The claims of the paper, each with the numbers that speak for or against it and the rule that decides."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from failure_atlas.decisions.estimates import (
    NOT_DECIDED,
    Estimate,
    combine,
    estimate_share,
    falls,
    is_above,
    is_below,
    negate,
    subtract,
    widen,
)
from failure_atlas.decisions.metrics import Metrics

CENTRES = {"own_class": "the centre of the own class", "all": "one centre for all classes"}
DIFFERENCE = "holds if the interval of the difference lies above 0, fails if below"
EACH = "; for both classifiers"


AREA_COLUMNS = (
    *("classifier", "kind", "scope", "dimensions", "k", "scaling", "centre"),
    *("area", "area_low", "area_high", "trend_p_value", "rises", "n"),
)


class Bars(Protocol):
    """Which classifiers the claims speak of, and the bars that numbers are held against (section `check_claims`)."""

    trained_on_clean: str
    trained_on_corrupted: str
    corrupted_accuracy: float
    reached_share: float
    ranking_overlap: float
    negligible_ks: float
    significance: float


@dataclass(frozen=True)
class Sources:
    """All that claims are checked on; ranked, walks and classifiers: by the classifier's name."""

    curves: Metrics
    areas: Sequence[Mapping[str, str]]
    populations: Metrics
    ranked: Mapping[str, Metrics]
    walks: Mapping[str, Metrics]
    classifiers: Mapping[str, Metrics]

    def find_distance_curve(self, classifier: str, k: str, centre: str) -> Mapping[str, str] | None:
        """The row of areas.csv of the standardised curve along top dimensions, if it was computed."""
        wanted = {
            "classifier": classifier, "kind": "distance", "scope": "all", "dimensions": "top", "k": k,
            "scaling": "standardised", "centre": centre,
        }  # fmt: skip
        return next((row for row in self.areas if wanted.items() <= row.items()), None)


def read_areas(lines: Iterable[str]) -> list[dict[str, str]]:
    """The rows of areas.csv of compute_curves; ValueError that names the columns that it lacks."""
    table = csv.DictReader(lines)
    missing = [column for column in AREA_COLUMNS if column not in (table.fieldnames or ())]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}")
    return list(table)


@dataclass
class Claim:
    """A claim in our words, where the paper makes it, and how its verdict follows.

    evidence: what was measured, by the name of the metric; verdicts: on each part; the claim's follows from all.
    """

    id: str
    claim: str
    source: str
    rule: str
    evidence: dict[str, Estimate] = field(default_factory=dict)
    verdicts: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """holds | fails | not decided."""
        return combine(self.verdicts)

    def take(self, metrics: Metrics, key: str) -> Estimate:
        """Read an estimate and keep it as evidence."""
        self.evidence[f"{metrics.name}: {key}"] = estimate = metrics.estimate(key)
        return estimate

    def subtract(self, name: str, first: Estimate, second: Estimate) -> None:
        """Keep a difference as evidence that decides whether the first is larger."""
        self.evidence[name] = difference = subtract(first, second)
        self.verdicts.append(is_above(difference, 0))


def check_claims(sources: Sources, params: Bars) -> list[Claim]:
    """All claims in the order of the paper."""
    return [
        claim
        for check in (
            _check_classifiers,
            _check_spaces,
            _check_histograms,
            _check_ranking,
            _check_walks,
            _check_shape,
            _check_steepness,
            _check_comparison,
        )
        for claim in check(sources, params)
    ]


def _names(params: Bars) -> tuple[str, str]:
    return params.trained_on_clean, params.trained_on_corrupted


def _check_classifiers(sources: Sources, params: Bars) -> Iterator[Claim]:
    clean, corrupted = (sources.classifiers[name] for name in _names(params))
    bar = params.corrupted_accuracy
    claim = Claim(
        "corrupted_accuracy",
        f"Trained on the corrupted set, a classifier is right about {100 * bar:g} % of the corrupted test set.",
        "3.1",
        f"holds if the interval lies above {bar:g}, fails if below",
    )
    claim.verdicts.append(is_above(claim.take(corrupted, "corrupted_test_accuracy"), bar))
    yield claim

    claim = Claim(
        "corruption_impact",
        "Corruption significantly lowers the accuracy of a classifier that was trained on clean images.",
        "3.1",
        f"{DIFFERENCE}: clean test images minus those that are corrupted",
    )
    on_clean, on_corrupted = claim.take(clean, "clean_test_accuracy"), claim.take(clean, "corrupted_half_test_accuracy")
    claim.subtract("difference", on_clean, on_corrupted)
    yield claim

    claim = Claim(
        "corrupted_training",
        "Training on the corrupted set makes a classifier better on the corrupted test set.",
        "3.1",
        f"{DIFFERENCE}: trained on corrupted minus trained on clean images",
    )
    key = "corrupted_test_accuracy"
    claim.subtract("difference", claim.take(corrupted, key), claim.take(clean, key))
    yield claim


def _check_spaces(sources: Sources, _: Bars) -> Iterator[Claim]:
    for better, worse in (("s", "w"), ("w", "z")):
        claim = Claim(
            f"{better}_separates_better_than_{worse}",
            f"{better.upper()} separates well- from misclassified samples better than {worse.upper()}.",
            "2.1.2, figure 3",
            f"{DIFFERENCE}: areas under the ROC curve of cross-validated probes",
        )
        estimates = [claim.take(sources.populations, f"outcome_separation.{space}") for space in (better, worse)]
        claim.subtract("difference", *estimates)
        yield claim


def _check_histograms(sources: Sources, params: Bars) -> Iterator[Claim]:
    within = "the interval is the statistic plus and minus what equal distributions stay below in 95 % of cases"
    top = Claim(
        "top_histograms_differ",
        "Well- and misclassified samples are distributed differently along the top dimensions.",
        "2.2, figure 4",
        f"holds if the mean Kolmogorov-Smirnov statistic of the top ones lies above 0 with interval ({within}){EACH}",
    )
    random = Claim(
        "random_histograms_agree",
        "Along random dimensions the histograms of well- and misclassified samples show no difference.",
        "2.2, figure 4",
        "the median over all dimensions stands for a random one: holds if its interval lies below "
        f"{params.negligible_ks:g}, fails if it lies above 0 ({within}){EACH}",
    )
    for name in _names(params):
        metrics = sources.ranked[name]
        margin = metrics.number("well_mis_ks.null_95")
        samples = int(metrics.number("well_mis_ks.n_well") + metrics.number("well_mis_ks.n_mis"))
        for claim, key in ((top, "top"), (random, "median")):
            path = f"well_mis_ks.raw.{key}"
            estimate = widen(metrics.number(path), margin, samples)
            claim.evidence[f"{metrics.name}: {path}"] = estimate
            if claim is top:
                claim.verdicts.append(is_above(estimate, 0))
            else:
                # A statistic above what chance gives is a difference, however small; below, it may still hide one.
                differs = is_above(estimate, 0)
                claim.verdicts.append(
                    is_below(estimate, params.negligible_ks) if differs == NOT_DECIDED else negate(differs)
                )
    yield top
    yield random


def _check_ranking(sources: Sources, params: Bars) -> Iterator[Claim]:
    claim = Claim(
        "ranking_is_stable",
        "Gradients averaged over a population rank the style dimensions.",
        "2.2",
        "holds if two halves of the population agree on more than a share of "
        f"{params.ranking_overlap:g} of the top 10, by the whole 95 % interval{EACH}",
    )
    for name in _names(params):
        overlap = claim.take(sources.ranked[name], "split_half_top10_overlap")
        claim.verdicts.append(is_above(overlap, params.ranking_overlap))
    yield claim

    yield _compare_keys(
        sources, params, "random_shift_area", "shift_area",
        "ranking_tells_influence",
        "Moved along the top dimensions, samples fail sooner than along random ones.",
        "2.2, 2.4; control added here",
        f"{DIFFERENCE}: areas under accuracy against shift, random minus top dimensions{EACH}",
    )  # fmt: skip
    yield _compare_keys(
        sources, params, "shift_avoidable_area", "random_shift_avoidable_area",
        "top_dimensions_bring_avoidable_failures",
        "What fails along the top dimensions is the classifier, not the image: more images that the judge still reads "
        "are lost there than along random dimensions.",
        "2.4; judge added here",
        f"{DIFFERENCE}: shares that only the judge reads, averaged over the shift, top minus random dimensions{EACH}",
    )  # fmt: skip


def _check_walks(sources: Sources, params: Bars) -> Iterator[Claim]:
    claim = Claim(
        "one_dimension_reaches_half",
        "Moving one top dimension brings the softmax of the true class to 0.50.",
        "2.3, 3.4, figures 5 and 7",
        f"holds if the share of walks that arrive lies above {params.reached_share:g} with its interval, fails if "
        f"below{EACH}; the median shift is told beside it",
    )
    for name in _names(params):
        metrics = sources.walks[name]
        reached, walks = (int(metrics.number(key)) for key in ("reached", "walks"))
        share = estimate_share(reached, walks)
        claim.evidence[f"{metrics.name}: reached / walks"] = share
        claim.verdicts.append(is_above(share, params.reached_share))
        claim.take(metrics, "median_shift_std")
    yield claim


def _check_shape(sources: Sources, params: Bars) -> Iterator[Claim]:
    k = _headline(sources, params)
    alpha = params.significance
    shape = f"the one-sided trend test has p < {alpha:g} and no bin rises beyond the interval of the bin before"
    for centre, words in CENTRES.items():
        top = Claim(
            f"monotone_in_top_dimensions_{centre}",
            f"Accuracy falls monotonically with distance in the top {k} dimensions, measured from {words}.",
            "2.4, 3.3, figure 6",
            f"holds if {shape}; fails if a bin rises or p > {1 - alpha:g}{EACH}",
        )
        _judge_shape(top, sources, params, k, centre, falls)
        yield top
        everything = Claim(
            f"not_monotone_in_all_dimensions_{centre}",
            f"In all dimensions accuracy does not fall monotonically with distance, measured from {words}.",
            "2.4, 3.3",
            f"fails if {shape}; holds if a bin rises or p > {1 - alpha:g}{EACH}",
        )
        _judge_shape(everything, sources, params, "all", centre, lambda *measured: negate(falls(*measured)))
        yield everything


def _judge_shape(
    claim: Claim,
    sources: Sources,
    params: Bars,
    k: str,
    centre: str,
    judge: Callable[[float, int, float], str],
) -> None:
    for name in _names(params):
        row = sources.find_distance_curve(name, k, centre)
        if row is None:
            claim.verdicts.append(NOT_DECIDED)
            claim.rule += f"; compute_curves.top_k holds no {k}"
            continue
        for column in ("trend_p_value", "rises"):
            claim.evidence[f"compute_curves: {name}, {column}"] = Estimate(_number(row[column]), n=int(row["n"]))
        claim.verdicts.append(judge(_number(row["trend_p_value"]), int(float(row["rises"])), params.significance))


def _check_steepness(sources: Sources, params: Bars) -> Iterator[Claim]:
    k = _headline(sources, params)
    claim = Claim(
        "top_dimensions_are_steeper_than_all",
        f"Accuracy falls faster with distance in the top {k} dimensions than in all of them.",
        "3.3",
        f"{DIFFERENCE}: areas under the curve over its own range, all minus top dimensions, own class's centre{EACH}",
    )
    for name in _names(params):
        rows = [sources.find_distance_curve(name, each, "own_class") for each in ("all", k)]
        areas = [_read_area(row) for row in rows if row is not None]
        if len(areas) < len(rows):
            claim.verdicts.append(NOT_DECIDED)
            claim.rule += "; compute_curves.top_k does not hold all"
            continue
        for each, area in zip(("all", f"top {k}"), areas, strict=True):
            claim.evidence[f"compute_curves: {name}, area, {each}"] = area
        claim.subtract(f"{name}, difference", *areas)
    yield claim
    yield _compare_keys(
        sources, params, "random_area", "area",
        "top_dimensions_are_steeper_than_random",
        "Accuracy falls faster with distance in the top dimensions than in random ones.",
        "2.4, 3.3; control added here",
        f"{DIFFERENCE}: areas under the curve, random minus top dimensions{EACH}",
    )  # fmt: skip


def _check_comparison(sources: Sources, params: Bars) -> Iterator[Claim]:
    clean, corrupted = _names(params)
    pairs = sources.curves.content.get("paired", {})
    flipped = f"{corrupted}_minus_{clean}" not in pairs and f"{clean}_minus_{corrupted}" in pairs
    pair = f"{clean}_minus_{corrupted}" if flipped else f"{corrupted}_minus_{clean}"
    for kind, key, words in (("distance", "area", "distance"), ("shift", "shift_area", "shift")):
        claim = Claim(
            f"{kind}_curves_compare_classifiers",
            f"Curves of accuracy against {words} tell classifiers apart: trained on corrupted images, one lies above.",
            "3.3, figure 6a",
            f"{DIFFERENCE}: area between the curves of the same samples",
        )
        area = claim.take(sources.curves, f"paired.{pair}.{key}")
        claim.verdicts.append(is_below(area, 0) if flipped else is_above(area, 0))
        yield claim


def _read_area(row: Mapping[str, str]) -> Estimate:
    value, low, high = (_number(row[column]) for column in ("area", "area_low", "area_high"))
    return Estimate(value, low, high, int(row["n"]))


def _number(cell: str) -> float:
    return float(cell) if cell else float("nan")


def _compare_keys(
    sources: Sources,
    params: Bars,
    larger: str,
    smaller: str,
    name: str,
    words: str,
    source: str,
    rule: str,
) -> Claim:
    """A claim that one metric of compute_curves is larger than another, for both classifiers."""
    claim = Claim(name, words, source, rule)
    for classifier in _names(params):
        estimates = [claim.take(sources.curves, f"{classifier}.{key}") for key in (larger, smaller)]
        claim.subtract(f"{classifier}, difference", *estimates)
    return claim


def _headline(sources: Sources, params: Bars) -> str:
    """The number of top dimensions of figure 6."""
    return f"{sources.curves.number(f'{params.trained_on_clean}.headline_k'):g}"


def count_verdicts(claims: Sequence[Claim], verdicts: Sequence[str]) -> dict[str, int]:
    """How many claims have each verdict."""
    return {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in verdicts}
