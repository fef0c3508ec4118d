"""The verdicts of a bundle computed again from its params and metrics: acceptance criteria and the paper's claims."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import SimpleNamespace
from typing import Any

from failure_atlas.core.errors import StageError
from failure_atlas.decisions.acceptance import Criterion, Verdict, check_together, count_verdicts, decide_all
from failure_atlas.decisions.claims import Claim, Sources, check_claims, list_sources, read_areas
from failure_atlas.decisions.claims import count_verdicts as count_claims
from failure_atlas.decisions.metrics import Metrics, find_estimate
from failure_atlas.statistics.estimates import OPERATORS, VERDICTS, Estimate
from flows.evidence.folder import Contents
from flows.evidence.parsing import expect
from flows.evidence.problem import Problem
from flows.evidence.reading import UnreadableError, tell

ACCEPTANCE = "data/acceptance"
GATES = f"{ACCEPTANCE}/gates.json"
COUNTS = f"{ACCEPTANCE}/metrics.json"
CLAIMS = "data/check_claims"
MOST_CRITERIA = 1000
TABLE_BYTES = 4 << 20


def read_criteria(params: Mapping[str, Any]) -> list[Criterion]:
    """The acceptance criteria of params.yaml; ValueError that names the key."""
    section = expect(params.get("acceptance"), dict, "acceptance")
    read = expect(section.get("criteria"), list, "acceptance.criteria")
    if not 0 < len(read) <= MOST_CRITERIA:
        raise ValueError(f"acceptance.criteria: {len(read)} entries; allowed: 1 to {MOST_CRITERIA}")
    criteria = [_read_criterion(entry, f"acceptance.criteria.{place}") for place, entry in enumerate(read)]
    check_together(criteria)
    return criteria


def decide_again(criteria: Sequence[Criterion], contents: Contents, metrics: set[str]) -> list[Verdict]:
    """The verdict on each criterion; UnreadableError that names the metrics file if it cannot be decided.

    metrics: files that may be asked, those that dvc.yaml calls metrics.
    """
    found: dict[str, Estimate] = {}
    for criterion in criteria:
        path = f"data/{criterion.folder}/metrics.json"
        if path not in metrics:
            raise UnreadableError("params.yaml", f"criterion {criterion.id} asks for {path}, no metrics file")
        content = _read_object(contents, path)
        try:
            found[criterion.id] = find_estimate(content, criterion.key)
        except (KeyError, TypeError) as error:
            told = f"no number at {criterion.key}, for which {criterion.id} asks ({error})"
            raise UnreadableError(path, told) from error
    return decide_all(criteria, found)


def compare_gates(verdicts: Sequence[Verdict], contents: Contents) -> Iterator[Problem]:
    """Where the files of acceptance tell otherwise than the verdicts computed here."""
    wanted = {"criteria": [verdict.as_dict() for verdict in verdicts]}
    yield from _compare(GATES, wanted, contents.parse(GATES, contents.json))
    yield from _compare(COUNTS, count_verdicts(verdicts), contents.parse(COUNTS, contents.json))
    rows = [{"id": verdict.criterion.id, **_flatten(verdict.as_dict())} for verdict in verdicts]
    for path in sorted(contents.files):
        if path.startswith(f"{ACCEPTANCE}/") and path.endswith("/gates.csv"):
            yield from _compare_rows(path, rows, contents)


def compare_claims(params: Mapping[str, Any], contents: Contents) -> Iterator[Problem]:
    """Where the files of check_claims tell otherwise than the claims computed here from the metrics of the bundle."""
    section = expect(params.get("check_claims"), dict, "check_claims")
    for key in ("trained_on_clean", "trained_on_corrupted"):
        expect(section.get(key), str, key)
    bars = SimpleNamespace(**section)

    def read(stage: str, name: str) -> Metrics:
        place = f"{stage}/{name}" if name else stage
        return Metrics(place, _read_object(contents, f"data/{place}/metrics.json"))

    areas = contents.parse("data/compute_curves/areas.csv", lambda data: read_areas(_open_table(data)))
    metrics = [read(stage, name) for stage, name in list_sources(bars)]
    try:
        claims = check_claims(Sources({each.name: each for each in metrics}, areas), bars)
    except (StageError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise UnreadableError(f"{CLAIMS}/claims.json", f"cannot be computed again ({tell(error)})") from error
    counts = {name.replace(" ", "_"): count for name, count in count_claims(claims, VERDICTS).items()}
    path = f"{CLAIMS}/metrics.json"
    yield from _compare(path, {"claims": len(claims), **counts}, _read_object(contents, path))
    path = f"{CLAIMS}/claims.json"
    told = expect(_read_object(contents, path).get("claims"), list, "claims")
    kept = [{key: claim[key] for key in claim if key != "figure"} for claim in told if isinstance(claim, dict)]
    yield from _compare(path, [_describe(claim) for claim in claims], kept)
    rows = [{"id": claim.id, "verdict": claim.verdict} for claim in claims]
    for path in sorted(contents.files):
        if path.startswith(f"{CLAIMS}/") and path.endswith("/claims.csv"):
            yield from _compare_rows(path, rows, contents)


def round_number(value: Any) -> Any:
    """A number as the stages write it: six significant digits, and null for what is not finite."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _read_criterion(entry: Any, place: str) -> Criterion:
    values = expect(entry, dict, place)
    if extra := values.keys() - Criterion.model_fields.keys():
        raise ValueError(f"{place}: no such key: {tell(extra)}")
    read: dict[str, Any] = {
        key: float(value) if key == "bar" and type(value) is int else value for key, value in values.items()
    }
    for key, kind in (
        *((key, str) for key in ("id", "metric", "comparison", "reason", "supports")),
        *(("bar", float), ("min_samples", int), ("needs_generator", bool)),
    ):
        if key in read or key not in ("min_samples", "needs_generator"):
            expect(read.get(key), kind, f"{place}.{key}")
    known = read["comparison"] in OPERATORS and math.isfinite(read["bar"])
    if not known or read.get("gate") not in (None, "generator"):
        raise ValueError(f"{place}: comparison, bar or gate is none that is known")
    return Criterion(**read)


def _describe(claim: Claim) -> dict[str, Any]:
    return {
        **{key: getattr(claim, key) for key in ("id", "claim", "source", "verdict", "rule")},
        "evidence": {name: estimate.as_dict() for name, estimate in claim.evidence.items()},
    }


def _read_object(contents: Contents, path: str) -> dict[str, Any]:
    return contents.parse(path, lambda data: expect(contents.json(data), dict, "content"))


def _flatten(entry: dict[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in entry.items() if key != "found"}, **entry["found"]}


def _compare(path: str, wanted: Any, held: Any, key: str = "") -> Iterator[Problem]:
    """Where a parsed file holds anything else than was computed."""
    if isinstance(wanted, dict) and isinstance(held, dict):
        for name in sorted({*wanted, *held}):
            inner = f"{key}.{name}" if key else name
            if name not in held or name not in wanted:
                yield Problem(path, f"{inner}: {'missing' if name in wanted else 'nothing that was computed again'}")
            else:
                yield from _compare(path, wanted[name], held[name], inner)
    elif isinstance(wanted, list) and isinstance(held, list) and len(wanted) == len(held):
        for place, (one, two) in enumerate(zip(wanted, held, strict=True)):
            name = one.get("id", place) if isinstance(one, dict) else place
            yield from _compare(path, one, two, f"{key}.{name}" if key else str(name))
    else:
        value = round_number(wanted)
        same_kind = isinstance(value, bool) == isinstance(held, bool)
        if not same_kind or value != held:
            yield Problem(path, f"{key}: holds {tell(held)}; computed again from the metrics: {tell(value)}")


def _compare_rows(path: str, wanted: Sequence[Mapping[str, Any]], contents: Contents) -> Iterator[Problem]:
    """Where the rows of a table hold something else, in the columns that were computed."""

    def read(data: bytes) -> list[dict[str, Any]]:
        table = csv.DictReader(_open_table(data), restkey="", restval="")
        if len(set(table.fieldnames or ())) < len(table.fieldnames or ()):
            raise ValueError("two columns of one name")
        return list(islice(table, len(wanted) + 1))

    rows = contents.parse(path, read)
    if [row.get("id") for row in rows] != [each["id"] for each in wanted]:
        yield Problem(path, "other rows than the verdicts that were computed again")
        return
    for row, each in zip(rows, wanted, strict=True):
        for column, value in each.items():
            held = row.get(column)
            if not _same_cell(value, held):
                yield Problem(path, f"{each['id']}: {column} is {tell(held)}; computed again: {tell(value)}")


def _open_table(data: bytes) -> io.StringIO:
    """The text of a table, in which a cell may hold line ends."""
    if len(data) > TABLE_BYTES:
        raise ValueError(f"{len(data)} bytes of a table; at most {TABLE_BYTES} are read")
    return io.StringIO(data.decode(), newline="")


def _same_cell(value: Any, held: Any) -> bool:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return bool(held == "")
    if isinstance(value, float):
        try:
            return bool(round_number(float(held)) == round_number(value))
        except (TypeError, ValueError):
            return False
    return bool(held == str(value))
