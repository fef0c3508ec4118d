"""What a classifier's outputs on a labelled set are worth: accuracy, calibration, confusion, as numbers and tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import nn

from failure_atlas.core.device import device_of
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.image_set import ImageSet, Severities, to_unit
from failure_atlas.statistics.estimates import CONFIDENCE, proportion, wilson

CALIBRATION_BINS = 15
RESAMPLES = 400
PAIR = 2  # steps of corruption that make a grid


def predict(classifier: nn.Module, images: np.ndarray, batch_size: int = 500) -> np.ndarray:
    """Softmax probabilities, float64 [N, classes], of uint8 images [N, C, H, W]."""
    device = device_of(classifier)
    with torch.no_grad():
        logits = [
            classifier(to_unit(images[start : start + batch_size]).to(device)).cpu()
            for start in range(0, len(images), batch_size)
        ]
    return torch.cat(logits).to(torch.float64).softmax(1).numpy()


def measure_accuracy(correct: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Accuracy of each class as `{value, low, high, n}` with its Wilson interval."""
    return {name: proportion(correct[labels == label]) for label, name in enumerate(class_names)}


def calibration_table(probabilities: np.ndarray, labels: np.ndarray, bins: int = CALIBRATION_BINS) -> pd.DataFrame:
    """Confidence against accuracy in equal-width bins of the confidence, the largest probability.

    Columns: confidence_low, confidence_high (the bin holds low < confidence <= high), n, mean_confidence, accuracy, and
    the accuracy's Wilson interval low, high; NaN where a bin is empty.
    """
    confidence, correct = _confidence(probabilities, labels)
    member = _bin(confidence, bins)
    n = np.bincount(member, minlength=bins)
    hits = np.bincount(member, correct, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence, accuracy = np.bincount(member, confidence, minlength=bins) / n, hits / n
    low, high = wilson(hits, n)
    edges = np.linspace(0, 1, bins + 1)
    return pd.DataFrame(
        {
            "confidence_low": edges[:-1],
            "confidence_high": edges[1:],
            "n": n,
            "mean_confidence": mean_confidence,
            "accuracy": accuracy,
            "low": low,
            "high": high,
        }
    )


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error (Guo et al. 2017): the mean over samples of |accuracy - confidence| of their bin.

    Bins are 15 of equal width on the largest softmax probability.  0 is perfect; it is biased upwards for small sets.
    """
    return float(np.abs(_measure_gaps(*_confidence(probabilities, labels), bins)).sum())


def calibration_interval(
    probabilities: np.ndarray, labels: np.ndarray, stream: np.random.Generator, bins: int = CALIBRATION_BINS
) -> dict[str, float]:
    """95 % interval of `calibration_error`, `{low, high, n}`, that holds although the value is biased upwards.

    The error is a length, the sum over bins of |gap|, which noise makes longer: near 0 all bootstrap replicates lie
    above the value, percentile intervals too high, and reflected ones end at the value. But each gap is a mean.
    high: with the signs of the true gaps, whatever they are, the error is a mean of +-(correct - confidence), of which
    the value is the largest over all signs; so it lies above the value only by the noise of a mean, at most
    z sqrt(mean square / n).  low: the value less the length that noise alone exceeds in 2.5 % of resamples (triangle
    inequality), not below 0.
    """
    confidence, correct = _confidence(probabilities, labels)
    n, tail = len(labels), (1 - CONFIDENCE) / 2
    gaps = _measure_gaps(confidence, correct, bins)
    draws = (stream.integers(0, n, n) for _ in range(RESAMPLES))
    noise = [np.abs(_measure_gaps(confidence[draw], correct[draw], bins) - gaps).sum() for draw in draws]
    value = float(np.abs(gaps).sum())
    standard_error = np.sqrt(np.square(correct - confidence).mean() / n)
    return {
        "low": max(0.0, value - float(np.quantile(noise, 1 - tail))),
        "high": value + float(stats.norm.isf(tail) * standard_error),
        "n": n,
    }


def count_confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """int64 [classes, classes]: row true class, column predicted class."""
    counts: np.ndarray = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    return counts


def _confidence(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    correct: np.ndarray = probabilities.argmax(axis=1) == labels
    return probabilities.max(axis=1), correct


def _bin(confidence: np.ndarray, bins: int) -> np.ndarray:
    member: np.ndarray = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return member


def _measure_gaps(confidence: np.ndarray, correct: np.ndarray, bins: int) -> np.ndarray:
    """Accuracy minus confidence of each bin, times its share of the samples: [bins]."""
    return np.asarray(np.bincount(_bin(confidence, bins), correct - confidence, minlength=bins) / len(confidence))


def examine(
    probabilities: dict[str, np.ndarray],
    tests: dict[str, ImageSet],
    severities: Severities,
    class_names: list[str],
    seed: int,
) -> dict[str, Any]:
    """Accuracy, also of each class, and calibration error on the test sets `clean` and `corrupted`.

    probabilities: [N, classes] of each set, as `predict` gives them.  severities: of the images of `corrupted`.
    """
    metrics: dict[str, Any] = {}
    for name, test in tests.items():
        correct = mark(probabilities[name], test)
        stream = numpy_stream(seed, "train_classifiers", "calibration", name)
        metrics |= {
            f"{name}_test_accuracy": proportion(correct),
            f"{name}_test_accuracy_per_class": measure_accuracy(correct, test.labels, class_names),
            f"{name}_calibration_error": calibration_error(probabilities[name], test.labels),
            f"{name}_calibration_error_interval": calibration_interval(probabilities[name], test.labels, stream),
        }
    correct = mark(probabilities["corrupted"], tests["corrupted"])
    metrics["corrupted_half_test_accuracy"] = proportion(correct[~severities.clean])
    return metrics


def mark(probabilities: np.ndarray, test: ImageSet) -> np.ndarray:
    """bool [N]: where the most probable class is the true one."""
    correct: np.ndarray = probabilities.argmax(axis=1) == test.labels
    return correct


def tabulate_examination(
    probabilities: Mapping[str, np.ndarray], tests: Mapping[str, ImageSet], severities: Severities, names: list[str]
) -> dict[str, pd.DataFrame]:
    """Tables by name: reliability and confusion on both test sets, accuracy by severity.  Arguments as `examine`."""
    labels = {name: test.labels for name, test in tests.items()}
    correct = mark(probabilities["corrupted"], tests["corrupted"])
    return tabulate_outputs(probabilities, labels, names, "test_set") | {
        "severities": tabulate_severities(correct, severities)
    }


def tabulate_outputs(
    probabilities: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], class_names: Sequence[str], kind: str
) -> dict[str, pd.DataFrame]:
    """`calibration_table` and the counts of true and predicted classes, by name in a column that is called `kind`.

    probabilities: [N, classes] by name.  labels: int64 [N] by the same names.
    """
    reliability, confusion = [], []
    for name, each in probabilities.items():
        reliability.append(calibration_table(each, labels[name]).assign(**{kind: name}))
        counts = count_confusion(labels[name], each.argmax(axis=1), len(class_names))
        table = pd.DataFrame(counts, list(class_names), list(class_names)).rename_axis(index="true_class")
        table = table.reset_index().melt("true_class", var_name="predicted_class", value_name="n", ignore_index=False)
        confusion.append(table.sort_index(kind="stable").assign(**{kind: name})[[kind, *table]])
    return {"reliability": pd.concat(reliability), "confusion": pd.concat(confusion)}


def tabulate_severities(correct: np.ndarray, severities: Severities) -> pd.DataFrame:
    """Accuracy on the corrupted test set by severity, 0 for the half left clean; correct: bool [N].

    Two steps of corruption: a grid of their severities. Otherwise one row per step, over all severities of the others.
    """
    steps = list(severities.by_step)
    if len(steps) == PAIR:
        images = pd.DataFrame({f"{step}_severity": drawn for step, drawn in severities.by_step.items()})
    else:
        drawn_by_step = severities.by_step.items()
        images = pd.concat([pd.DataFrame({"step": step, "severity": drawn}) for step, drawn in drawn_by_step])
        images["step"] = pd.Categorical(images["step"], steps)  # sorted in the order of the recipe
    keys = list(images)
    images["correct"] = np.tile(correct, len(images) // len(correct))
    table = images.groupby(keys, observed=True)["correct"].agg(n="size", hits="sum").reset_index()
    table["accuracy"] = table["hits"] / table["n"]
    table["low"], table["high"] = wilson(table["hits"].to_numpy(), table["n"].to_numpy())
    return table.drop(columns="hits")
