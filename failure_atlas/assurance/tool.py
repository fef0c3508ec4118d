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
from typing import Any

from failure_atlas.decisions.metrics import find_estimate
from failure_atlas.statistics.estimates import Estimate

ABSENT = "not measured here"
COLUMNS = ("evidence", "found", "file", "sha256", "not_shown")


@dataclass(frozen=True)
class Evidence:
    """One measurement of the tool.  source: its file in a project.  key: of the metric; empty where tests are counted.

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


PLANTED, VALIDITY = "study/data/find_planted/metrics.json", "study/data/validate_externally/metrics.json"
ENTRIES = (
    Evidence("planted blind spots of a classifier that were found", PLANTED, "planted_recovered_share",
             "blind spots of other shapes than those planted, or smaller; other data", "find_planted.json"),
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
        found = ABSENT if content is None else _measure(each, content)
        digest = "" if content is None else hashlib.sha256(content).hexdigest()
        table.writerow([each.about, found, each.path if content is not None else "", digest, each.not_shown])
    return text.getvalue()


def _measure(each: Evidence, content: bytes) -> str:
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
