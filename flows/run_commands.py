"""The commands that run a project and look after it: reproduce, metrics, reevaluate, serve, doctor.

DVC and Prefect take seconds to import: not for --help, which shows the docstring of a command.
"""

import gc
import os
import time
from contextlib import ExitStack, chdir
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from flows.console import open_console, require_project, say
from flows.errors import FlowError
from flows.findings import tell_findings
from flows.gates_command import PASS
from flows.outcome import Outcome, StageRun
from flows.project import AT_ONCE

MaxWorkersOption = Annotated[
    int, typer.Option("--max-workers", min=1, help="Stages at once; each one may use all cores, so more gain little.")
]
StudyOption = Annotated[
    bool, typer.Option("--study", help="In study/, a DVC project of its own, which builds on the results of this one.")
]


def reproduce(
    targets: Annotated[list[str] | None, typer.Argument(help="Stages to bring up to date; default: all.")] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Run stages even if nothing has changed.")] = False,
    max_workers: MaxWorkersOption = AT_ONCE,
    study: StudyOption = False,
) -> None:
    """Bring the project up to date: run what has changed, as dvc.yaml says, and tell what was found.

    Each stage runs through DVC, so a stage whose inputs have not changed is not run again. With a Prefect server
    (PREFECT_API_URL) the run is reported there, else, if there is anything to do, to a temporary server that ends with
    it. With a Dask scheduler (DASK_SCHEDULER_ADDRESS) its workers run the stages, each in a clone of the project.

    Examples:
      failure-atlas reproduce                          everything
      failure-atlas reproduce train_classifiers@clean  one stage and what it needs
      failure-atlas reproduce rank_dimensions          all entries of a repeated stage
      failure-atlas reproduce --force prepare_images   even if nothing has changed
      failure-atlas reproduce --study                  the larger studies of study/dvc.yaml; after all the others

    Exit code: 0 all is up to date, 1 something failed (named in the last lines), 2 wrong command line.
    """
    require_project(study)
    gc.set_threshold(1_000_000)  # DVC makes objects by the million that live to the end
    from flows.dag import read_all_changes, read_dag
    from flows.project import STUDY, check_params, hold_lock
    from flows.server import use_api

    place, more = (STUDY, "failure-atlas metrics --study") if study else (Path(), "failure-atlas metrics")
    with hold_lock():
        with chdir(place):
            look = not force and not os.environ.get("PREFECT_API_URL")
            dag, changes = read_all_changes() if look else (read_dag(), {})
            selected = dag.select(targets)
            if look and not selected.needs.keys() & changes.keys():
                runs: Any = [StageRun(stage, Outcome.CACHED) for stage in selected.stages]
                print(*tell_findings(runs, more), sep="\n")
                return
        wait_for_api = use_api(say)
        check_params(study)  # here too, so that a mistake shows before the server is there
        from flows.console import show_stage_lines
        from flows.reproduce import reproduce as flow

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
    """Show the headline metrics of all stages as a table: value, 95 % interval, sample count.

    Plain counts and groups are left to `dvc metrics show`. Exit code: 0.
    """
    require_project(study)
    from flows.dag import read_dag
    from flows.metrics import metric_table, read_metrics
    from flows.project import STUDY

    with chdir(STUDY if study else Path()):
        open_console().print(metric_table(read_metrics(read_dag().entries)))


def reevaluate(
    pull: Annotated[bool, typer.Option("--pull", help="First run `dvc pull`, if a remote is configured.")] = False,
    frozen_population: Annotated[bool, typer.Option("--frozen-population", help="Refuse a new population.")] = False,
    evidence: Annotated[bool, typer.Option("--evidence/--no-evidence", help="Make the signed bundle.")] = True,
    max_workers: MaxWorkersOption = AT_ONCE,
) -> None:
    """Evaluate again after a change of data, weights or code, and judge the result.

    In this order: pull data (with --pull, if a DVC remote is configured), reproduce what has changed, read the verdicts
    on the acceptance criteria, make the evidence bundle, compare it with the last accepted one, and tell whoever is
    configured to be told. The bundle is signed with the key of `failure-atlas key`. One whose criteria all pass becomes
    the accepted one (evidence/accepted holds its name).

    FAILURE_ATLAS_WEBHOOK: an http(s) address, as of a chat, that is told how it ended.
    FAILURE_ATLAS_EMAIL: a mail server and whom to tell, smtp://USER:PASSWORD@HOST:587?from=ADDRESS&to=ADDRESS.
    By default only the log is told.

    Examples:
      failure-atlas reevaluate                      everything
      failure-atlas reevaluate --pull               with data from the DVC remote
      failure-atlas reevaluate --frozen-population  a new classifier, paired with the old one on the same images
      failure-atlas reevaluate --no-evidence        a look: no bundle, nothing is accepted

    Exit code: 0 all criteria pass, 1 something broke or a criterion fails (named in the last lines), 2 wrong command
    line, 3 no criterion fails but not all can be assessed.
    """
    require_project()
    from flows.dag import read_dag
    from flows.project import check_params, hold_lock
    from flows.reevaluate_population import require_frozen
    from flows.reevaluate_steps import require_evidence
    from flows.server import use_api

    dag = read_dag()
    with hold_lock():  # only to look: the flow takes it, and frees it for the command that bundles
        if frozen_population:
            require_frozen(dag)  # here too, so that a mistake shows before the server is there
        if evidence:
            require_evidence()
        if not pull:  # which may fetch what is missing; the flow checks them after it
            check_params()
    wait_for_api = use_api(say)
    from flows.console import show_stage_lines
    from flows.reevaluate import SKIPPED, STATES, Evaluation
    from flows.reevaluate import reevaluate as flow

    wait_for_api()
    show_stage_lines(max(map(len, [*dag.stages, "reproduce"])))
    state = flow(pull, frozen_population, evidence, max_workers, return_state=True)
    if state.name == SKIPPED:
        raise FlowError((state.message or "").removeprefix("skipped: "))
    evaluation: Any = state.result(raise_on_failure=False)
    if not isinstance(evaluation, Evaluation):
        raise FlowError(state.message or str(evaluation))
    if evaluation.runs:
        print("", *tell_findings(evaluation.runs), sep="\n")
    for step in evaluation.steps:
        say(str(step))
    if state.is_failed():
        say(f"error: {state.message}")
        raise typer.Exit(1)
    if state.name != STATES[PASS]:
        raise typer.Exit(3)


if TYPE_CHECKING:
    import subprocess

POLL_SECONDS = 0.5
YEAR = 366 * 24 * 3600  # seconds


def serve(
    cron: Annotated[str | None, typer.Option("--cron", help="When, as a cron line in UTC.")] = None,
    every: Annotated[int | None, typer.Option("--every", min=1, max=YEAR, help="Seconds between runs.")] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Of the server on this machine.")] = 4200,
) -> None:
    """Re-evaluate on a schedule, as prefect.yaml says: start a Prefect server, a worker and the schedule.

    Runs until it is ended (Ctrl-C, SIGTERM); it then ends all that it started. With PREFECT_API_URL that server is
    used, else the one at --port if it answers, else one is started there, with its page at http://127.0.0.1:PORT.

    One run at a time: a run that falls due while another is at work, scheduled or by hand, is cancelled or skipped with
    the reason. Schedules that were missed while this was not running are made up for by one run.

    Examples:
      failure-atlas serve                        as prefect.yaml says: every night at 03:00 UTC
      failure-atlas serve --cron "30 6 * * 1-5"  instead of that, at 06:30 UTC from Monday to Friday
      failure-atlas serve --every 3600           instead of that, every hour

    Several checkouts may use one server: each has a deployment and a worker of its own, named after it. The printed
    `prefect deployment run` starts a run now, from a shell with PREFECT_API_URL set as it is printed.

    Exit code: 1 something that it needs did not start or ended, 2 wrong command line, 130 or 143 ended by signal.
    """
    require_project()
    if cron is not None and every is not None:
        raise FlowError("--cron and --every: both given; allowed: one of them")
    from flows.children import end_supervised
    from flows.project import hold_lock
    from flows.server import probe_api, require_api

    given = os.environ.get("PREFECT_API_URL", "")
    url = given or f"http://127.0.0.1:{port}/api"
    os.environ["PREFECT_API_URL"] = url  # before Prefect is imported, which reads it then
    from flows import serve as service
    from flows.serve_deployment import deploy, deployment_name, read_deployment

    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(service.SERVE_LOCK))
        except FlowError as error:
            holder = str(error).partition("(")[2].partition(")")[0]
            raise FlowError(f"failure-atlas serve is at work in this project ({holder}); end it first") from error
        asked = read_deployment(cron, every)
        running: dict[str, subprocess.Popen[str]] = {}
        # The worker goes first, so that the server still hears how its runs end.
        stack.callback(lambda: [end_supervised(process) for process in reversed(running.values())])
        if given:
            require_api(url)
        elif probe_api(url) is not None:
            say("starting a Prefect server, which takes some seconds")
            running[f"server (see {service.SERVER_LOG})"] = service.start_lasting_server(port)
        for line in [*deploy(asked), *service.mend_runs()]:
            say(line)
        running[f"worker (see {service.WORKER_LOG})"] = service.start_worker()
        say(f"serving at {url.removesuffix('/api')}, log in {service.WORKER_LOG}; Ctrl-C ends it")
        say(f"for other commands: export PREFECT_API_URL={url}")
        say(f"to start a run now: prefect deployment run {deployment_name()}")
        say(f"next run: {service.read_next_run()}")
        while True:
            time.sleep(POLL_SECONDS)
            for name, process in running.items():
                if process.poll() is not None:
                    raise FlowError(f"the {name} has ended with exit code {process.returncode}; start serve again")


def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Move what is damaged to .dvc/quarantine/.")] = False,
    free_gib: Annotated[float, typer.Option("--free-gib", min=0.0, help="GiB of disk that a run needs.")] = 2.0,
) -> None:
    """Look for what is known to go wrong: versions, free disk, locks, cut files, leftovers, damaged cache.

    Versions are those that break Prefect, DVC or Zarr. Cache objects are hashed again from their bytes, which DVC
    itself never does. With --repair, damaged objects, partial files, results that no stage makes any more and dead
    locks are moved into .dvc/quarantine/; nothing is deleted.

    Examples:
      failure-atlas doctor                             look, change nothing
      failure-atlas doctor --repair                    and move aside what is damaged
      failure-atlas doctor --free-gib 20               if a run is to need more disk than usual

    Exit code: 0 nothing is wrong, 1 something is (or was, before --repair), 2 wrong command line.
    """
    root = Path.cwd()
    if not (root / ".dvc").is_dir():
        raise FlowError(f"{root}: no .dvc here; go to the project's root and try again")
    from flows.doctor.examination import examine
    from flows.doctor.locks import GIB, Level
    from flows.doctor.locks import repair as move_aside
    from flows.project import hold_lock

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
        for pair in moved:
            shown = [path.relative_to(root) if path.is_relative_to(root) else path for path in pair]
            console.print(f"moved {shown[0]} to {shown[1]}")
    wrong = sum(finding.level is Level.WRONG for finding in findings)
    console.print(f"{wrong} wrong" if wrong else "nothing is wrong")
    if wrong:
        raise typer.Exit(1)
