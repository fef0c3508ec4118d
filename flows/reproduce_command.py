"""The commands `failure-atlas reproduce` and `metrics`."""

import gc
import os
from contextlib import chdir
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.console import open_console, require_project, say
from flows.errors import FlowError
from flows.findings import tell_findings
from flows.outcome import Outcome, StageRun
from flows.workers import AT_ONCE, MaxWorkersOption

REPRODUCE_HELP = """Bring the project up to date: run what has changed, as dvc.yaml says, and tell what was found.

Each stage runs through DVC, so a stage whose inputs have not changed is not run again. With a Prefect server
(PREFECT_API_URL) the run is reported there, else, if there is anything to do, to a temporary server that ends with it.

\b
Examples:
  failure-atlas reproduce                          everything
  failure-atlas reproduce train_classifiers@clean  one stage and what it needs
  failure-atlas reproduce rank_dimensions          all entries of a repeated stage
  failure-atlas reproduce --force prepare_images   even if nothing has changed
  failure-atlas reproduce --study                  the larger studies of study/dvc.yaml; after all the others

Exit code: 0 all is up to date, 1 something failed (named in the last lines), 2 wrong command line.
"""

METRICS_HELP = """Show the headline metrics of all stages as a table: value, 95 % interval, sample count.

Plain counts and groups are left to `dvc metrics show`. Exit code: 0.
"""


StudyOption = Annotated[
    bool, typer.Option("--study", help="In study/, a DVC project of its own, which builds on the results of this one.")
]


def reproduce(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Stages to bring up to date; all if none is named.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Run stages even if nothing has changed.")] = False,
    max_workers: MaxWorkersOption = AT_ONCE,
    study: StudyOption = False,
) -> None:
    """Run the flow `reproduce` here and show how it went."""
    require_project(study)
    gc.set_threshold(1_000_000)  # DVC makes objects by the million that live to the end
    from flows.dag import read_all_changes, read_dag  # DVC and Prefect take seconds to import: not for --help
    from flows.lock import hold_lock
    from flows.params_check import STUDY, check_params
    from flows.server import use_api

    place, more = (STUDY, "failure-atlas metrics --study") if study else (Path(), "failure-atlas metrics")
    with hold_lock():
        with chdir(place):
            selected = read_dag().select(targets)
            if not force and not os.environ.get("PREFECT_API_URL"):
                runs: Any = [StageRun(stage, Outcome.CACHED) for stage in selected.stages]
                if not selected.needs.keys() & read_all_changes().keys():
                    print(*tell_findings(runs, more), sep="\n")
                    return
        wait_for_api = use_api(say)
        check_params(study)  # here too, so that a mistake shows before the server is there
        from flows.reproduce import reproduce as flow
        from flows.terminal import show_stage_lines

        wait_for_api()
        show_stage_lines(max(map(len, selected.stages)))
        state = flow(targets, force, max_workers, study, return_state=True)
        runs = state.result(raise_on_failure=False)
    if not isinstance(runs, list):
        raise FlowError(state.message or str(runs))
    with chdir(place):
        print("", *tell_findings(runs, more), sep="\n")
    for run in runs:
        if run.outcome is Outcome.FAILED:
            say(f"error: {run.stage}: {run.error}")
    if state.is_failed():
        raise typer.Exit(1)


def metrics(study: StudyOption = False) -> None:
    """Print the table of the metrics that dvc.yaml declares."""
    require_project(study)
    from flows.dag import read_dag
    from flows.metrics import read_metrics
    from flows.params_check import STUDY
    from flows.summary import metric_table

    with chdir(STUDY if study else Path()):
        open_console().print(metric_table(read_metrics(read_dag().entries)))
