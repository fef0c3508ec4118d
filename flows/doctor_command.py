"""`failure-atlas doctor`: what may be wrong here, and what to do about it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from flows.console import open_console
from flows.errors import FlowError

DOCTOR_HELP = """Look for what is known to go wrong: versions, free disk, locks, cut files, leftovers, damaged cache.

Versions are those that break Prefect, DVC or Zarr. Cache objects are hashed again from their bytes, which DVC itself
never does. With --repair, damaged objects, partial files, results that no stage makes any more and dead locks are
moved into .dvc/quarantine/; nothing is deleted.

\b
Examples:
  failure-atlas doctor                             look, change nothing
  failure-atlas doctor --repair                    and move aside what is damaged
  failure-atlas doctor --free-gib 20               if a run is to need more disk than usual

Exit code: 0 nothing is wrong, 1 something is (or was, before --repair), 2 wrong command line.
"""


def doctor(
    repair: Annotated[
        bool, typer.Option("--repair", help="Move damaged, half-written and left-over files into .dvc/quarantine/.")
    ] = False,
    free_gib: Annotated[
        float, typer.Option("--free-gib", min=0.0, help="Disk, in GiB, that must be free for a run.")
    ] = 2.0,
) -> None:
    """Examine the project in the current folder."""
    root = Path.cwd()
    if not (root / ".dvc").is_dir():
        raise FlowError(f"{root}: no .dvc here; go to the project's root and try again")
    from flows.doctor.disk import GIB
    from flows.doctor.examination import examine  # DVC takes a second to import: not for --help
    from flows.doctor.finding import Level
    from flows.doctor.repair import repair as move_aside
    from flows.lock import hold_lock

    styles = {Level.GOOD: "green", Level.NOTE: "cyan", Level.WRONG: "bold red"}
    console = open_console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    findings = examine(root, int(free_gib * GIB))
    for finding in findings:
        console.print(Text(f"{finding.level:<6}", style=styles[finding.level]) + Text(finding.what))
        if finding.advice:
            console.print(Text(f"       {finding.advice}", style="dim"))
    if repair and any(finding.movable for finding in findings):
        with hold_lock():
            moved = move_aside(root, findings)
        for source, target in moved:
            console.print(f"moved {_short(source, root)} to {_short(target, root)}")
    wrong = sum(finding.level is Level.WRONG for finding in findings)
    console.print(f"{wrong} wrong" if wrong else "nothing is wrong")
    if wrong:
        raise typer.Exit(1)


def _short(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
