"""What the page says of a classifier that gives no gradients: how it was measured, and what was not."""

from collections.abc import Sequence

from failure_atlas.decisions.metrics import Metrics
from stages.report.blocks import Text
from stages.report.results import Results


def tell_black_boxes(results: Results, names: Sequence[str]) -> str:
    """Which classifiers under test give no gradients, as a sentence for the top of the page; empty if all do."""
    metrics = {name: results.read_metrics(f"rank_dimensions/{name}").content for name in names}
    opaque = [name for name in names if metrics[name].get("classifier_gives_gradients") is False]
    if not opaque:
        return ""
    those = "is a black box" if len(opaque) == 1 else "are black boxes"
    return f" Without gradients: {', '.join(opaque)}, which {those}, ranked by finite differences."


def tell_ranking(results: Results, name: str) -> list[Text]:
    """How its dimensions were ranked, where not by gradients."""
    metrics = results.read_metrics(f"rank_dimensions/{name}")
    if not differs(metrics):
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


def tell_walks(results: Results, names: Sequence[str]) -> list[Text]:
    """What joint walks moved, where not all dimensions."""
    texts = []
    for name in names:
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


def tell_comparison(results: Results, name: str) -> list[Text]:
    """What the gradient scores in the comparison of rankings are, where they are no gradients."""
    metrics = results.read_metrics(f"compare_rankings/{name}")
    if not differs(metrics):
        return []
    return [
        Text(
            "This classifier gives no gradients: all gradient scores below are means of central differences on "
            f"{metrics.number('score_samples'):,.0f} samples, {metrics.number('score_step_std'):g} std to each side. "
            "Scores at a fiftieth of AttFind's cost are not measured: the differences of one sample cost as much as "
            "AttFind's trials on one."
        )
    ]


def differs(metrics: Metrics) -> bool:
    """Whether scores are differences; metrics of gradients do not say what they are."""
    return metrics.content.get("score") is not None
