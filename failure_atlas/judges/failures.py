"""Claimed failures before the judge: what everybody says of each, how the verdicts are shared out, whom to show."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.judges.verdicts import READINGS, VERDICTS, give_verdicts, read_labels
from failure_atlas.statistics.estimates import proportion
from failure_atlas.world.show import CLASSIFIER, JUDGE, Shown

ALL = "all"  # sources, or classes
AUDITOR = "auditor"  # a second judge, which no search has consulted


def tabulate_opinions(
    shown: Shown, true_class: np.ndarray, class_names: Sequence[str], confidence: float, auditor_confidence: float
) -> pd.DataFrame:
    """One row per claimed failure: what was meant, what classifier, judge and auditor make of it, and the verdict.

    shown: with the answers of CLASSIFIER, JUDGE and AUDITOR about M images.  true_class: [M], the class that was meant.
    misclassified: whether the classifier's most probable class is another than the meant one; at a true-class softmax
    of 0.50 it mostly is not.  rival_class: its most probable class apart from the meant one.
    reading: what the judge reads in the image, whatever the classifier says (`read_labels`).  verdict: a true failure
    only where the classifier is wrong, too (`give_verdicts`).
    auditor_agrees: the auditor's most probable class is the meant one.  auditor_confirms: it gives that class at least
    auditor_confidence, as the judge has to give it at least `confidence` for a true failure.
    """
    names, rows = np.array(class_names, dtype=object), np.arange(len(true_class))
    classifier, judge, auditor = (shown.softmax(name) for name in (CLASSIFIER, JUDGE, AUDITOR))
    others = classifier.copy()
    others[rows, true_class] = -1
    predicted = classifier.argmax(axis=1)
    readings, verdicts = np.array(READINGS, dtype=object), np.array(VERDICTS, dtype=object)
    return pd.DataFrame(
        {
            "class": names[true_class],
            "predicted_class": names[predicted],
            "rival_class": names[others.argmax(axis=1)],
            "misclassified": predicted != true_class,
            "classifier_probability": classifier[rows, true_class],
            "judge_class": names[judge.argmax(axis=1)],
            "judge_probability": judge[rows, true_class],
            "judge_confidence": judge.max(axis=1),
            "reading": readings[read_labels(judge, true_class, confidence)],
            "verdict": verdicts[give_verdicts(judge, true_class, predicted, confidence)],
            "auditor_class": names[auditor.argmax(axis=1)],
            "auditor_probability": auditor[rows, true_class],
            "auditor_confidence": auditor.max(axis=1),
            "auditor_agrees": auditor.argmax(axis=1) == true_class,
            "auditor_confirms": auditor[rows, true_class] >= auditor_confidence,
        }
    )


def share_verdicts(verdicts: pd.Series) -> dict[str, dict[str, Any]]:
    """Verdict -> its share of all that was judged, those that are still right among it, as `{value, low, high, n}`."""
    return {verdict: proportion((verdicts == verdict).to_numpy()) for verdict in VERDICTS}


def tabulate_verdicts(failures: Mapping[str, pd.DataFrame], class_names: Sequence[str]) -> pd.DataFrame:
    """Share of each verdict with its interval, for each source and class, and for all classes of each source.

    failures: source -> its rows.  One row for each source, class and verdict, which are its columns beside value, low,
    high, n.
    """
    return pd.DataFrame(
        [
            {"source": source, "class": name, "verdict": verdict} | share
            for source, within in failures.items()
            for name in (ALL, *class_names)
            for verdict, share in share_verdicts(within["verdict"][(within["class"] == name) | (name == ALL)]).items()
        ]
    )


def draw_balanced(source: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Up to `count` rows at random, as equal in number from each source as there are; rising indices.

    source: [M].  A source with too few rows gives all it has, and the others make up for it.
    """
    place = np.empty(len(source), np.int64)
    for name in np.unique(source):
        own = np.flatnonzero(source == name)
        place[own] = random.permutation(len(own))
    # First those drawn first from each source, then those drawn second, ...
    order = np.lexsort((source, place))
    return np.sort(order[:count])
