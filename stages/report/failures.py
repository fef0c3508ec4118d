"""The failures of each classifier: those found, the verdicts on them, and the directions that lead to them."""

from failure_atlas.decisions.metrics import Metrics
from stages.report.figures import show_figure
from stages.report.page import Block, Group, PageSection, Text
from stages.report.real import show_real
from stages.report.results import MADE, Results
from stages.report.wording import ROWS, TEXTS, compare

SEEN = "mnist_test"  # metric of a brought classifier: null where MNIST's own test images were not at hand


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
    results.read_metrics(named)  # as all metrics, whether they are told or not
    shapeless = f"shapeless_{results.read_metrics('measure_attributes').content.get('shape_words')}"
    blocks: list[Block] = [
        *_show_search(results, name),
        *_tell_ranking(results, name),
        *([Text(TEXTS[shapeless])] if shapeless in TEXTS else []),
        show_figure(results, named, "directions", name),
        *(show_figure(results, named, stem, name) for stem in ("ranking", "fig4_well_against_mis")),
        *(show_figure(results, judged, stem, name) for stem in ("verdicts", "contact_sheet")),
    ]
    return [
        Group(f"Classifier {name}", blocks),
        Group(f"Classifier {name} on real images", show_real(results, name)),
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
