"""How the classifiers compare: curves, paired differences, rankings."""

from collections.abc import Sequence

from failure_atlas.decisions.metrics import Metrics
from failure_atlas.statistics.estimates import Estimate
from stages.report.black_box import tell_comparison
from stages.report.blocks import Block, Group, PageSection, Table, Text
from stages.report.pictures import offer, show_figure
from stages.report.results import Results
from stages.report.wording import compare, tell_estimate, tell_metric

CURVES = "compute_curves"
FIGURES = ("fig6a_classifiers", "paired_difference", "shift", "projection", "fig6b_classes")
AREAS = (
    ("accuracy on the population", "accuracy"),
    ("the judge's accuracy on it, a ceiling", "ceiling"),
    ("share that the classifier gets wrong and the judge right", "avoidable_share"),
    ("area under accuracy against distance, top dimensions", "area"),
    ("the same, random dimensions", "random_area"),
    ("area under accuracy against shift, top dimensions", "shift_area"),
    ("the same, random dimensions", "random_shift_area"),
    ("area under accuracy against projection, top dimensions", "projection_area"),
    ("avoidable part of the area against distance", "avoidable_area"),
    ("avoidable part of the area against shift", "shift_avoidable_area"),
)
RANKING_COLUMNS = ["method", "budget", "n", "forward_passes", "accuracy", "accuracy_low", "accuracy_high"]
RANKING_COLUMNS += ["probability", "probability_low", "probability_high"]


def show_comparison(results: Results, names: Sequence[str]) -> PageSection:
    """Areas, differences on the same samples, the curves, then the rankings against other methods."""
    metrics = results.read_metrics(CURVES)
    text = Text(
        "Curves are judged by the area under them, scaled to lie between 0 and 1. Both classifiers see the same "
        "generated samples, so that differences are paired: they are the classifiers' and not the sample's. The "
        "dotted ceiling is the judge on the same images: accuracy below it could have been had."
    )
    areas = compare(
        "Areas under the curves",
        [(words, CURVES, key) for words, key in AREAS],
        names,
        lambda _, name: _scope(metrics, name),
    )
    blocks: list[Block] = [text, areas, _list_pairs(metrics), *(show_figure(results, CURVES, stem) for stem in FIGURES)]
    groups = [
        Group(
            f"Is the ranking any good? Classifier {name}",
            [
                *tell_comparison(results, name),
                _tell_attfind(results, name),
                _list_rankings(results, name),
                show_figure(results, f"compare_rankings/{name}", "comparison", name),
                show_figure(results, f"compare_rankings/{name}", "influence", name),
            ],
        )
        for name in names
    ]
    return PageSection("comparison", "How the classifiers compare", blocks, groups)


def _scope(metrics: Metrics, name: str) -> Metrics:
    """The part of the metrics that is about one classifier."""
    return Metrics(f"{metrics.name}: {name}", metrics.content.get(name, {}), metrics.path, metrics.stage)


def _list_pairs(metrics: Metrics) -> Table:
    rows = [
        [
            pair.replace("_minus_", " minus "),
            *(tell_metric(metrics, f"paired.{pair}.{key}") for key in ("area", "shift_area")),
        ]
        for pair in sorted(metrics.content.get("paired", {}))
    ]
    caption = "Area between the curves of the same samples; an interval above 0 says that the first one is better"
    return Table(caption, ["classifiers", "against distance", "against shift"], rows)


def _tell_attfind(results: Results, name: str) -> Text:
    """The verdict on the best gradient score against AttFind, and where AttFind is ahead."""
    metrics = results.read_metrics(f"compare_rankings/{name}")
    margin, cheap, full = (
        metrics.number(key) for key in ("attfind_margin", "best_gradient_forward_passes", "attfind_forward_passes")
    )
    leads = ", ".join(f"{lead['k']} by {lead['shift_std']:g} std" for lead in metrics.content["attfind_leads"])
    return Text(
        f"That the best gradient score, at {cheap:,.0f} forward passes, is no worse than AttFind at {full:,.0f}, with "
        f"a margin of {margin:g} in accuracy: {metrics.content['best_gradient_no_worse_than_attfind']} (difference in "
        f"accuracy {tell_metric(metrics, 'best_gradient_minus_attfind_accuracy')}; below 0 the gradient score finds "
        f"more). Moves in which AttFind finds more than every gradient score does: {leads or 'none'}."
    )


def _list_rankings(results: Results, name: str) -> Table:
    place = f"compare_rankings/{name}"
    metrics = results.read_metrics(place)
    table = results.read_table(f"{place}/comparison.csv", RANKING_COLUMNS)
    rows = [["not moved", "", tell_metric(metrics, "unmoved_accuracy"), tell_metric(metrics, "unmoved_probability")]]
    for row in table.sort_values("probability", kind="stable").to_dict("records"):
        budget = "" if row["budget"] == "full" else f" ({row['budget']} of the samples)"
        estimates = [
            Estimate(row[key], row[f"{key}_low"], row[f"{key}_high"], int(row["n"]))
            for key in ("accuracy", "probability")
        ]
        rows.append([f"{row['method']}{budget}", f"{row['forward_passes']:,}", *map(tell_estimate, estimates)])
    return Table(
        f"Held-out samples after a move along each ranking's first directions: {name}; lower is a better ranking",
        ["ranking", "forward passes", "accuracy", "softmax of the true class"],
        rows,
        offer(results, f"{place}/comparison.csv"),
    )
