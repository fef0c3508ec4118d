"""The claims of the paper, each with the numbers that speak for or against it and the rule that decides."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from failure_atlas.decisions.metrics import Metrics
from failure_atlas.statistics.estimates import (
    FAILS,
    HOLDS,
    NOT_DECIDED,
    Estimate,
    combine,
    decide,
    estimate_share,
    negate,
    subtract,
    widen,
)

CENTRES = {"own_class": "the centre of the own class", "all": "one centre for all classes"}
DIFFERENCE = "holds if the interval of the difference lies above 0, fails if below"
EACH = "; for both classifiers"
SHAPE = "the one-sided trend test has p < {significance:g} and no bin rises beyond the interval of the bin before"
MARGIN = "the interval is the statistic plus and minus what equal distributions stay below in 95 % of cases"
AREA_COLUMNS = (
    *("classifier", "kind", "scope", "dimensions", "k", "scaling", "centre"),
    *("area", "area_low", "area_high", "trend_p_value", "rises", "n"),
)
RELIABILITY = "report/figures/train_classifiers/{name}/reliability.png"
SPACES = "sample_populations/figures/fig3_spaces.png"
HISTOGRAMS = "name_directions/{name}/figures/fig4_well_against_mis.png"
RANKING = "name_directions/{name}/figures/ranking.png"
WALKS = "walk_corner_cases/{name}/figures/fig7_corner_cases.png"
CURVES = "compute_curves/figures/fig6a_classifiers.png"
SHIFT = "compute_curves/figures/shift.png"
PAIRED = "compute_curves/figures/paired_difference.png"


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
    """All that claims are checked on; metrics: by result folder, such as `rank_dimensions/clean`.

    areas: rows of areas.csv of compute_curves.
    """

    metrics: Mapping[str, Metrics]
    areas: Sequence[Mapping[str, str]]

    def find_distance_curve(self, classifier: str, k: str, centre: str) -> Mapping[str, str] | None:
        """The row of areas.csv of the standardised curve along top dimensions, if it was computed."""
        wanted = {
            "classifier": classifier, "kind": "distance", "scope": "all", "dimensions": "top", "k": k,
            "scaling": "standardised", "centre": centre,
        }  # fmt: skip
        return next((row for row in self.areas if wanted.items() <= row.items()), None)


def list_sources(params: Bars) -> list[tuple[str, str]]:
    """Whose metrics claims are checked on: (stage, classifier), which is empty where a stage has one result for all."""
    named = ("rank_dimensions", "walk_corner_cases", "train_classifiers")
    names = (params.trained_on_clean, params.trained_on_corrupted)
    return [
        *((stage, "") for stage in ("compute_curves", "sample_populations")),
        *((stage, name) for stage in named for name in names),
    ]


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

    figure: where to look at it, below the folder of all results.  evidence: what was measured, by the name of the
    metric.  verdicts: on each part; the claim's follows from all.
    """

    id: str
    claim: str
    source: str
    rule: str
    figure: list[str]
    sources: Sources
    params: Bars
    evidence: dict[str, Estimate] = field(default_factory=dict)
    verdicts: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """holds | fails | not decided."""
        return combine(self.verdicts)

    @property
    def names(self) -> tuple[str, str]:
        """The classifiers that it speaks of: trained on clean and on corrupted images."""
        return self.params.trained_on_clean, self.params.trained_on_corrupted

    @property
    def headline_k(self) -> str:
        """The number of top dimensions of figure 6."""
        return _find_headline(self.sources, self.params)

    def take(self, metric: str) -> Estimate:
        """Read an estimate, `STAGE/CLASSIFIER: key`, and keep it as evidence."""
        folder, _, key = metric.partition(": ")
        self.evidence[metric] = estimate = self.sources.metrics[folder].estimate(key)
        return estimate

    def demand(self, estimate: Estimate, comparison: str, bar: float) -> None:
        """A part of the claim is that the estimate lies beyond the bar."""
        self.verdicts.append(decide(estimate, bar, comparison))

    def subtract(self, name: str, first: Estimate, second: Estimate) -> None:
        """Keep a difference as evidence; a part of the claim is that the first is larger."""
        self.evidence[name] = difference = subtract(first, second)
        self.demand(difference, ">", 0)


Check = Callable[[Claim], None]


def exceed(metric: str, bar: str) -> Check:
    """A metric lies above a bar; `{name}` in it stands for both classifiers, one after the other."""

    def check(claim: Claim) -> None:
        for each in _for_both(claim, metric):
            claim.demand(claim.take(each), ">", getattr(claim.params, bar))

    return check


def differ(larger: str, smaller: str) -> Check:
    """One metric is larger than another; `{name}` in them stands for both classifiers, one after the other."""

    def check(claim: Claim) -> None:
        pairs = list(zip(_for_both(claim, larger), _for_both(claim, smaller), strict=True))
        labels = [f"{name}, difference" for name in claim.names] if len(pairs) > 1 else ["difference"]
        for label, pair in zip(labels, pairs, strict=True):
            claim.subtract(label, *map(claim.take, pair))

    return check


def check_histograms(key: str) -> Check:
    """Top ones: the statistic is above 0. The median: below a bar, and not above what chance gives."""

    def check(claim: Claim) -> None:
        for name in claim.names:
            metrics = claim.sources.metrics[f"rank_dimensions/{name}"]
            margin, well, mis = (metrics.number(f"well_mis_ks.{each}") for each in ("null_95", "n_well", "n_mis"))
            estimate = widen(metrics.number(f"well_mis_ks.raw.{key}"), margin, int(well + mis))
            claim.evidence[f"{metrics.name}: well_mis_ks.raw.{key}"] = estimate
            # A statistic above what chance gives is a difference, however small; below, it may still hide one.
            differs = decide(estimate, 0, ">")
            if key == "median":
                below = decide(estimate, claim.params.negligible_ks, "<")
                differs = below if differs == NOT_DECIDED else negate(differs)
            claim.verdicts.append(differs)

    return check


def check_walks(claim: Claim) -> None:
    """More than a share of the walks arrive; the median shift is told beside it."""
    for name in claim.names:
        metrics = claim.sources.metrics[f"walk_corner_cases/{name}"]
        reached, walks = (int(metrics.number(key)) for key in ("reached", "walks"))
        claim.evidence[f"{metrics.name}: reached / walks"] = share = estimate_share(reached, walks)
        claim.demand(share, ">", claim.params.reached_share)
        claim.take(f"{metrics.name}: median_shift_std")


def check_shape(centre: str, *, everything: bool) -> Check:
    """A curve falls along the top dimensions, or does not along all of them."""

    def check(claim: Claim) -> None:
        k = "all" if everything else claim.headline_k
        for name in claim.names:
            row = claim.sources.find_distance_curve(name, k, centre)
            if row is None:
                claim.verdicts.append(NOT_DECIDED)
                claim.rule += f"; compute_curves.top_k holds no {k}"
                continue
            for column in ("trend_p_value", "rises"):
                claim.evidence[f"compute_curves: {name}, {column}"] = Estimate(_number(row[column]), n=int(row["n"]))
            verdict = falls(_number(row["trend_p_value"]), int(float(row["rises"])), claim.params.significance)
            claim.verdicts.append(negate(verdict) if everything else verdict)

    return check


def falls(p_value: float, rises: int, significance: float) -> str:
    """Holds if the trend falls and no point rises; fails if one does, or if the trend rises; NaN: not decided.

    p_value: one-sided, small where the curve falls.  rises: points beyond the interval of the point before.
    """
    if rises > 0 or p_value > 1 - significance:
        return FAILS
    return HOLDS if p_value < significance else NOT_DECIDED


def check_steepness(claim: Claim) -> None:
    """The area under the curve along the top dimensions is smaller than along all of them."""
    for name in claim.names:
        labels = {"all": "all", claim.headline_k: f"top {claim.headline_k}"}
        rows = [claim.sources.find_distance_curve(name, k, "own_class") for k in labels]
        areas = [_read_area(row) for row in rows if row is not None]
        if len(areas) < len(rows):
            claim.verdicts.append(NOT_DECIDED)
            claim.rule += "; compute_curves.top_k does not hold all"
            continue
        for label, area in zip(labels.values(), areas, strict=True):
            claim.evidence[f"compute_curves: {name}, area, {label}"] = area
        claim.subtract(f"{name}, difference", *areas)


def check_paired(key: str) -> Check:
    """The curve of the classifier that was trained on corrupted images lies above; the pair may be kept either way."""

    def check(claim: Claim) -> None:
        clean, corrupted = claim.names
        pairs = claim.sources.metrics["compute_curves"].content.get("paired", {})
        flipped = f"{corrupted}_minus_{clean}" not in pairs and f"{clean}_minus_{corrupted}" in pairs
        pair = f"{clean}_minus_{corrupted}" if flipped else f"{corrupted}_minus_{clean}"
        claim.demand(claim.take(f"compute_curves: paired.{pair}.{key}"), "<" if flipped else ">", 0)

    return check


# Name, claim, where the paper makes it, rule, figure, check. Texts may hold the bars of `Bars` and k, as `{k}`.
RULES: tuple[tuple[str, str, str, str, str, Check], ...] = (
    ("corrupted_accuracy",
     "Trained on the corrupted set, a classifier is right about {percent:g} % of the corrupted test set.",
     "3.1", "holds if the interval lies above {corrupted_accuracy:g}, fails if below", RELIABILITY,
     exceed("train_classifiers/{corrupted}: corrupted_test_accuracy", "corrupted_accuracy")),
    ("corruption_impact",
     "Corruption significantly lowers the accuracy of a classifier that was trained on clean images.",
     "3.1", f"{DIFFERENCE}: clean test images minus those that are corrupted", RELIABILITY,
     differ("train_classifiers/{clean}: clean_test_accuracy",
            "train_classifiers/{clean}: corrupted_half_test_accuracy")),
    ("corrupted_training",
     "Training on the corrupted set makes a classifier better on the corrupted test set.",
     "3.1", f"{DIFFERENCE}: trained on corrupted minus trained on clean images", RELIABILITY,
     differ("train_classifiers/{corrupted}: corrupted_test_accuracy",
            "train_classifiers/{clean}: corrupted_test_accuracy")),
    *((f"{better}_separates_better_than_{worse}",
       f"{better.upper()} separates well- from misclassified samples better than {worse.upper()}.",
       "2.1.2, figure 3", f"{DIFFERENCE}: areas under the ROC curve of cross-validated probes", SPACES,
       differ(*(f"sample_populations: outcome_separation.{space}" for space in (better, worse))))
      for better, worse in ("sw", "wz")),
    ("top_histograms_differ",
     "Well- and misclassified samples are distributed differently along the top dimensions.", "2.2, figure 4",
     f"holds if the mean Kolmogorov-Smirnov statistic of the top ones lies above 0 with interval ({MARGIN}){EACH}",
     HISTOGRAMS, check_histograms("top")),
    ("random_histograms_agree",
     "Along random dimensions the histograms of well- and misclassified samples show no difference.", "2.2, figure 4",
     ("the median over all dimensions stands for a random one: holds if its interval lies below {negligible_ks:g}, "
     f"fails if it lies above 0 ({MARGIN}){EACH}"),
     HISTOGRAMS, check_histograms("median")),
    ("ranking_is_stable",
     "Gradients averaged over a population rank the style dimensions.", "2.2",
     ("holds if two halves of the population agree on more than a share of {ranking_overlap:g} of the top 10, by the "
      f"whole 95 % interval{EACH}"),
     RANKING, exceed("rank_dimensions/{name}: split_half_top10_overlap", "ranking_overlap")),
    ("ranking_tells_influence",
     "Moved along the top dimensions, samples fail sooner than along random ones.", "2.2, 2.4; control added here",
     f"{DIFFERENCE}: areas under accuracy against shift, random minus top dimensions{EACH}", SHIFT,
     differ("compute_curves: {name}.random_shift_area", "compute_curves: {name}.shift_area")),
    ("top_dimensions_bring_avoidable_failures",
     ("What fails along the top dimensions is the classifier, not the image: more images that the judge still reads "
      "are lost there than along random dimensions."),
     "2.4; judge added here",
     f"{DIFFERENCE}: shares that only the judge reads, averaged over the shift, top minus random dimensions{EACH}",
     SHIFT,
     differ("compute_curves: {name}.shift_avoidable_area", "compute_curves: {name}.random_shift_avoidable_area")),
    ("one_dimension_reaches_half",
     "Moving one top dimension brings the softmax of the true class to 0.50.", "2.3, 3.4, figures 5 and 7",
     ("holds if the share of walks that arrive lies above {reached_share:g} with its interval, fails if "
     f"below{EACH}; the median shift is told beside it"),
     WALKS, check_walks),
    *(each for centre, words in CENTRES.items() for each in (
        (f"monotone_in_top_dimensions_{centre}",
         f"Accuracy falls monotonically with distance in the top {{k}} dimensions, measured from {words}.",
         "2.4, 3.3, figure 6", f"holds if {SHAPE}; fails if a bin rises or p > {{insignificance:g}}{EACH}", CURVES,
         check_shape(centre, everything=False)),
        (f"not_monotone_in_all_dimensions_{centre}",
         f"In all dimensions accuracy does not fall monotonically with distance, measured from {words}.",
         "2.4, 3.3", f"fails if {SHAPE}; holds if a bin rises or p > {{insignificance:g}}{EACH}", CURVES,
         check_shape(centre, everything=True)),
    )),
    ("top_dimensions_are_steeper_than_all",
     "Accuracy falls faster with distance in the top {k} dimensions than in all of them.", "3.3",
     f"{DIFFERENCE}: areas under the curve over its own range, all minus top dimensions, own class's centre{EACH}",
     CURVES, check_steepness),
    ("top_dimensions_are_steeper_than_random",
     "Accuracy falls faster with distance in the top dimensions than in random ones.",
     "2.4, 3.3; control added here", f"{DIFFERENCE}: areas under the curve, random minus top dimensions{EACH}", CURVES,
     differ("compute_curves: {name}.random_area", "compute_curves: {name}.area")),
    *((f"{kind}_curves_compare_classifiers",
       f"Curves of accuracy against {kind} tell classifiers apart: trained on corrupted images, one lies above.",
       "3.3, figure 6a", f"{DIFFERENCE}: area between the curves of the same samples", PAIRED, check_paired(key))
      for kind, key in (("distance", "area"), ("shift", "shift_area"))),
)  # fmt: skip


def check_claims(sources: Sources, params: Bars) -> list[Claim]:
    """All claims in the order of the paper; StageError that names a metric that is not there."""
    bars = ("corrupted_accuracy", "reached_share", "ranking_overlap", "negligible_ks", "significance")
    values: dict[str, object] = {bar: getattr(params, bar) for bar in bars} | {
        "percent": 100 * params.corrupted_accuracy,
        "insignificance": 1 - params.significance,
        "k": _find_headline(sources, params),
    }
    names = (params.trained_on_clean, params.trained_on_corrupted)
    claims = []
    for name, words, source, rule, figure, check in RULES:
        figures = list(dict.fromkeys(figure.format(name=each) for each in names))
        claims.append(Claim(name, words.format(**values), source, rule.format(**values), figures, sources, params))
        check(claims[-1])
    return claims


def count_verdicts(claims: Sequence[Claim], verdicts: Sequence[str]) -> dict[str, int]:
    """How many claims have each verdict."""
    return {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in verdicts}


def tell_multiplicity(claims: int) -> str:
    """What has to be said of many verdicts, each of which is reached by itself."""
    return (
        f"Each of the {claims} verdicts rests on its own 95 % intervals or test; there is no correction for their "
        "number, so that a verdict or two may be due to chance."
    )


def _for_both(claim: Claim, metric: str) -> list[str]:
    """The metric of each classifier where it holds `{name}`, else the one that it is."""
    clean, corrupted = claim.names
    filled = [metric.format(name=name, clean=clean, corrupted=corrupted) for name in claim.names]
    return filled if "{name}" in metric else filled[:1]


def _find_headline(sources: Sources, params: Bars) -> str:
    return f"{sources.metrics['compute_curves'].number(f'{params.trained_on_clean}.headline_k'):g}"


def _read_area(row: Mapping[str, str]) -> Estimate:
    value, low, high = (_number(row[column]) for column in ("area", "area_low", "area_high"))
    return Estimate(value, low, high, int(row["n"]))


def _number(cell: str) -> float:
    return float(cell) if cell else float("nan")
