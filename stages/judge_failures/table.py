"""Claimed failures with their verdicts as tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.judges.verdicts import READINGS, VERDICTS, give_verdicts, read_labels
from failure_atlas.statistics.estimates import proportion
from stages.judge_failures.claims import CORNER_CASE, REAL, Claims

ALL = "all"
GROUP_COLUMNS = ["dimension", "layer", "kind", "direction"]


def tabulate_claims(
    claims: Claims, said: Mapping[str, np.ndarray], class_names: Sequence[str], confidence: float
) -> pd.DataFrame:
    """One row per claim: what was meant, what classifier, judge and auditor make of it, and the verdict.

    said: `classifier`, `judge`, `auditor` -> probabilities [M, C].
    misclassified: whether the classifier's most probable class is another than the meant one; at a true-class softmax
    of 0.50 it mostly is not.  rival_class: its most probable class apart from the meant one.
    reading: what the judge reads in the image, whatever the classifier says (`read_labels`).  verdict: a true failure
    only where the classifier is wrong, too (`give_verdicts`).
    auditor_confirms: the auditor's most probable class is the meant one.
    """
    table = pd.DataFrame({"source": [claims.source] * len(claims), "index": claims.index})
    table = pd.concat([table, _tabulate_opinions(claims.true_class, said, class_names, confidence)], axis=1)
    return pd.concat([table, claims.walks], axis=1)


def tabulate_real_failures(
    index: np.ndarray,
    true_class: np.ndarray,
    said: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    confidence: float,
) -> pd.DataFrame:
    """The same for real test images that the classifier gets wrong, without walks; index: [M], of the test image."""
    table = pd.DataFrame({"source": [REAL] * len(index), "index": index})
    return pd.concat([table, _tabulate_opinions(true_class, said, class_names, confidence)], axis=1)


def tabulate_verdicts(failures: Mapping[str, pd.DataFrame], class_names: Sequence[str]) -> pd.DataFrame:
    """Share of each verdict with its interval, for each source and class, and for all classes of each source.

    failures: source -> its rows.  One row for each source, class and verdict, which are its columns beside value, low,
    high, n.
    """
    rows = []
    for source, within in failures.items():
        for name in (ALL, *class_names):
            own = within if name == ALL else within[within["class"] == name]
            rows += [
                {"source": source, "class": name, "verdict": verdict}
                | proportion((own["verdict"] == verdict).to_numpy())
                for verdict in VERDICTS
            ]
    return pd.DataFrame(rows)


def tabulate_directions(walks: pd.DataFrame, failures: pd.DataFrame) -> pd.DataFrame:
    """Share of each verdict per dimension and direction, one row each, in the order of dimension and direction.

    walks: corner_cases.csv.  failures: the claims; only those of corner cases count.
    name: what it does to the images, in the words of each class, the most frequent first; `not named`: not measured.
    walks: all of that direction, from whatever start.  reached: those that fell to 0.50; the shares are of these.
    """
    verdict = pd.Series(pd.NA, index=range(len(walks)), dtype="object")
    own = failures[failures["source"] == CORNER_CASE]
    verdict.iloc[own["index"].to_numpy()] = own["verdict"].to_numpy()
    rows: list[dict[str, Any]] = []
    for key, members in walks.reset_index(drop=True).groupby(GROUP_COLUMNS, sort=True):
        given = verdict.loc[members.index].dropna()
        row = dict(zip(GROUP_COLUMNS, key, strict=True)) | {"walks": len(members), "reached": len(given)}
        for name in VERDICTS:
            share = proportion((given == name).to_numpy())
            column = f"{name.replace(' ', '_')}_share"
            row |= {column: share["value"], f"{column}_low": share["low"], f"{column}_high": share["high"]}
        rows.append(row | {"name": _join_words(members["name"])})
    shares = [f"{name.replace(' ', '_')}_share{end}" for name in VERDICTS for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*GROUP_COLUMNS, "name", "walks", "reached", *shares])


def _join_words(words: pd.Series) -> str:
    return "; ".join(str(word) for word in words[words != ""].value_counts(sort=True).index)


def _tabulate_opinions(
    true_class: np.ndarray, said: Mapping[str, np.ndarray], class_names: Sequence[str], confidence: float
) -> pd.DataFrame:
    names, rows = np.array(class_names, dtype=object), np.arange(len(true_class))
    classifier, judge, auditor = said["classifier"], said["judge"], said["auditor"]
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
            "auditor_confirms": auditor.argmax(axis=1) == true_class,
        }
    )
