"""The failures of each classifier: those found, the verdicts on them, and influential directions with their names."""

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
    compare,
    name_bounds,
    tell_estimate,
    tell_metric,
    tell_number,
)

TOP = 10
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
    return PageSection("failures", "The failures: found, judged, named", blocks, groups, TEXTS["inside_failures"])


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
    judged, named = f"judge_failures/{name}", f"name_directions/{name}"
    ranking = read_ranking(results.locate(f"rank_dimensions/{name}/ranking.csv").parent)
    words = read_names(results.locate(f"{named}/directions.csv").parent)
    shapeless = f"shapeless_{results.read_metrics(named).content.get('shape_words')}"
    blocks: list[Block] = [
        *_show_search(results, name),
        *_tell_ranking(results, name),
        *([Text(TEXTS[shapeless])] if shapeless in TEXTS else []),
        _list_directions(results, name, ranking, words),
        show_figure(results, named, "directions", name),
        _list_verdicts(results, judged),
        show_figure(results, judged, "contact_sheet", name),
    ]
    more = [show_figure(results, judged, "verdicts", name)]
    more += [show_figure(results, named, stem, name) for stem in ("ranking", "fig4_well_against_mis")]
    return [
        Group(f"Classifier {name}", blocks),
        Group(f"Classifier {name} on real images", show_real(results, name)),
        Group(f"Further figures of classifier {name}", more),
    ]


def _show_search(results: Results, name: str) -> list[Block]:
    """The failures inside the population."""
    found = f"find_failures/{name}"
    settings = results.read_metrics(found)
    told = {"confidence": settings.number("confidence"), "inside": settings.number("inside_share")}
    blocks: list[Block] = [Text(TEXTS["search"].format(name=name, **told))]
    if results.has(f"{found}/figures/failures.png"):  # a run may have found none
        blocks.append(show_figure(results, found, "failures", name))
    return blocks


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


def _list_verdicts(results: Results, judged: str) -> Table:
    metrics = results.read_metrics(judged)
    classes = sorted(metrics.content.get("per_class", {}))
    places = SOURCES | {f"class {label}": f"per_class.{label}." for label in classes}
    rows = [[words, *(tell_metric(metrics, prefix + key) for key in VERDICT_KEYS)] for words, prefix in places.items()]
    caption = f"The verdicts, at a confidence of the judge of {metrics.number('confidence'):g}"
    return Table(caption, ["source", *VERDICT_KEYS.values()], rows)


def _tell_direction(direction: int) -> str:
    return {1: "rises", -1: "falls"}.get(direction, "stays")
