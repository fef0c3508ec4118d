"""Verdicts against the acceptance criteria: what a reader asks first."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from stages.common.errors import StageError
from stages.report.blocks import Badge, Block, PageSection, Table, Text
from stages.report.results import Results
from stages.report.wording import TIED, read_estimate, tell_estimate

GATES = "acceptance/gates.json"
TONES = {"pass": "good", "fail": "bad", "not assessable": "open"}
KEYS = ("id", "verdict", "metric", "found", "comparison", "bar", "reason", "supports")


def show_verdicts(results: Results) -> PageSection:
    """The criteria with their verdicts, fails first; StageError if gates.json is of another form."""
    blocks: list[Block]
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
    return PageSection("verdicts", "Verdicts against the acceptance criteria", blocks)


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
