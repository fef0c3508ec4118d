"""Verdicts against the acceptance criteria: what a reader asks first."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from failure_atlas.core.errors import StageError
from failure_atlas.statistics.estimates import read_estimate
from stages.report.blocks import Badge, Block, PageSection, Table, Text
from stages.report.results import Results
from stages.report.wording import TIED, tell_estimate

GATES = "acceptance/gates.json"
TONES = {"pass": "good", "fail": "bad", "not assessable": "open"}
KEYS = ("id", "verdict", "metric", "found", "comparison", "bar", "reason", "supports")


def show_verdicts(results: Results, classifiers: Mapping[str, str]) -> PageSection:
    """The criteria with their verdicts, fails first, and what is to know of classifiers that were brought.

    classifiers: those under test, each with the stage that made it.  StageError if gates.json is of another form.
    """
    blocks: list[Block]
    criteria: list[dict[str, Any]] = []
    if results.has(GATES):
        criteria = _read_criteria(results)
        count = Counter(criterion["verdict"] for criterion in criteria)
        told = ", ".join(f"{count[verdict]} {words}" for verdict, words in _COUNTED.items())
        blocks = [
            Text(
                f"{len(criteria)} criteria: {told}. A criterion passes when the whole 95 % interval lies on the good "
                "side of its bar and fails when the whole interval lies on the bad side; an interval over the bar, too "
                "few samples, or a generator that did not pass leave it not assessable. A criterion supports the "
                "clause beside it; it never shows compliance by itself."
            ),
            Table(
                "Acceptance criteria",
                ["criterion", "verdict", "asked", "found", "why", "supports"],
                [_tell(criterion) for criterion in sorted(criteria, key=lambda each: _ORDER[each["verdict"]])],
                wide=("criterion", "found", "why", "supports"),
            ),
        ]
    else:
        blocks = [Text("No acceptance criteria were checked: this run has no data/acceptance/gates.json.")]
    blocks += _tell_brought(results, classifiers, criteria)
    return PageSection("verdicts", "Verdicts against the acceptance criteria", blocks)


def _tell_brought(
    results: Results, classifiers: Mapping[str, str], criteria: Sequence[Mapping[str, Any]]
) -> list[Block]:
    """That no criterion speaks of a classifier that was brought, and what was noticed when it was."""
    texts: list[Block] = []
    for name, stage in classifiers.items():
        named = any(name in re.split(r"[/.]|: ", str(criterion["metric"])) for criterion in criteria)
        if stage == "bring_classifiers" and not named:
            texts.append(Text(f"No acceptance criterion names {name}, which was brought: no verdict is about it."))
        warnings = results.read_metrics(f"{stage}/{name}").content.get("warnings", [])
        texts += [Text(f"Noticed when {name} was brought: {warning}.") for warning in warnings]
    return texts


_COUNTED = {"pass": "pass", "fail": "fail", "not assessable": "not assessable"}
_ORDER = {"fail": 0, "not assessable": 1, "pass": 2}


def _read_criteria(results: Results) -> list[dict[str, Any]]:
    path, held = results.folder / GATES, results.read_json(GATES).get("criteria")
    again = "make it again with: dvc repro acceptance"
    if not isinstance(held, list):
        raise StageError(f"{path}: holds no list 'criteria'; {again}")
    for criterion in held:
        missing = [key for key in KEYS if not isinstance(criterion, dict) or key not in criterion]
        if missing:
            raise StageError(f"{path}: a criterion has no {', '.join(missing)}; {again}")
        if criterion["verdict"] not in TONES:
            raise StageError(
                f"{path}: criterion '{criterion['id']}' has the verdict '{criterion['verdict']}'; allowed: "
                f"{', '.join(TONES)}; {again}"
            )
    return held


def _tell(criterion: Mapping[str, Any]) -> list[str | Badge]:
    found = criterion["found"]
    told = "nothing" if found is None else tell_estimate(read_estimate(found))
    because = criterion.get("because")
    return [
        f"{criterion['id']} ({criterion['metric']})",
        Badge(criterion["verdict"], TONES[criterion["verdict"]]),
        f"{criterion['comparison']}{TIED}{criterion['bar']:g}",
        f"{told}; {because}" if because else told,
        str(criterion["reason"]),
        str(criterion["supports"]),
    ]
