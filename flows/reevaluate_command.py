"""The command `failure-atlas reevaluate`."""

from typing import Annotated, Any

import typer

from flows.console import require_project, say
from flows.errors import FlowError
from flows.findings import tell_findings
from flows.workers import AT_ONCE, MaxWorkersOption

REEVALUATE_HELP = """Evaluate again after a change of data, weights or code, and judge the result.

In this order: pull data (with --pull, if a DVC remote is configured), reproduce what has changed, read the verdicts on
the acceptance criteria, make the evidence bundle, compare it with the last accepted one, and tell whoever is
configured to be told. The bundle is signed with the key of `failure-atlas key`. One whose criteria all pass becomes
the accepted one (evidence/accepted holds its name).

FAILURE_ATLAS_WEBHOOK: an http(s) address or a Prefect block (TYPE/NAME) that is told how it ended.
FAILURE_ATLAS_EMAIL: a mail server and whom to tell, smtp://USER:PASSWORD@HOST:587?from=ADDRESS&to=ADDRESS.
By default only the log is told.

\b
Examples:
  failure-atlas reevaluate                      everything
  failure-atlas reevaluate --pull               with data from the DVC remote
  failure-atlas reevaluate --frozen-population  a new classifier, paired with the old one on the same images
  failure-atlas reevaluate --no-evidence        a look: no bundle, nothing is accepted

Exit code: 0 all criteria pass, 1 something broke or a criterion fails (named in the last lines), 2 wrong command line,
3 no criterion fails but not all can be assessed.
"""


def reevaluate(
    pull: Annotated[bool, typer.Option("--pull", help="First run `dvc pull`, if a remote is configured.")] = False,
    frozen_population: Annotated[
        bool,
        typer.Option("--frozen-population", help="Refuse to make the generator or the population anew."),
    ] = False,
    evidence: Annotated[
        bool, typer.Option("--evidence/--no-evidence", help="Make the signed bundle; nothing is accepted without.")
    ] = True,
    max_workers: MaxWorkersOption = AT_ONCE,
) -> None:
    """Run the flow `reevaluate` here and show how it went."""
    require_project()
    from flows.dag import read_dag  # DVC and Prefect take seconds to import: not for --help
    from flows.lock import hold_lock
    from flows.params_check import check_params
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
    from flows.reevaluate import ACCEPTED_STATE, SKIPPED, Evaluation
    from flows.reevaluate import reevaluate as flow
    from flows.terminal import show_stage_lines

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
        say(f"{step.name}: {step.state.value}: {step.text}")
    if state.is_failed():
        say(f"error: {state.message}")
        raise typer.Exit(1)
    if state.name != ACCEPTED_STATE:
        raise typer.Exit(3)
