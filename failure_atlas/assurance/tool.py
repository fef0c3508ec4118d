"""How far this tool itself can be trusted: what was measured of it, and what each measurement does not show.

Planted failures, people beside the judge, and real images beside curves are studies with numbers; that no kill leaves a
half result is held by tests. None of it qualifies the tool: that needs somebody else.
"""

import csv
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from typing import Any

from failure_atlas.decisions.metrics import find_estimate
from failure_atlas.statistics.estimates import Estimate

ABSENT = "not measured here"
MOST = 100  # points of a curve
COLUMNS = ("evidence", "found", "file", "sha256", "not_shown")


@dataclass(frozen=True)
class Evidence:
    """One measurement of the tool.  source: its file in a project.  key: of the metric; empty where tests are counted.

    A source in CSV is a curve, with a row for each of its points; where there is none, nothing is said of it.
    name: of its copy in a case; empty where a bundle holds the file under its own path.
    """

    about: str
    source: str
    key: str
    not_shown: str
    name: str = ""

    @property
    def path(self) -> str:
        """Where a case holds it."""
        return f"case/tool/{self.name}" if self.name else self.source


PLANTED, CURVE = "study/data/find_planted/metrics.json", "study/data/find_planted/curve.csv"
VALIDITY = "study/data/validate_externally/metrics.json"
ENTRIES = (
    Evidence("planted blind spots of a classifier that were found", PLANTED, "planted_recovered_share",
             "blind spots of other shapes than those planted, or smaller; other data", "find_planted.json"),
    Evidence("those found that cover {low:g} to {high:g} % of images and fail in {rate:g} % of these", CURVE, "",
             "spots of other shapes; other data; a rate here rests on few spots", "find_planted_curve.csv"),
    Evidence("reported kinds of input that were not planted", PLANTED, "reported_false_share",
             "how often a kind is false of a classifier that nobody spoilt", "find_planted.json"),
    Evidence("true failures of the judge that people call some", "data/train_judges/metrics.json",
             "judge.against_people.precision", "people of other trades; images other than digits"),
    Evidence("true failures by people that the judge calls some", "data/train_judges/metrics.json",
             "judge.against_people.recall", "failures that neither people nor judge were shown"),
    Evidence("rank correlation of a curve's area with accuracy on real images under corruption", VALIDITY,
             "external_validity", "corruptions that were not tried; other classifiers", "validate_externally.json"),
    Evidence("tests that kill runs, fill disks, cut files and flip bits", "tests/flows/test_faults.py", "",
             "that they passed where this bundle was made: run `make test` at its commit", "test_faults.py"),
    Evidence("tests that kill a stage and the program above it", "tests/flows/test_stage_run.py", "",
             "that they passed where this bundle was made: run `make test` at its commit", "test_stage_run.py"),
)  # fmt: skip
COPIES = {each.path: each.source for each in ENTRIES if each.name}  # path in a case -> path in a project


def write_tool(read: Callable[[str], bytes | None]) -> str:
    """tool.csv: what is known of the tool.  read: the bytes of a file of a case, None where there is none."""
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for each in ENTRIES:
        content = read(each.path)
        if content is None:
            rows, whole = [] if each.source.endswith(".csv") else [(each.about, ABSENT)], ("", "")
        else:
            rows, whole = _measure(each, content), (each.path, hashlib.sha256(content).hexdigest())
        table.writerows([*row, *whole, each.not_shown] for row in rows)
    return text.getvalue()


def _measure(each: Evidence, content: bytes) -> list[tuple[str, str]]:
    """What each row of the table says first; ValueError that names the file where it cannot be read."""
    if not each.source.endswith(".csv"):
        return [(each.about, _measure_one(each, content))]
    try:
        points = islice(csv.DictReader(StringIO(content.decode())), MOST)
        read = [{name: float(value) for name, value in point.items()} for point in points]
        return [
            (
                each.about.format(low=100 * at["support_low"], high=100 * at["support_high"], rate=100 * at["rate"]),
                Estimate(at["share"], at["share_low"], at["share_high"], int(at["n"])).tell(),
            )
            for at in read
        ]
    except (ValueError, TypeError, KeyError, OverflowError, csv.Error) as error:
        raise ValueError(f"{each.path}: no curve ({type(error).__name__})") from error


def _measure_one(each: Evidence, content: bytes) -> str:
    """The metric in words, or the count of tests; ValueError that names the file where it cannot be read."""
    if not each.key:
        return f"{len(re.findall(rb'^def test_', content, re.MULTILINE))} tests"
    try:
        held: Any = json.loads(content)
        found: Estimate = find_estimate(held, each.key)
    except KeyError:
        return ABSENT
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{each.path}: no metrics ({type(error).__name__})") from error
    return found.tell()
