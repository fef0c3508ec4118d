"""What a run found, in the lines that a person wants: the verdicts, and of each classifier three sentences."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flows.errors import FlowError
from flows.gates_command import FAIL, GATES, PASS, STAGE, Criteria, count_verdicts, read_gates, tell_found
from flows.outcome import WORDS, Outcome, StageRun

DATA, REPORT = Path("data"), Path("data/report/report.html")
MAKERS = ("train_classifiers", "bring_classifiers")
ROOMS = {
    "find_failures": "{}",
    "judge_failures": "{}",
    "qualify_generator": "",
    "train_judges": "",
}  # whose metrics are told
VERDICTS, CLASSIFIERS = 6, 4  # how many are told one by one, so that a run ends on at most 30 lines


def tell_findings(runs: Sequence[StageRun], more: str = "failure-atlas metrics") -> list[str]:
    """At most 30 lines on what the stages of a run found; what it did not bring up to date is not told.

    more: the command that shows the rest.
    """
    ended = Counter(WORDS[each.outcome] for each in runs)
    told = ", ".join(f"{count} {word}" for word, count in ended.items())
    fresh = {each.stage for each in runs if each.outcome not in (Outcome.FAILED, Outcome.NOT_RUN)}
    lines = [f"{len(runs)} stages: {told}; {sum(each.seconds for each in runs):.0f} s of work"]
    if all(each.outcome is Outcome.CACHED for each in runs):
        lines = [f"{len(runs)} stages are up to date; nothing had changed"]
    criteria = None
    try:
        criteria = read_gates(GATES) if STAGE in fresh and GATES.is_file() else None
    except FlowError as error:
        lines.append(str(error))
    lines += _tell_verdicts(criteria) if criteria else []
    if "report" in fresh and REPORT.is_file():
        lines.append(f"report: {REPORT}")
    lines.append(f"all metrics: {more}")
    made = [each.stage.partition("@") for each in runs if each.stage in fresh]
    names = [name for stage, _, name in made if stage in MAKERS]
    if len(names) > CLASSIFIERS:
        lines.append(f"{len(names)} classifiers, the first {CLASSIFIERS} of them:")
    return lines + [sentence for name in names[:CLASSIFIERS] for sentence in _tell_classifier(name, fresh, criteria)]


def _tell_verdicts(criteria: Criteria) -> Iterator[str]:
    yield f"acceptance criteria: {count_verdicts(criteria)}"
    open_ones = sorted((each for each in criteria if each["verdict"] != PASS), key=lambda each: each["verdict"] != FAIL)
    for each in open_ones[:VERDICTS]:
        yield f"  {each['verdict']}: {each['id']}: {tell_found(each)}: {each.get('because', '')}"
    if len(open_ones) > VERDICTS:
        yield f"  and {len(open_ones) - VERDICTS} more: failure-atlas gates"


def _tell_classifier(name: str, fresh: set[str], criteria: Criteria | None) -> list[str]:
    """On what it fails, how far it is from failing, what proves it, as the page's first screen says it."""
    from failure_atlas.core.errors import StageError
    from failure_atlas.decisions.summary import read_modes, summarise  # NumPy takes its time: not for --help

    modes, file = None, DATA / f"find_modes/{name}/modes.csv"
    metrics = {
        room: _read(DATA / room / part)
        for room, part in ROOMS.items()
        if (f"{room}@{name}" if part else room) in fresh
        for part in [part.format(name)]
    }
    try:
        if f"find_modes@{name}" in fresh and file.is_file():
            modes = read_modes(file.read_text(encoding="utf-8"), str(file))
    except StageError as error:
        return [str(error)]
    return summarise(name, modes, metrics, criteria).tell()


def _read(folder: Path) -> Any:
    file = folder / "metrics.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
