"""`failure-atlas case`: what an assessor's tools read, from the results as they stand, and one screen about it."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from failure_atlas.core.files import replacing
from flows.console import require_project, say
from flows.errors import FlowError
from flows.gates_command import GATES, read_gates, require_current

SHOWN = 12  # ids or clauses of one line


def case(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder that gets case/; default: this.")] = Path(),
    stale_ok: Annotated[bool, typer.Option("--stale-ok", help="From verdicts that are out of date, too.")] = False,
) -> None:
    """Write the case for the classifiers under test, and say what of it is supported.

    case/argument.gsn.yaml is an argument in the Goal Structuring Notation that gsn2x reads, over the stages of AMLAS,
    the hazards of params.yaml and the acceptance criteria; argument.svg is its picture. A criterion that passed is a
    solution, with metric, interval, count and hash of its file; one that is not assessable leaves its goal undeveloped;
    one that fails defeats it. clauses.csv says of each clause what supports it here and what does not, tool.csv what is
    known of this tool. `failure-atlas evidence` puts the same files into a bundle, and `verify` makes them again.

    Examples:
      failure-atlas case                    case/ in this project
      failure-atlas case --out ~/assessor   ~/assessor/case/
      gsn2x case/argument.gsn.yaml          the same argument, drawn and checked by another program

    Exit code: 0 written, 1 not written (named in the last line), 2 wrong command line.
    """
    require_project()
    if not stale_ok:
        require_current()
    from flows.evidence.case import FOLDERS, build_case, read_copies  # late: not for --help
    from flows.evidence.inventory import hash_path
    from flows.evidence.pipeline import PARAMS
    from flows.evidence.reading import UnreadableError, expect, parse_yaml, read_plain

    copies = read_copies(Path())

    def read(path: str) -> bytes | None:
        return copies.get(path) or (read_plain(Path(), path) if Path(path).exists() else None)

    try:
        params = expect(parse_yaml(Path(PARAMS).read_bytes()), dict, PARAMS)
        files = {path: held for folder in FOLDERS for path, held in hash_path(Path(), folder).items()}
        made = build_case(params, read_gates(GATES), read, files)
    except (UnreadableError, ValueError, KeyError, TypeError) as error:
        raise FlowError(f"no case can be made: {error}; see `python -m stages` and `dvc repro acceptance`") from error
    for path, content in {**made.files, **copies}.items():
        with replacing(out / path) as temporary:
            temporary.write_bytes(content)
        if path not in copies:
            print(out / path)
    argument = made.argument
    say(f"goals: {argument.tell()}")
    for status in ("refuted", "undeveloped"):
        say(f"{status}: {_list([node.id for node in argument.select(status) if not node.supported_by])}")
    count = Counter(each.state for each in made.clauses)
    say(f"clauses: {', '.join(f'{number} {state}' for state, number in count.items())}, of {len(made.clauses)}")
    bare = [f"{each.clause.standard} {each.clause.clause}" for each in made.clauses if each.state == "none"]
    say(f"clauses without support: {_list(bare)}")


def _list(names: list[str]) -> str:
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more if names else "none"
