"""How far each classifier is from failing: walks, joint walks, medians."""

import math
from collections.abc import Sequence

import numpy as np

from failure_atlas.decisions.estimates import Estimate
from failure_atlas.statistics.intervals import proportion
from stages.report.black_box import tell_walks
from stages.report.blocks import Group, PageSection, Picture, Table, Text
from stages.report.pictures import show_figure
from stages.report.results import Results
from stages.report.wording import compare, tell_estimate

WALKS = (
    ("median shift to 0.50 of all walks, in std", "walk_corner_cases", "median_shift_std"),
    ("share of walks that end in a true failure", "walk_corner_cases", "true_failure_walks"),
)
WITHIN = ("reached_within_5_std", "reached_within_10_std", "reached_within_20_std")
JOINT = (
    ("population samples that are wrong at the start", "misclassified_at_start", "population"),
    ("failed within 1 std, all dimensions together", "failed_within_1_std", "population"),
    ("failed within 2 std", "failed_within_2_std", "population"),
    ("failed within 3 std", "failed_within_3_std", "population"),
    ("median straight distance to failure, in std", "median_distance_std", "population"),
    ("well-classified samples: median along all dimensions together, in std", "joint.median_std", "from_samples"),
    ("the same along the best single dimension", "single.median_std", "from_samples"),
    ("the same along the top dimension", "top.median_std", "from_samples"),
    ("the same within a smallest set of dimensions, straight distance", "set.median_std", "from_samples"),
    ("median size of that set", "set.median_size", "from_samples"),
    ("joint walks: images at 0.50 that the judge still reads as their class", "joint.label_kept_share", "from_samples"),
    ("the same at 0.50 along the best single dimension", "single.label_kept_share", "from_samples"),
    ("joint walks gone on for 1 std: images that the classifier gets wrong", "beyond.misclassified", "from_samples"),
    ("joint walks gone on for 1 std: true failures", "beyond.true_failure_share", "from_samples"),
    ("class means: median along all dimensions together, in std", "joint.median_std", "from_means"),
    ("the same along the best single dimension", "single.median_std", "from_means"),
    ("the same within a smallest set of dimensions", "set.median_std", "from_means"),
)


def show_distances(results: Results, names: Sequence[str]) -> PageSection:
    """Tables over all classifiers, then figures of each."""
    text = Text(
        "Distances are in standard deviations of a style dimension over the generated population. A walk goes along "
        "one dimension, or along all of them together, until the softmax of the true class is 0.50. A walk that does "
        "not arrive is counted as farther than the farthest shift tried, not left out: medians and their intervals "
        "allow for it. At 0.50 the classifier mostly still sees the class: what a walk leads to is told 1 std farther."
    )
    joint = compare(
        "From population samples and class means, along all dimensions together and along few",
        [(words, "measure_robustness", f"{scope}.{key}") for words, key, scope in JOINT],
        names,
        lambda stage, name: results.read_metrics(f"{stage}/{name}"),
    )
    groups = [Group(f"Distances of classifier {name}", _draw(results, name)) for name in names]
    return PageSection(
        "distance",
        "How far it is from failing",
        [text, *tell_walks(results, names), _tabulate_walks(results, names), joint],
        groups,
    )


def _tabulate_walks(results: Results, names: Sequence[str]) -> Table:
    table = compare(
        "From the mean style of each class, along single dimensions",
        WALKS,
        names,
        lambda stage, name: results.read_metrics(f"{stage}/{name}"),
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


def _draw(results: Results, name: str) -> list[Picture]:
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
