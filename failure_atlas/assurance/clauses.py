"""Clauses of standards and law: what in a run supports each, and what of it nothing here supports.

clauses.csv says in words of this project what a clause is about, never its text. "By subject" there: a standard that
is not public, told from summaries of its contents. A clause is supported, never met: that is for an assessor to say.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from failure_atlas.assurance.argument import REFUTED, SUPPORTED, UNDEVELOPED
from failure_atlas.decisions.acceptance import FAIL, PASS

TABLE = Path(__file__).with_suffix(".csv")
ARTEFACT, NONE = "artefact", "none"
STATES = {
    SUPPORTED: "each criterion that names it passes",
    UNDEVELOPED: "a criterion that names it is not assessable",
    REFUTED: "a criterion that names it fails",
    ARTEFACT: "a file bears on it, which no criterion judges",
    NONE: "nothing here",
}


@dataclass(frozen=True)
class Clause:
    """One row of clauses.csv.  asks: its subject.  artefacts: files that bear on it.  missing: what is not shown."""

    standard: str
    clause: str
    asks: str
    artefacts: str
    missing: str
    source: str

    def is_named(self, supports: str) -> bool:
        """Whether the clauses of a criterion, as `EASA LM-09, LM-14; AMLAS [X]`, name this one."""
        parts = [part.strip() for part in supports.split(";")]
        return any(part.startswith(self.standard) and self.clause in part for part in parts)


@dataclass(frozen=True)
class Support:
    """A clause in a run.  state: a key of STATES.  criteria: ids of those that name it, by verdict, in words."""

    clause: Clause
    state: str
    criteria: str


def read_clauses() -> list[Clause]:
    """All clauses, in the order of the file."""
    with TABLE.open(encoding="utf-8", newline="") as lines:
        return [Clause(**row) for row in csv.DictReader(lines)]


def support_clauses(criteria: Sequence[Mapping[str, Any]]) -> list[Support]:
    """What supports each clause.  criteria: entries of gates.json."""
    found = []
    for clause in read_clauses():
        named = [each for each in criteria if clause.is_named(str(each["supports"]))]
        verdicts = {str(each["verdict"]) for each in named}
        if named:
            state = REFUTED if FAIL in verdicts else SUPPORTED if verdicts == {PASS} else UNDEVELOPED
        else:
            state = ARTEFACT if clause.artefacts else NONE
        found.append(Support(clause, state, ", ".join(f"{each['id']} ({each['verdict']})" for each in named)))
    return found


def write_clauses(found: Sequence[Support]) -> str:
    """The table of a run as CSV."""
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["standard", "clause", "asks", "state", "criteria", "artefacts", "missing", "source"])
    for each in found:
        clause = each.clause
        row = [clause.standard, clause.clause, clause.asks, each.state, each.criteria]
        table.writerow([*row, clause.artefacts, clause.missing, clause.source])
    return text.getvalue()
