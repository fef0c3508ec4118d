"""How far each classifier is from failing, how the classifiers compare, and how good generator and judges are."""

import math
from itertools import chain
from pathlib import Path

from failure_atlas.decisions.metrics import Metrics
from stages.common.artefacts.ranking import GLOBAL
from stages.report.failures import measured_by_differences
from stages.report.figures import draw_tables, show_figure
from stages.report.page import Block, Group, PageSection, Picture, Table, Text
from stages.report.results import Results
from stages.report.wording import ROWS, TEXTS, compare, list_metrics, tell_metric

WITHIN_STD = (5, 10, 20)
CURVES, DEGRADATION = "compute_curves", "fig5_degradation"
FIGURES = ("fig6a_classifiers", "paired_difference", "shift", "projection", "fig6b_classes")
SEVERITIES = "severities"  # no figure where all images are of one
GENERATOR_FIGURES = (
    *("fig2_real_above_generated", "extractors", "label_consistency", SEVERITIES, "grey_values"),
    "nearest_training_images",
)


def show_distances(results: Results) -> PageSection:
    """Tables over all classifiers, then figures of each."""
    names, caption = (
        list(results.classifiers),
        "From population samples and class means, along all dimensions together and along few",
    )
    joint = compare(caption, ROWS["joint"], names, results.read_metrics_of)
    blocks: list[Block] = [Text(TEXTS["distance"]), *_tell_walks(results), _tabulate_walks(results), joint]
    groups = [Group(f"Distances of classifier {name}", _draw_distances(results, name)) for name in names]
    return PageSection("distance", "How far it is from failing", blocks, groups, TEXTS["inside_distance"])


def _tabulate_walks(results: Results) -> Table:
    def tell(name: str, far: int) -> str:
        metrics, key = results.read_metrics(f"walk_corner_cases/{name}"), f"reached_within_{far}_std"
        return "no walk went as far" if math.isnan(metrics.number(key)) else tell_metric(metrics, key)

    names, caption = list(results.classifiers), "From the mean style of each class, along single dimensions"
    table = compare(caption, ROWS["walks"], names, results.read_metrics_of)
    words = "share of walks that reach 0.50 within {} std"
    rows = [[words.format(far), *(tell(name, far) for name in names)] for far in WITHIN_STD]
    return Table(table.caption, table.columns, [*rows, *table.rows])


def _draw_distances(results: Results, name: str) -> list[Picture]:
    walked, robust = f"walk_corner_cases/{name}", f"measure_robustness/{name}"
    shown = [show_figure(results, f"find_failures/{name}", "distance", name)]
    shown += [show_figure(results, robust, stem, name) for stem in ("robustness", "joint_walks")]
    shown.append(show_figure(results, walked, "fig7_corner_cases", name))
    for file in results.find(f"{walked}/figures", f"{DEGRADATION}_class*.png"):
        of = f"{name}, class index {Path(file).stem.removeprefix(f'{DEGRADATION}_class')}"
        shown.append(show_figure(results, walked, Path(file).stem, of, DEGRADATION))
    return shown


def _tell_walks(results: Results) -> list[Text]:
    """What joint walks moved, where not all dimensions."""
    found = {name: results.read_metrics(f"measure_robustness/{name}") for name in results.classifiers}
    return [
        Text(TEXTS["walked_without_gradients"].format(name=name, dimensions=metrics.number("slope_dimensions")))
        for name, metrics in found.items()
        if metrics.content.get("slope") is not None
    ]


def show_comparison(results: Results) -> PageSection:
    """Areas, differences on the same samples, the curves, then the rankings against other methods."""
    pairs = _list_pairs(results.read_metrics(CURVES))
    areas = compare("Areas under the curves", ROWS["areas"], list(results.classifiers), results.read_part)
    figures = [show_figure(results, CURVES, stem) for stem in FIGURES]
    groups = [
        Group(f"Is the ranking any good? Classifier {name}", _compare_rankings(results, name))
        for name in results.classifiers
    ]
    blocks: list[Block] = [Text(TEXTS["comparison"]), areas, pairs, *figures]
    return PageSection("comparison", "How the classifiers compare", blocks, groups, TEXTS["inside_comparison"])


def _list_pairs(metrics: Metrics) -> Table:
    keys = ("area", "shift_area", "corrupted_test_accuracy")
    rows = [
        [pair.replace("_minus_", " minus "), *(tell_metric(metrics, f"paired.{pair}.{key}") for key in keys)]
        for pair in sorted(metrics.content.get("paired", {}))
    ]
    caption = "Area between the curves of the same samples; an interval above 0 says that the first one is better"
    columns = ["classifiers", "against distance", "against shift", "accuracy on the real corrupted test images"]
    return Table(caption, columns, rows)


def _tell_basis(results: Results, name: str) -> list[Block]:
    """What the rankings rest on: the effective n of each, and how far halves of the population agree."""
    metrics = results.read_metrics(f"rank_dimensions/{name}")
    ends = {end: metrics.number(f"split_half_top10_overlap_range.{end}") for end in ("smallest", "largest")}
    halvings = int(metrics.number("split_half_top10_overlap_range.halvings"))
    told = TEXTS["basis"].format(mean=metrics.number("split_half_top10_overlap"), halvings=halvings, **ends)
    scopes = sorted(metrics.content["effective_n"], key=lambda scope: scope != GLOBAL)
    rows = [[scope, tell_metric(metrics, f"effective_n.{scope}")] for scope in scopes]
    return [Text(told), Table(f"What each ranking rests on: {name}", ["ranking", "effective n"], rows)]


def _compare_rankings(results: Results, name: str) -> list[Block]:
    """The best gradient score against AttFind, where AttFind is ahead, and all rankings on the same samples."""
    place = f"compare_rankings/{name}"
    metrics = results.read_metrics(place)
    blocks: list[Block] = []
    if measured_by_differences(metrics):
        samples, step = metrics.number("score_samples"), metrics.number("score_step_std")
        blocks.append(Text(TEXTS["compared_without_gradients"].format(samples=samples, step=step)))
    leads = ", ".join(f"{lead['k']} by {lead['shift_std']:g} std" for lead in metrics.content["attfind_leads"])
    told = TEXTS["attfind"].format(
        cheap=metrics.number("best_gradient_forward_passes"),
        full=metrics.number("attfind_forward_passes"),
        margin=metrics.number("attfind_margin"),
        verdict=metrics.content["best_gradient_no_worse_than_attfind"],
        difference=tell_metric(metrics, "best_gradient_minus_attfind_accuracy"),
        leads=leads or "none",
    )
    blocks += _tell_basis(results, name)
    figure = show_figure(results, place, "comparison", name)
    return [*blocks, Text(told), figure]


def show_quality(results: Results, out: Path) -> PageSection:
    """Generator, judges, then the classifiers on real images; out: the folder of drawn figures."""
    names = list(results.classifiers)
    generator: list[Block] = [
        list_metrics("The generator against real images", "generator", results.read_metrics),
        *(
            show_figure(results, "qualify_generator", stem)
            for stem in GENERATOR_FIGURES
            if stem != SEVERITIES or results.has(f"qualify_generator/figures/{stem}.png")
        ),
    ]
    caption = "Judge and auditor on real test images; the auditor is asked by no search"
    judges: list[Block] = [
        compare(caption, ROWS["judges"], ("judge", "auditor"), results.read_part),
        list_metrics("Together", "together", results.read_metrics),
        *draw_tables(results, "train_judges", out),
    ]
    under_test = [compare("Calibration", ROWS["calibration"], names, results.read_metrics_of)]
    drawn = [draw_tables(results, f"{stage}/{name}", out, name) for name, stage in results.classifiers.items()]
    groups = [
        Group("Generator", generator),
        Group("Judge and auditor", judges),
        Group("The classifiers on real images", [*under_test, *chain(*drawn)]),
    ]
    title = "How good the generator and the judges are"
    return PageSection("quality", title, [Text(TEXTS["quality"])], groups, TEXTS["inside_quality"])
