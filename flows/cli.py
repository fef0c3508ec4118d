"""The command `failure-atlas`."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console

from flows.compare_command import COMPARE_HELP, compare
from flows.doctor_command import DOCTOR_HELP, doctor
from flows.environment import prepare_environment
from flows.errors import FlowError
from flows.evidence_command import EVIDENCE_HELP, KEY_HELP, evidence, key
from flows.gates_command import GATES_HELP, gates
from flows.outcome import Outcome, StageRun
from flows.reevaluate_command import REEVALUATE_HELP, reevaluate
from flows.serve_command import SERVE_HELP, serve
from flows.verify_command import VERIFY_HELP, verify
from flows.workers import AT_ONCE, MaxWorkersOption

REPRODUCE_HELP = """Bring the project up to date: run what has changed, as dvc.yaml says, and show the results.

Each stage runs through DVC, so a stage whose inputs have not changed is not run again. With a Prefect server
(PREFECT_API_URL) the run is reported there, else to a temporary server that ends with it.

\b
Examples:
  failure-atlas reproduce                          everything
  failure-atlas reproduce train_classifiers@clean  one stage and what it needs
  failure-atlas reproduce rank_dimensions          all entries of a repeated stage
  failure-atlas reproduce --force prepare_images   even if nothing has changed

Exit code: 0 all is up to date, 1 something failed (named in the last lines), 2 wrong command line.
"""

LOG_WIDTH = 120  # columns

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]},
)


@app.callback(
    help="On what kind of input does an image classifier fail, how far is it from failing, and what proves it?"
)
def describe() -> None:
    """Hold the commands; a single one would otherwise lose its name."""


@app.command(help=REPRODUCE_HELP)
def reproduce(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Stages to bring up to date; all if none is named.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Run stages even if nothing has changed.")] = False,
    max_workers: MaxWorkersOption = AT_ONCE,
) -> None:
    """Run the flow `reproduce` here and show how it went."""
    require_project()
    from flows.dag import read_dag  # DVC and Prefect take seconds to import: not for --help
    from flows.lock import hold_lock
    from flows.params_check import check_params
    from flows.server import use_api

    dag = read_dag()
    selected = dag.select(targets)
    with hold_lock():
        wait_for_api = use_api(say)
        check_params()  # here too, so that a mistake shows before the server is there
        from flows.reproduce import reproduce as flow
        from flows.terminal import show_stage_lines

        wait_for_api()
        show_stage_lines(max(map(len, selected.stages)))
        state = flow(targets, force, max_workers, return_state=True)
        runs: Any = state.result(raise_on_failure=False)
    if not isinstance(runs, list):
        raise FlowError(state.message or str(runs))
    show_summary(runs, dag.entries)
    for run in runs:
        if run.outcome is Outcome.FAILED:
            say(f"error: {run.stage}: {run.error}")
    if state.is_failed():
        raise typer.Exit(1)


app.command(help=GATES_HELP)(gates)
app.command(help=COMPARE_HELP)(compare)
app.command(help=EVIDENCE_HELP)(evidence)
app.command(help=VERIFY_HELP)(verify)
app.command(help=KEY_HELP)(key)
app.command(help=REEVALUATE_HELP)(reevaluate)
app.command(help=SERVE_HELP)(serve)
app.command(help=DOCTOR_HELP)(doctor)


def show_summary(runs: list[StageRun], entries: set[str]) -> None:
    """Print the tables of a run: its stages, and the headline metrics of the project."""
    from flows.metrics import read_metrics
    from flows.summary import metric_table, stage_table

    # A file or a pipe has no width of its own; what is cut there cannot be read again.
    console = Console(width=None if sys.stdout.isatty() else LOG_WIDTH)
    console.print()
    console.print(stage_table(runs))
    metrics = read_metrics(entries)
    if metrics:
        console.print()
        console.print(metric_table(metrics))


def require_project() -> None:
    """FlowError unless the current folder is the root of a DVC project."""
    if not Path("dvc.yaml").is_file():
        raise FlowError(f"{Path.cwd()}: no dvc.yaml here; go to the project's root and try again")


def say(line: str) -> None:
    """Tell the person at the terminal one line."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Run the command line; a mistake is told in one line and ends with exit code 1."""
    signal.signal(signal.SIGTERM, _end)
    prepare_environment()
    try:
        app()
    except FlowError as error:
        say(f"error: {error}")
        sys.exit(1)


def _end(number: int, _frame: FrameType | None) -> None:
    """End by unwinding, so that everything started here is ended too."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
