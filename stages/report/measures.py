"""How far each classifier is from failing, how the classifiers compare, and how good generator and judges are."""

import math
from pathlib import Path

import numpy as np

from failure_atlas.decisions.metrics import Metrics
from failure_atlas.statistics.estimates import Estimate, proportion
from stages.report.failures import measured_by_differences
from stages.report.figures import draw_tables, show_figure
from stages.report.page import Block, Group, PageSection, Picture, Table, Text
from stages.report.results import Results
from stages.report.wording import ROWS, TEXTS, compare, list_metrics, tell_estimate, tell_metric

WITHIN = ("reached_within_5_std", "reached_within_10_std", "reached_within_20_std")
CURVES = "compute_curves"
FIGURES = ("fig6a_classifiers", "paired_difference", "shift", "projection", "fig6b_classes")
RANKING_COLUMNS = ["method", "budget", "n", "forward_passes", "accuracy", "accuracy_low", "accuracy_high"]
RANKING_COLUMNS += ["probability", "probability_low", "probability_high"]
GENERATOR_FIGURES = (
    *("fig2_real_above_generated", "label_consistency", "severities", "nearest_training_images"),
    *("sample_sheet", "training_log"),
)


def show_distances(results: Results) -> PageSection:
    """Tables over all classifiers, then figures of each."""
    text = Text(TEXTS["distance"])
    joint = compare(
        "From population samples and class means, along all dimensions together and along few",
        ROWS["joint"],
        list(results.classifiers),
        results.read_metrics_of,
    )
    groups = [Group(f"Distances of classifier {name}", _draw_distances(results, name)) for name in results.classifiers]
    return PageSection(
        "distance", "How far it is from failing", [text, *_tell_walks(results), _tabulate_walks(results), joint], groups
    )


def _tabulate_walks(results: Results) -> Table:
    names = list(results.classifiers)
    table = compare(
        "From the mean style of each class, along single dimensions", ROWS["walks"], names, results.read_metrics_of
    )
    rows: list[list[str]] = []
    for key in WITHIN:
        row = [f"share of walks that reach 0.50 within {key.split('_')[2]} std"]
        for name in names:
            metrics = results.read_metrics(f"walk_corner_cases/{name}")
            # The stage keeps this share as a plain number; its interval follows from the count.
            share, walks = metrics.number(key), int(metrics.number("walks"))
            if math.isnan(share):
                row.append("no walk went as far")
                continue
            reached = round(share * walks)
            row.append(tell_estimate(Estimate(**proportion(np.arange(walks) < reached))))
        rows.append(row)
    return Table(table.caption, table.columns, [*rows, *table.rows])


def _draw_distances(results: Results, name: str) -> list[Picture]:
    walked, robust = f"walk_corner_cases/{name}", f"measure_robustness/{name}"
    shown = [
        show_figure(results, robust, "robustness", name),
        show_figure(results, robust, "joint_walks", name),
        show_figure(results, walked, "fig7_corner_cases", name),
    ]
    for file in results.find(f"{walked}/figures", "fig5_degradation_class*.png"):
        stem = file.rsplit("/", 1)[1].removesuffix(".png")
        index = stem.removeprefix("fig5_degradation_class")
        shown.append(show_figure(results, walked, stem, f"{name}, class index {index}", "fig5_degradation"))
    return shown


def _tell_walks(results: Results) -> list[Text]:
    """What joint walks moved, where not all dimensions."""
    texts = []
    for name in results.classifiers:
        metrics = results.read_metrics(f"measure_robustness/{name}")
        if metrics.content.get("slope") is None:
            continue
        texts.append(
            Text(
                f"Classifier {name} gives no gradients: its joint walks and smallest sets follow central differences "
                "of the log-odds, along all dimensions at the start and, at every later step, along its "
                f"{metrics.number('slope_dimensions'):g} steepest ones only. How the slope along the others changes on "
                "the way was not measured, so that its distances are rather too long than too short beside those of "
                "a classifier whose gradients are known."
            )
        )
    return texts


def show_comparison(results: Results) -> PageSection:
    """Areas, differences on the same samples, the curves, then the rankings against other methods."""
    metrics = results.read_metrics(CURVES)
    text = Text(TEXTS["comparison"])
    areas = compare("Areas under the curves", ROWS["areas"], list(results.classifiers), results.read_part)
    blocks: list[Block] = [text, areas, _list_pairs(metrics), *(show_figure(results, CURVES, stem) for stem in FIGURES)]
    groups = [
        Group(
            f"Is the ranking any good? Classifier {name}",
            [
                *_tell_comparison(results, name),
                _tell_attfind(results, name),
                _list_rankings(results, name),
                show_figure(results, f"compare_rankings/{name}", "comparison", name),
                show_figure(results, f"compare_rankings/{name}", "influence", name),
            ],
        )
        for name in results.classifiers
    ]
    return PageSection("comparison", "How the classifiers compare", blocks, groups)


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
        results.offer(f"{place}/comparison.csv"),
    )


def _tell_comparison(results: Results, name: str) -> list[Text]:
    """What the gradient scores in the comparison of rankings are, where they are no gradients."""
    metrics = results.read_metrics(f"compare_rankings/{name}")
    if not measured_by_differences(metrics):
        return []
    return [
        Text(
            "This classifier gives no gradients: all gradient scores below are means of central differences on "
            f"{metrics.number('score_samples'):,.0f} samples, {metrics.number('score_step_std'):g} std to each side. "
            "Scores at a fiftieth of AttFind's cost are not measured: the differences of one sample cost as much as "
            "AttFind's trials on one."
        )
    ]


def show_quality(results: Results, out: Path) -> PageSection:
    """Generator, judges, then the classifiers on real images; out: the folder of drawn figures."""
    qualified, judges, populations = "qualify_generator", "train_judges", "sample_populations"
    generator = Group(
        "Generator",
        [
            list_metrics("The generator against real images", "generator", results.read_metrics),
            *(show_figure(results, qualified, stem) for stem in GENERATOR_FIGURES),
            show_figure(results, populations, "fig3_spaces"),
        ],
    )
    examined = Group(
        "Judge and auditor",
        [
            compare(
                "Judge and auditor on real test images; the auditor is asked by no search",
                ROWS["judges"],
                ("judge", "auditor"),
                results.read_part,
            ),
            list_metrics("Together", "together", results.read_metrics),
            *draw_tables(results, judges, out),
        ],
    )
    under_test = Group(
        "The classifiers on real images",
        [
            compare("Calibration", ROWS["calibration"], list(results.classifiers), results.read_metrics_of),
            *(
                picture
                for name, stage in results.classifiers.items()
                for picture in draw_tables(results, f"{stage}/{name}", out, name)
            ),
        ],
    )
    text = Text(TEXTS["quality"])
    return PageSection(
        "quality", "How good the generator and the judges are", [text], [generator, examined, under_test]
    )
