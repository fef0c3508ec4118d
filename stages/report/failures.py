"""What each classifier fails on: influential directions with names, verdicts on failures, true failures."""

from functools import partial
from typing import Any

import pandas as pd

from failure_atlas.decisions.metrics import Metrics
from failure_atlas.statistics.estimates import Estimate, Z
from stages.common.artefacts.names import Names, read_names
from stages.common.artefacts.ranking import GLOBAL, read_ranking
from stages.report.figures import show_figure
from stages.report.page import Block, Group, PageSection, Table, Text
from stages.report.real import show_real
from stages.report.results import MADE, Results
from stages.report.wording import (
    ROWS,
    TEXTS,
    TIED,
    UNKNOWN,
    compare,
    name_bounds,
    tell_estimate,
    tell_metric,
    tell_number,
    tell_row,
)

TOP, PER_CLASS, SHOWN_FAILURES = 10, 3, 12
READS = "reads as, per std"
SEEN = "mnist_test"  # metric of a brought classifier: null where MNIST's own test images were not at hand
VERDICT_KEYS = {
    "true_failure_share": "true failure",
    "readable_true_failure_share": "true failure that people are expected to read",
    "unreadable_true_failure_share": "true failure that they are not",
    "label_changed_share": "label changed",
    "unreadable_share": "unreadable, to the judge",
    "still_right_share": "still right",
}
SHARES = {
    "auditor_sure_share": "the auditor is sure of",
    "far_share": "farther from real images than nearly all of these",
    "readable_share": "people are expected to read",
}
METHODS = {
    "walk_in_w": "walk in W",
    "sampling_and_chains": "sampling and chains",
    "plain_sampling": "plain sampling",
    "single_dimensions_of_s": "single dimensions of S",
    "all_dimensions_of_s": "all dimensions of S together",
    "mean_direction_in_w": "mean direction of the class in W",
}
METHOD_COLUMNS = (
    *("method", "tried", *name_bounds("start_share", *SHARES)),
    *("distinct_per_cpu_second", "median_distance_std"),
)
FLAGS = ("auditor_confirms", "auditor_agrees", "readable", "far_out")
FAILURE_COLUMNS = (
    *("class", "predicted_class", "classifier_probability", "judge_probability"),
    *("dimension", "direction", "shift_std", *FLAGS),
)
SOURCES = {
    "all claimed failures of population and walks": "",
    "population samples that the classifier gets wrong": "population.",
    "corner cases of walks, at a softmax of 0.50": "corner_cases.",
    "real test images that the classifier gets wrong": "real_images.",
}


def show_failures(results: Results) -> PageSection:
    """What is at a glance of all classifiers, then two groups for each."""
    overview = compare("At a glance", ROWS["overview"], list(results.classifiers), results.read_metrics_of)
    blocks = [Text(TEXTS["failures"]), overview, *_tell_seen(results)]
    groups = [group for name in results.classifiers for group in _show_one(results, name)]
    return PageSection("failures", "What each classifier fails on", blocks, groups)


def _tell_seen(results: Results) -> list[Block]:
    """On mnist-5k, of classifiers made elsewhere: that they may know its test images, and what MNIST's own say."""
    find = results.read_metrics_of
    brought = [name for name in results.classifiers if SEEN in find(MADE, name).content]
    if not brought:
        return []
    measured = [name for name in brought if find(MADE, name).content[SEEN]]
    text = TEXTS["seen"].format(brought=", ".join(brought))
    if not measured:
        return [Text(f"{text}It was not measured on MNIST's own test images.")]
    own = compare("On images none has seen", ROWS[SEEN], measured, find)
    return [Text(f"{text}MNIST's own test images say more."), own]


def _show_one(results: Results, name: str) -> list[Group]:
    ranked, judged, walked = f"rank_dimensions/{name}", f"judge_failures/{name}", f"walk_corner_cases/{name}"
    named = f"name_directions/{name}"
    ranking = read_ranking(results.locate(f"{ranked}/ranking.csv").parent)
    words = read_names(results.locate(f"{named}/directions.csv").parent)
    shapeless = f"shapeless_{results.read_metrics('measure_attributes').content.get('shape_words')}"
    blocks: list[Block] = [
        *_show_search(results, name),
        *_tell_ranking(results, name),
        *([Text(TEXTS[shapeless])] if shapeless in TEXTS else []),
        _list_directions(results, name, ranking, words),
        show_figure(results, named, "directions", name),
        _list_classes(results, ranked, ranking, words),
        _list_verdicts(results, judged),
        show_figure(results, judged, "contact_sheet", name),
        _list_true_failures(results, judged, words),
    ]
    more = [show_figure(results, judged, "verdicts", name)]
    if results.has(f"{walked}/figures/true_failures.png"):  # a run may have found none
        more.append(show_figure(results, walked, "true_failures", name))
    more += [show_figure(results, named, stem, name) for stem in ("ranking", "fig4_well_against_mis")]
    return [
        Group(f"Classifier {name}", blocks, folded=False),
        Group(f"Classifier {name} on real images", show_real(results, name), folded=False),
        Group(f"Further figures of classifier {name}", more),
    ]


def _show_search(results: Results, name: str) -> list[Block]:
    """The failures inside the population, and the methods side by side."""
    found = f"find_failures/{name}"
    settings = results.read_metrics(found)
    told = {"confidence": settings.number("confidence"), "inside": settings.number("inside_share")}
    blocks: list[Block] = [Text(TEXTS["search"].format(name=name, **told))]
    if results.has(f"{found}/figures/failures.png"):  # a run may have found none
        blocks.append(show_figure(results, found, "failures", name))
    return [*blocks, _list_methods(results, found, name)]


def _list_methods(results: Results, found: str, name: str) -> Table:
    file = f"{found}/methods.csv"
    rows = []
    for row in results.read_table(file, METHOD_COLUMNS).to_dict("records"):
        failures = round(row["start_share"] * row["tried"]) if row["tried"] else 0
        shares = [tell_row(row, "start_share", int(row["tried"]))]
        shares += [tell_row(row, share, failures) if failures else UNKNOWN for share in SHARES]
        rate, far = (tell_number(float(row[key])) for key in ("distinct_per_cpu_second", "median_distance_std"))
        rows.append([METHODS.get(str(row["method"]), str(row["method"])), *shares, rate, far])
    columns = ["method", "tries that end in a true failure", *SHARES.values(), "distinct and sure a CPU second"]
    return Table(
        f"The search and what people would take instead: {name}", [*columns, "median distance in std"], rows,
        results.offer(file),
    )  # fmt: skip


def measured_by_differences(metrics: Metrics) -> bool:
    """Whether scores are differences; metrics of gradients do not say what they are."""
    return metrics.content.get("score") is not None


def _tell_ranking(results: Results, name: str) -> list[Text]:
    """How its dimensions were ranked, where not by gradients."""
    metrics = results.read_metrics(f"rank_dimensions/{name}")
    if not measured_by_differences(metrics):
        return []
    why = "although" if metrics.content.get("classifier_gives_gradients", False) else "black_box"
    step, scored, samples, passes = map(
        metrics.number, ("score_step_std", "score_samples", "samples", "score_forward_passes")
    )
    reason = TEXTS[f"ranked_{why}"]
    return [Text(TEXTS["ranked"].format(reason=reason, step=step, scored=scored, samples=samples, passes=passes))]


def _list_directions(results: Results, name: str, ranking: pd.DataFrame, words: Names) -> Table:
    metrics = results.read_metrics(f"rank_dimensions/{name}")
    by_differences = measured_by_differences(metrics)
    score = "central difference" if by_differences else "gradient"
    samples = int(metrics.number("score_samples" if by_differences else "samples"))
    file = f"compare_rankings/{name}/influence.csv"
    influence = results.read_table(file, ["dimension", "influential", "q_value"]).set_index("dimension")
    levels = _read_levels(results, name)
    rows = []
    for row in ranking[ranking["scope"] == GLOBAL].head(TOP).to_dict("records"):
        dimension, direction = int(row["dimension"]), int(row["direction"])
        value, half = row["score"], Z * row["standard_error"]
        judged: Any = influence.loc[dimension]
        told = words.look_up(GLOBAL, dimension, direction)
        place = [str(row["rank"]), f"{dimension} ({row['layer']})", _tell_direction(direction), told]
        mean = tell_estimate(Estimate(value, value - half, value + half, samples))
        yes = f"{'yes' if judged['influential'] else 'no'} (q = {tell_number(float(judged['q_value']))})"
        rows.append([*place, levels.get((dimension, direction), ""), mean, yes])
    columns = ["rank", "dimension (layer)", "fails when it", "what that does to the image", READS]
    columns += [f"mean {score} of the score", "influential on other samples"]
    caption = f"Most influential style dimensions over all classes: {name}"
    return Table(caption, columns, rows, results.offer(file), wide=(READS,))


def _read_levels(results: Results, name: str) -> dict[tuple[int, int], str]:
    """The noise and the blur that real images would need to change as much, by dimension and direction."""
    columns = {"noise_sigma_per_std": ("noise sigma", ""), "blur_sigma_per_std": ("blur sigma", " px")}
    needed = ["scope", "dimension", "direction", *name_bounds(*columns)]
    table = results.read_table(f"name_directions/{name}/directions.csv", needed)
    levels = {}
    for row in table[table["scope"] == GLOBAL].to_dict("records"):
        # An interval around 0 reads as nothing.
        told = [
            f"{words}{TIED}{row[column]:+.3f}{unit} [{row[f'{column}_low']:+.3f},{TIED}{row[f'{column}_high']:+.3f}]"
            for column, (words, unit) in columns.items()
            if row[f"{column}_low"] > 0 or row[f"{column}_high"] < 0
        ]
        levels[int(row["dimension"]), int(row["direction"])] = "; ".join(told) or "neither noise nor blur"
    return levels


def _list_classes(results: Results, ranked: str, ranking: pd.DataFrame, words: Names) -> Table:
    file = f"{ranked}/classes.csv"
    rows = []
    for row in results.read_table(file, ["class", "samples", *name_bounds("accuracy")]).to_dict("records"):
        label = str(row["class"])
        own = ranking[ranking["scope"] == label].head(PER_CLASS)
        moves = map(partial(_tell_move, words, label), own["dimension"], own["direction"])
        rows.append([label, tell_row(row, "accuracy", int(row["samples"])), *moves])
    ranks = [f"direction {rank}" for rank in range(1, PER_CLASS + 1)]
    caption = "Each class: accuracy on generated images and the directions in which it fails first"
    return Table(caption, ["class", "accuracy", *ranks], rows, results.offer(file))


def _list_verdicts(results: Results, judged: str) -> Table:
    metrics = results.read_metrics(judged)
    classes = sorted(metrics.content.get("per_class", {}))
    places = SOURCES | {f"class {label}": f"per_class.{label}." for label in classes}
    rows = [[words, *(tell_metric(metrics, prefix + key) for key in VERDICT_KEYS)] for words, prefix in places.items()]
    caption = f"The verdicts, at a confidence of the judge of {metrics.number('confidence'):g}"
    return Table(caption, ["source", *VERDICT_KEYS.values()], rows)


def _list_true_failures(results: Results, judged: str, words: Names) -> Table:
    file = f"{judged}/true_failures.csv"
    table = results.read_table(file, FAILURE_COLUMNS)
    table = table[table["dimension"].notna()]
    rows = []
    for row in table.sort_values("shift_std", kind="stable").head(SHOWN_FAILURES).to_dict("records"):
        what = f"{row['class']} taken for {row['predicted_class']}", tell_number(row["shift_std"])
        move = _tell_move(words, row["class"], int(row["dimension"]), int(row["direction"]))
        said = (tell_number(row[f"{who}_probability"]) for who in ("classifier", "judge"))
        flags = ("yes" if row[flag] else "no" for flag in FLAGS)
        rows.append([*what, move, *said, *flags])
    return Table(
        f"True failures found on walks from class means, nearest first ({len(rows)} of {len(table)})",
        ["class", "shift in std", "direction", "classifier's softmax of the class", "judge's probability of it",
         "auditor confirms: it is sure", "auditor agrees: its first choice", "people are expected to read it",
         "farther from real images than nearly all of these"],
        rows,
        results.offer(file)
    )  # fmt: skip


def _tell_move(words: Names, scope: str, dimension: int, direction: int) -> str:
    return f"{dimension} {_tell_direction(direction)}: {words.look_up(scope, dimension, direction)}"


def _tell_direction(direction: int) -> str:
    return {1: "rises", -1: "falls"}.get(direction, "stays")
