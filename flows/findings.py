"""What a run found, in the lines that a person wants: the verdicts, and of each classifier three sentences."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.errors import FlowError
from flows.gates_command import FAIL, GATES, PASS, STAGE, count_verdicts, read_gates, tell_found
from flows.outcome import WORDS, Outcome, StageRun

DATA, REPORT = Path("data"), Path("data/report/report.html")
MAKERS = ("train_classifiers", "bring_classifiers")
VERDICTS, CLASSIFIERS, NAMES = 6, 4, 3  # how many are told one by one, so that a run ends on at most 30 lines

Found = Mapping[str, Any]


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
    if STAGE in fresh and GATES.is_file():
        lines += _tell_verdicts()
    made = [each.stage for each in runs if each.stage in fresh and each.stage.partition("@")[0] in MAKERS]
    for stage in made[:CLASSIFIERS]:
        lines += _tell_classifier(stage, fresh)
    if len(made) > CLASSIFIERS:
        lines.append(f"and {len(made) - CLASSIFIERS} more classifiers")
    if "report" in fresh and REPORT.is_file():
        lines.append(f"report: {REPORT}")
    return [*lines, f"all metrics: {more}"]


def _tell_verdicts() -> Iterator[str]:
    try:
        criteria = read_gates(GATES)
    except FlowError as error:
        yield str(error)
        return
    yield f"acceptance criteria: {count_verdicts(criteria)}"
    open_ones = sorted((each for each in criteria if each["verdict"] != PASS), key=lambda each: each["verdict"] != FAIL)
    for each in open_ones[:VERDICTS]:
        yield f"  {each['verdict']}: {each['id']}: {tell_found(each)}: {each.get('because', '')}"
    if len(open_ones) > VERDICTS:
        yield f"  and {len(open_ones) - VERDICTS} more: failure-atlas gates"


def _tell_classifier(maker: str, fresh: set[str]) -> Iterator[str]:
    """How accurate it is, how far from failing, and on what it fails; without what is not measured."""
    name = maker.partition("@")[2]

    def read(room: str, *keys: str) -> list[tuple[str, Any]]:
        """What of a stage's metrics is there, told with interval and count."""
        found: Any = _read(room, name) if f"{room}@{name}" in fresh else {}
        for key in keys:
            found = found.get(key) or {}
        return [(key, held) for key, held in found.items() if isinstance(held, dict) and "value" in held]

    made, near = dict(read(maker.partition("@")[0])), dict(read("find_failures"))
    judged, words = dict(read("judge_failures")), read("name_directions", "global", "share_of_name")
    right = [
        f"{_tell(made[key])} of {made[key]['n']:,} real {kind}"
        for kind, key in (("clean", "clean_test_accuracy"), ("corrupted", "corrupted_test_accuracy"))
        if key in made
    ]
    if right:
        yield f"{name}: how accurate: right on {' and '.join(right)} test images"
    if {"median_distance_std", "start_share"} <= near.keys():
        half, found = near["median_distance_std"], near["start_share"]
        yield (
            f"{name}: how far from failing: a true failure inside the population from {_tell(found)} of {found['n']:,} "
            f"generated images that it reads rightly, at {_tell(half)} std of the class, the median"
        )
    leading = sorted(words, key=lambda word: -word[1]["value"])[:NAMES]
    fails = []
    if leading:
        named = ", ".join(f"{word} {_tell(share)}" for word, share in leading)
        fails.append(f"of its {leading[0][1]['n']} leading directions {named}")
    if "true_failure_share" in judged:
        true = judged["true_failure_share"]
        readable = judged.get("readable_true_failure_share")
        told = f", {_tell(readable)} true and such as people are expected to read" if readable else ""
        fails.append(f"{_tell(true)} of {true['n']:,} claimed failures are true ones{told}")
    if fails:
        yield f"{name}: fails on: {'; '.join(fails)}"


def _read(room: str, name: str) -> Any:
    file = DATA / room / name / "metrics.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _tell(found: Found) -> str:
    value, low, high = ("?" if found.get(key) is None else f"{found[key]:.3g}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"
