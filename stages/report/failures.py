"""What each classifier fails on: influential directions with names, verdicts on failures, true failures."""

import pandas as pd

from failure_atlas.decisions.metrics import Metrics
from failure_atlas.statistics.estimates import Estimate, Z
from stages.common.artefacts.names import Names, read_names
from stages.common.artefacts.ranking import GLOBAL, read_ranking
from stages.report.figures import show_figure
from stages.report.page import Block, Group, PageSection, Table, Text
from stages.report.results import MADE, Results
from stages.report.wording import ROWS, TEXTS, compare, tell_estimate, tell_metric, tell_number

TOP, PER_CLASS, SHOWN_FAILURES = 10, 3, 12
SEEN = "mnist_test"  # metric of a brought classifier: null where MNIST's own test images were not at hand
VERDICT_KEYS = ("true_failure_share", "label_changed_share", "unreadable_share", "still_right_share")
SOURCES = {
    "all claimed failures of population and walks": "",
    "population samples that the classifier gets wrong": "population.",
    "corner cases of walks, at a softmax of 0.50": "corner_cases.",
    "real test images that the classifier gets wrong": "real_images.",
}


def show_failures(results: Results) -> PageSection:
    """What is at a glance of all classifiers, then two groups for each."""
    overview = compare("At a glance", ROWS["overview"], list(results.classifiers), results.read_metrics_of)
    lead = Text(TEXTS["failures"])
    return PageSection(
        "failures",
        "What each classifier fails on",
        [lead, overview, *_tell_seen(results)],
        [group for name in results.classifiers for group in _show_one(results, name)],
    )


def _tell_seen(results: Results) -> list[Block]:
    """On mnist-5k, of classifiers made elsewhere: that they may know its test images, and what MNIST's own say."""
    find = results.read_metrics_of
    brought = [name for name in results.classifiers if SEEN in find(MADE, name).content]
    measured = [name for name in brought if find(MADE, name).content[SEEN]]
    rows = [
        (f"accuracy on MNIST's own {kind} test images", MADE, f"{SEEN}.{kind}_test_accuracy")
        for kind in ("clean", "corrupted")
    ]
    if not brought:
        return []
    text = (
        "The images of this run, mnist-5k, are part of MNIST's training set. A classifier that learned from MNIST "
        f"({', '.join(brought)}, unless made from other data) has seen the real test images above: its accuracy on "
        "them says little. "
    )
    if not measured:
        return [Text(f"{text}It was not measured on MNIST's own test images.")]
    return [Text(f"{text}MNIST's own test images say more."), compare("On images none has seen", rows, measured, find)]


def _show_one(results: Results, name: str) -> list[Group]:
    ranked, judged, walked = f"rank_dimensions/{name}", f"judge_failures/{name}", f"walk_corner_cases/{name}"
    named = f"name_directions/{name}"
    results.locate(f"{ranked}/ranking.csv")
    ranking = read_ranking(results.folder / ranked)
    shape_words = results.read_metrics(named).content.get("shape_words")
    results.locate(f"{named}/directions.csv")
    words = read_names(results.folder / named)
    blocks: list[Block] = [
        *_tell_ranking(results, name),
        *([Text(TEXTS[f"shapeless_{shape_words}"])] if f"shapeless_{shape_words}" in TEXTS else []),
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
    return [Group(f"Classifier {name}", blocks, folded=False), Group(f"Further figures of classifier {name}", more)]


def measured_by_differences(metrics: Metrics) -> bool:
    """Whether scores are differences; metrics of gradients do not say what they are."""
    return metrics.content.get("score") is not None


def _tell_ranking(results: Results, name: str) -> list[Text]:
    """How its dimensions were ranked, where not by gradients."""
    metrics = results.read_metrics(f"rank_dimensions/{name}")
    if not measured_by_differences(metrics):
        return []
    gives = metrics.content.get("classifier_gives_gradients", False)
    reason = (
        "Its params ask for finite differences although it gives gradients"
        if gives
        else "It is a black box: it answers, and gives no gradients"
    )
    return [
        Text(
            f"{reason}. Its dimensions are ranked by central differences of the softmax of the true class, "
            f"{metrics.number('score_step_std'):g} std to each side, on {metrics.number('score_samples'):,.0f} of "
            f"{metrics.number('samples'):,.0f} population samples, drawn in equal shares of the classes and by how "
            f"much the classifier doubts them ({metrics.number('score_forward_passes'):,.0f} forward passes). "
            "Directions beyond the first few are less certain than those that gradients of the whole population give."
        )
    ]


def _list_directions(results: Results, name: str, ranking: pd.DataFrame, words: Names) -> Table:
    metrics = results.read_metrics(f"rank_dimensions/{name}")
    score, counted = (
        ("central difference", "score_samples") if measured_by_differences(metrics) else ("gradient", "samples")
    )
    samples = int(metrics.number(counted))
    file = f"compare_rankings/{name}/influence.csv"
    influence = (
        results.read_table(file, ["dimension", "influential", "q_value"]).set_index("dimension").to_dict("index")
    )
    levels = _read_levels(results, name)
    rows = []
    for row in ranking[ranking["scope"] == GLOBAL].head(TOP).to_dict("records"):
        dimension, direction = int(row["dimension"]), int(row["direction"])
        value, half = row["score"], Z * row["standard_error"]
        found = influence[dimension]
        rows.append(
            [
                str(row["rank"]),
                f"{dimension} ({row['layer']})",
                _tell_direction(direction),
                words.look_up(GLOBAL, dimension, direction),
                levels.get((dimension, direction), ""),
                tell_estimate(Estimate(value, value - half, value + half, samples)),
                f"{'yes' if found['influential'] else 'no'} (q = {tell_number(float(found['q_value']))})",
            ]
        )
    return Table(
        f"Most influential style dimensions over all classes: {name}",
        ["rank", "dimension (layer)", "fails when it", "what that does to the image", "reads as, per std",
         f"mean {score} of the score",
         "influential on other samples"],
        rows,
        results.offer(file)
    )  # fmt: skip


def _read_levels(results: Results, name: str) -> dict[tuple[int, int], str]:
    """The noise and the blur that real images would need to change as much, by dimension and direction."""
    columns = {"noise_sigma_per_std": ("noise sigma", ""), "blur_sigma_per_std": ("blur sigma", " px")}
    bounds = [f"{column}{end}" for column in columns for end in ("", "_low", "_high")]
    table = results.read_table(f"name_directions/{name}/directions.csv", ["scope", "dimension", "direction", *bounds])
    levels = {}
    for row in table[table["scope"] == GLOBAL].to_dict("records"):
        # An interval around 0 reads as nothing.
        told = [
            f"{words} {row[column]:+.3f}{unit} [{row[f'{column}_low']:+.3f}, {row[f'{column}_high']:+.3f}]"
            for column, (words, unit) in columns.items()
            if row[f"{column}_low"] > 0 or row[f"{column}_high"] < 0
        ]
        levels[int(row["dimension"]), int(row["direction"])] = "; ".join(told) or "neither noise nor blur"
    return levels


def _list_classes(results: Results, ranked: str, ranking: pd.DataFrame, words: Names) -> Table:
    classes = results.read_table(
        f"{ranked}/classes.csv", ["class", "samples", "accuracy", "accuracy_low", "accuracy_high"]
    )
    rows = []
    for row in classes.to_dict("records"):
        label = str(row["class"])
        own = ranking[ranking["scope"] == label].head(PER_CLASS)
        moves = [
            _tell_move(words, label, dimension, direction)
            for dimension, direction in zip(own["dimension"], own["direction"], strict=True)
        ]
        accuracy = Estimate(row["accuracy"], row["accuracy_low"], row["accuracy_high"], int(row["samples"]))
        rows.append([label, tell_estimate(accuracy), *moves])
    ranks = [f"direction {rank}" for rank in range(1, PER_CLASS + 1)]
    caption = "Each class: accuracy on generated images and the directions in which it fails first"
    return Table(caption, ["class", "accuracy", *ranks], rows, results.offer(f"{ranked}/classes.csv"))


def _list_verdicts(results: Results, judged: str) -> Table:
    metrics = results.read_metrics(judged)
    rows = [[words, *(tell_metric(metrics, prefix + key) for key in VERDICT_KEYS)] for words, prefix in SOURCES.items()]
    classes = sorted(metrics.content.get("per_class", {}))
    rows += [
        [f"class {label}", *(tell_metric(metrics, f"per_class.{label}.{key}") for key in VERDICT_KEYS)]
        for label in classes
    ]
    caption = f"The verdicts, at a confidence of the judge of {metrics.number('confidence'):g}"
    return Table(caption, ["source", "true failure", "label changed", "unreadable", "still right"], rows)


def _list_true_failures(results: Results, judged: str, words: Names) -> Table:
    columns = ["source", "class", "predicted_class", "classifier_probability", "judge_probability", "auditor_confirms"]
    columns += ["dimension", "direction", "shift_std", "far_out"]
    file = f"{judged}/true_failures.csv"
    table = results.read_table(file, columns)
    table = table[table["dimension"].notna()]
    rows = []
    for row in table.sort_values("shift_std", kind="stable").head(SHOWN_FAILURES).to_dict("records"):
        dimension, direction = int(row["dimension"]), int(row["direction"])
        rows.append(
            [
                f"{row['class']} taken for {row['predicted_class']}",
                tell_number(row["shift_std"]),
                _tell_move(words, row["class"], dimension, direction),
                tell_number(row["classifier_probability"]),
                tell_number(row["judge_probability"]),
                "yes" if row["auditor_confirms"] else "no",
                "yes" if row["far_out"] else "no",
            ]
        )
    return Table(
        f"True failures found on walks from class means, nearest first ({len(rows)} of {len(table)})",
        ["class", "shift in std", "direction", "classifier's softmax of the class", "judge's probability of it",
         "auditor confirms", "farther out than nearly all of the population"],
        rows,
        results.offer(file)
    )  # fmt: skip


def _tell_move(words: Names, scope: str, dimension: int, direction: int) -> str:
    return f"{dimension} {_tell_direction(direction)}: {words.look_up(scope, dimension, direction)}"


def _tell_direction(direction: int) -> str:
    return {1: "rises", -1: "falls"}.get(direction, "stays")
