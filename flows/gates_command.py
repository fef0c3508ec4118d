"""`failure-atlas gates`: the verdicts on the acceptance criteria as a table and an exit code."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from failure_atlas.core.text import escape
from flows.compare.differences import tell_number
from flows.console import open_console, require_project
from flows.errors import FlowError
from flows.evidence.reading import UnreadableError, read_plain

GATES = Path("data/acceptance/gates.json")
STAGE = "acceptance"
PASS, FAIL, NOT_ASSESSABLE = "pass", "fail", "not assessable"
STYLES = {PASS: "green", FAIL: "bold red", NOT_ASSESSABLE: "yellow"}
EXIT_CODES = {PASS: 0, FAIL: 1, NOT_ASSESSABLE: 3}
Criteria = list[dict[str, Any]]
HEADER = ("criterion", "verdict", "found", "asked for", "why", "supports")
COLUMNS = 140  # where there is no terminal


def gates(
    file: Annotated[Path | None, typer.Option("--file", help="Another gates.json to show.")] = None,
    stale_ok: Annotated[bool, typer.Option("--stale-ok", help="Show them even if out of date.")] = False,
) -> None:
    """Show the verdicts on the acceptance criteria, and end with an exit code for CI.

    The stage `acceptance` decides them; this command reads what it left. It refuses to show verdicts that are older
    than what they rest on, unless --stale-ok is given.

    Examples:
      failure-atlas gates                              this project's verdicts
      failure-atlas gates --file BUNDLE/gates.json     those of a bundle, or in a clone without data
      failure-atlas reproduce acceptance && failure-atlas gates

    Exit code: 0 all criteria pass, 1 one fails (or there are no verdicts to show), 2 wrong command line, 3 none fails
    but some are not assessable.
    """
    if file is None and not stale_ok:
        require_current()
    criteria = read_gates(file or GATES)
    console = open_console(COLUMNS)
    console.print(gate_table(criteria))
    console.print(count_verdicts(criteria), highlight=False)
    if code := EXIT_CODES[conclude(criteria)]:
        raise typer.Exit(code)


def read_gates(path: Path) -> Criteria:
    """The criteria of a gates.json; FlowError if it is missing, cut or of another form."""
    if not path.exists():
        raise FlowError(f"{path}: missing; make it with: failure-atlas reproduce {STAGE}")
    try:
        real = path.resolve()
        return parse_gates(read_plain(real.parent, real.name))
    except ValueError as error:
        told = error.what if isinstance(error, UnreadableError) else error
        raise FlowError(f"{path}: {told}; make it again with: failure-atlas reproduce {STAGE}") from error


def parse_gates(data: bytes) -> Criteria:
    """The criteria in the bytes of a gates.json; ValueError if it is of another form, or holds none."""
    from flows.evidence.reading import parse_json  # with a YAML parser, which takes its time: not for --help

    try:
        criteria = parse_json(data)["criteria"]
        known = bool(criteria) and all(each["verdict"] in STYLES and each["id"] for each in criteria)
    except ValueError as error:
        raise ValueError(f"no JSON ({error})") from error
    except (KeyError, TypeError) as error:
        raise ValueError(f"no list of criteria with id and verdict ({error})") from error
    if not known:
        raise ValueError(f"no criteria, or a verdict other than {', '.join(STYLES)}")
    return list(criteria)


def conclude(criteria: Criteria) -> str:
    """The verdict over all criteria: fail if one failed, else not assessable if one is, else pass."""
    verdicts = {each["verdict"] for each in criteria}
    return next((verdict for verdict in (FAIL, NOT_ASSESSABLE) if verdict in verdicts), PASS)


def count_verdicts(criteria: Criteria) -> str:
    """How many criteria got each verdict, in one line."""
    return ", ".join(f"{len(ids)} {verdict}" for verdict, ids in _sort(criteria).items())


def tell_verdicts(criteria: Criteria) -> str:
    """All verdicts in one line, naming what did not pass."""
    ids = _sort(criteria)
    open_ones = [f"; {verdict}: {', '.join(ids[verdict])}" for verdict in (FAIL, NOT_ASSESSABLE) if ids[verdict]]
    return f"{len(ids[PASS])} of {len(criteria)} criteria pass{''.join(open_ones)}"


def _sort(criteria: Criteria) -> dict[str, list[str]]:
    """Verdict -> the ids of the criteria that got it."""
    return {verdict: [str(each["id"]) for each in criteria if each["verdict"] == verdict] for verdict in STYLES}


def gate_table(criteria: Criteria) -> Table:
    """The criteria for the terminal, colours by verdict."""
    table = Table(title="Acceptance criteria", title_justify="left", title_style="bold")
    for name in HEADER:
        table.add_column(name, overflow="fold", no_wrap=name in ("verdict", "asked for"))
    for each in criteria:
        asked = f"{each.get('comparison', '')} {tell_number(each.get('bar'))}"
        row = (each["id"], each["verdict"], tell_found(each), asked, each.get("because", ""), each.get("supports", ""))
        table.add_row(*(Text(escape(cell)) for cell in row), style=STYLES[each["verdict"]])
    return table


def tell_found(criterion: dict[str, Any]) -> str:
    """Value, interval and sample count in one line."""
    found = held if isinstance(held := criterion.get("found"), dict) else {}
    value, low, high = (tell_number(found.get(key)) for key in ("value", "low", "high"))
    text = value if low == high == tell_number(None) else f"{value} [{low}, {high}]"
    return text + (f", n={found['n']:,}" if isinstance(found.get("n"), int) else "")


def require_current() -> None:
    """FlowError if the stage that makes the verdicts, or one before it, is not up to date."""
    require_project()
    from dvc.exceptions import DvcException  # DVC takes a second to import: not for --help
    from dvc.repo import Repo

    from flows.dag import tell

    try:
        with Repo() as repo:
            changed = repo.status([STAGE], with_deps=True)
    except DvcException as error:
        raise FlowError(f"DVC cannot tell whether {GATES} is up to date: {tell(error)}") from error
    if changed:
        raise FlowError(
            f"{GATES}: not up to date, for these stages have changed: {', '.join(sorted(changed))}; run: "
            f"failure-atlas reproduce {STAGE}, or see the old verdicts with --stale-ok"
        )
