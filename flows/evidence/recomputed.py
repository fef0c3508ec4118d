"""The verdicts of a bundle computed again from its params and metrics, and held against the files and the page.

Acceptance criteria and the paper's claims are decided again; the page must show these verdicts, and the metrics that it
embeds must be those of the files.
"""

import csv
import html
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from types import SimpleNamespace
from typing import Any

from failure_atlas.core.errors import StageError
from failure_atlas.decisions.acceptance import Criterion, Verdict, check_together, count_verdicts, decide_all
from failure_atlas.decisions.claims import Sources, check_claims, list_sources, read_areas
from failure_atlas.decisions.claims import count_verdicts as count_claims
from failure_atlas.decisions.metrics import Metrics, find_estimate
from failure_atlas.statistics.estimates import Estimate
from flows.evidence.folder import Contents
from flows.evidence.inventory import is_below
from flows.evidence.pipeline import PAGE, PARAMS, PlannedStage, list_metrics
from flows.evidence.reading import Problem, UnreadableError, expect, parse_json, tell

ACCEPTANCE = "data/acceptance"
GATES = f"{ACCEPTANCE}/gates.json"
COUNTS = f"{ACCEPTANCE}/metrics.json"
CLAIMS_STAGE = "check_claims"
CLAIMS = f"data/{CLAIMS_STAGE}"
MOST_CRITERIA = 1000
TABLE_BYTES = 4 << 20
MOST, LONGEST = 10, 10_000  # verdicts of one criterion, and bytes of a cell, that are looked at
# In bytes and each in one pass: a page may be large, and a stranger's.
_OPEN = re.compile(rb"<script\b", re.IGNORECASE)
_CLOSE = re.compile(rb"</script", re.IGNORECASE)
_ID = re.compile(rb"\sid\s*=\s*[\"']?metrics[\"'\s>]", re.IGNORECASE)
_TYPE = re.compile(rb"\stype\s*=\s*[\"']?application/json[\"'\s>]", re.IGNORECASE)
# A criterion's row: its name in the head, its verdict as the badge of the next cell.
_ROW = re.compile(rb'<th scope="row">([^<]*)</th><td><span class="badge [a-z]+">([^<]*)</span>')


def read_criteria(params: Mapping[str, Any]) -> list[Criterion]:
    """The acceptance criteria of params.yaml; ValueError that names the key."""
    section = expect(params.get("acceptance"), dict, "acceptance")
    read = expect(section.get("criteria"), list, "acceptance.criteria")
    if not 0 < len(read) <= MOST_CRITERIA:
        raise ValueError(f"acceptance.criteria: {len(read)} entries; allowed: 1 to {MOST_CRITERIA}")
    criteria = []
    for number, entry in enumerate(read):
        place = f"acceptance.criteria.{number}"
        try:
            criteria.append(Criterion.model_validate(expect(entry, dict, place)))
        except ValueError as error:
            raise ValueError(f"{place}: {tell(' '.join(str(error).split()))}") from error
    check_together(criteria)
    return criteria


def compare_verdicts(
    params: Mapping[str, Any], plan: Mapping[str, PlannedStage], contents: Contents, decided: list[Verdict]
) -> Iterator[Problem]:
    """Decide all again from the metrics that the stages may ask; where files tell otherwise.

    decided: takes the verdicts up.  UnreadableError where nothing can be decided.
    """
    try:
        criteria = read_criteria(params)
    except ValueError as error:
        raise UnreadableError(PARAMS, str(error)) from error
    read = plan["acceptance"].deps
    decided += decide_again(criteria, contents, {path for path in list_metrics(plan) if is_below(path, read)})
    yield from compare_gates(decided, contents)
    if CLAIMS_STAGE in plan:
        yield from compare_claims(params, contents)


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
    gates = [verdict.as_dict() for verdict in verdicts]
    yield from _compare(GATES, {"criteria": gates}, contents.parse(GATES, contents.json))
    yield from _compare(COUNTS, count_verdicts(verdicts), contents.parse(COUNTS, contents.json))
    rows = [{key: gate[key] for key in gate if key != "found"} | gate["found"] for gate in gates]
    yield from _compare_tables(f"{ACCEPTANCE}/", "/gates.csv", rows, contents)


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
    path = f"{CLAIMS}/metrics.json"
    yield from _compare(path, count_claims(claims), _read_object(contents, path))
    path = f"{CLAIMS}/claims.json"
    told = expect(_read_object(contents, path).get("claims"), list, "claims")
    yield from _compare(path, [claim.as_dict() for claim in claims], told)
    rows = [{key: getattr(claim, key) for key in ("id", "verdict", "corrected_verdict")} for claim in claims]
    yield from _compare_tables(f"{CLAIMS}/", "/claims.csv", rows, contents)


def round_number(value: Any) -> Any:
    """A number as the stages write it: six significant digits, and null for what is not finite."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _read_object(contents: Contents, path: str) -> dict[str, Any]:
    return contents.parse(path, lambda data: expect(contents.json(data), dict, "content"))


def _compare(path: str, wanted: Any, held: Any) -> Iterator[Problem]:
    """Where a parsed file holds anything else than was computed."""
    for key, value, found in _differ(wanted, held):
        yield Problem(path, f"{key}: holds {found}; computed again from the metrics: {value}")


def _differ(wanted: Any, held: Any, key: str = "") -> Iterator[tuple[str, str, str]]:
    """Where two parsed files are unlike: the key, and what each holds there, in words; numbers may be rounded."""
    if isinstance(wanted, dict) and isinstance(held, dict):
        for name in sorted({*wanted, *held}):
            inner = f"{key}.{name}" if key else name
            if name in held and name in wanted:
                yield from _differ(wanted[name], held[name], inner)
            else:
                one, two = (tell(side[name]) if name in side else "nothing" for side in (wanted, held))
                yield inner, one, two
    elif isinstance(wanted, list) and isinstance(held, list) and len(wanted) == len(held):
        for place, (one, two) in enumerate(zip(wanted, held, strict=True)):
            name = one.get("id", place) if isinstance(one, dict) else place
            yield from _differ(one, two, f"{key}.{name}" if key else str(name))
    else:
        value = round_number(wanted)
        if isinstance(value, bool) != isinstance(held, bool) or held not in (value, wanted):
            yield key, tell(value), tell(held)


def _compare_tables(start: str, end: str, wanted: Sequence[Mapping[str, Any]], contents: Contents) -> Iterator[Problem]:
    """Where the rows of tables hold something else, in the columns that were computed."""

    def read(data: bytes) -> list[dict[str, Any]]:
        table = csv.DictReader(_open_table(data), restkey="", restval="")
        if len(set(table.fieldnames or ())) < len(table.fieldnames or ()):
            raise ValueError("two columns of one name")
        return list(islice(table, len(wanted) + 1))

    for path in sorted(path for path in contents.files if path.startswith(start) and path.endswith(end)):
        rows = contents.parse(path, read)
        if [row.get("id") for row in rows] != [each["id"] for each in wanted]:
            yield Problem(path, "other rows than the verdicts that were computed again")
            continue
        for row, each in zip(rows, wanted, strict=True):
            for column, value in each.items():
                if not _same_cell(value, held := row.get(column)):
                    yield Problem(path, f"{each['id']}: {column} is {tell(held)}; computed again: {tell(value)}")


def _open_table(data: bytes) -> io.StringIO:
    """The text of a table, in which a cell may hold line ends."""
    if len(data) > TABLE_BYTES:
        raise ValueError(f"{len(data)} bytes of a table; at most {TABLE_BYTES} are read")
    return io.StringIO(data.decode(), newline="")


def _same_cell(value: Any, held: Any) -> bool:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return bool(held == "")
    if not isinstance(value, float):
        return bool(held == str(value))
    try:
        return bool(round_number(float(held)) == round_number(value))
    except (TypeError, ValueError):
        return False


def read_shown(page: bytes, parse: Callable[[bytes], Any] = parse_json) -> dict[str, Any] | None:
    """The metrics that a page embeds (`<script type="application/json" id="metrics">`), by their paths below data/.

    None if it embeds none; ValueError if what it embeds is no such table.
    """
    found, place = [], 0
    while begin := _OPEN.search(page, place):
        start = page.find(b">", begin.end()) + 1
        end = _CLOSE.search(page, start) if start else None
        if end is None:
            raise ValueError("a script that does not end")
        if _ID.search(page, begin.end(), start) and _TYPE.search(page, begin.end(), start):
            found.append(page[start : end.start()])
        place = end.end()
    if not found:
        return None
    if len(found) > 1:
        raise ValueError(f"{len(found)} scripts with the id metrics; allowed: one")
    return expect(parse(found[0]), dict, "the script metrics")


def compare_report(contents: Contents, decided: Sequence[Verdict]) -> Iterator[Problem]:
    """Where the page shows other metrics than the files hold, or other verdicts than these."""
    if PAGE not in contents.files:
        yield Problem(PAGE, "no page; a run without a report is no evidence of anything")
        return
    # Any JSON file may be shown, not metrics alone; those at the root tell of the bundle.
    held = {name for name in contents.files if name.endswith(".json") and "/" in name}
    shown = contents.parse(PAGE, lambda page: read_shown(page, contents.json)) or {}
    asked = held.intersection(path for key in shown for path in name_files(key))
    yield from compare_shown(PAGE, shown, {path: contents.parse(path, contents.json) for path in asked})
    if COUNTS not in asked:
        yield Problem(PAGE, f"embeds no metrics of {COUNTS}, which count the verdicts")
    yield from _compare_badges(PAGE, contents.read(PAGE), decided)


def _compare_badges(name: str, page: bytes, verdicts: Sequence[Verdict]) -> Iterator[Problem]:
    """Where the row that a page shows of a criterion tells another verdict than the metrics give, or is not there."""
    heads = [f"{verdict.criterion.id} ({verdict.criterion.metric})" for verdict in verdicts]
    rows: dict[str, set[str]] = {head: set() for head in heads}
    for row in _ROW.finditer(page.replace(b"<wbr>", b"")):  # where a line may break: nothing that a reader sees
        seen = rows.get(html.unescape(row[1][:LONGEST].decode(errors="replace")))
        if seen is not None and len(seen) < MOST:
            seen.add(row[2][:LONGEST].decode(errors="replace"))
    for head, verdict in zip(heads, verdicts, strict=True):
        if rows[head] != {verdict.verdict}:
            told = ", ".join(sorted(rows[head])) or "no verdict"
            yield Problem(name, f"shows {told} for {verdict.criterion.id}; the metrics give: {verdict.verdict}")


def compare_shown(page: str, shown: Mapping[str, Any], files: Mapping[str, Any]) -> Iterator[Problem]:
    """Where a page shows other metrics than the files hold.  files: path in the project -> its parsed JSON."""
    for key, value in shown.items():
        path = next((path for path in name_files(key) if path in files), None)
        if path is None:
            yield Problem(page, f"shows metrics of {key}, a file that the bundle does not hold")
        else:
            for place, held, found in _differ(files[path], value):
                yield Problem(page, f"{path}: {place or 'all'}: the page shows {found}, the file holds {held}")


def name_files(key: str) -> tuple[str, ...]:
    """The paths in the project that a key of the embedded metrics may stand for."""
    return key, f"data/{key}", f"data/{key}/metrics.json"
