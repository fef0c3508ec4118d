"""The flow that re-evaluates: reproduce, judge, bundle, compare with the last accepted bundle, tell."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.environment import prepare_environment

prepare_environment()  # Prefect reads its settings when it is imported

from prefect import State, flow, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Completed, Failed

from flows import reevaluate_steps as steps
from flows.children import Children
from flows.console import log_line
from flows.dag import read_dag
from flows.errors import FlowError
from flows.gates_command import FAIL, GATES, NOT_ASSESSABLE, PASS, Criteria, conclude, read_gates, tell_verdicts
from flows.metrics import STAGE_HEADER, markdown_table, stage_rows
from flows.notify import Notice, notify
from flows.outcome import Outcome, StageRun
from flows.project import AT_ONCE, append_line, hold_lock
from flows.reevaluate_population import POPULATION, WHY, find_thawed, read_hashes, require_frozen
from flows.reevaluate_steps import Step, StepState
from flows.reproduce import reproduce

STEP_HEADER = ("step", "state", "what")
# Names of the flow's states, by the verdict over all criteria.
STATES = {PASS: "Accepted", FAIL: "NotAccepted", NOT_ASSESSABLE: "NotAssessable"}
SKIPPED = "Skipped"

Logger = logging.Logger | logging.LoggerAdapter[Any]


@dataclass
class Evaluation:
    """What a re-evaluation came to, filled in as it goes on.

    runs: the stages.  steps: all else, in order.  gates: the verdicts, None if there are none.  bundle, comparison: the
    folder and the Markdown, None and empty if not made.
    """

    runs: list[StageRun] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    gates: Criteria | None = None
    bundle: Path | None = None
    comparison: str = ""

    @property
    def error(self) -> str:
        """The first step that failed, with its reason; empty if none has."""
        return next((f"{step.name}: {step.text}" for step in self.steps if step.state is StepState.FAILED), "")


@flow(name="reevaluate", persist_result=False)
def reevaluate(
    pull: bool = False, frozen_population: bool = False, evidence: bool = True, max_workers: int = AT_ONCE
) -> State[Any]:
    """Bring the project up to date, judge it, bundle the evidence, compare it with the last accepted bundle, tell.

    pull: first fetch from the DVC remote, if one is configured.  frozen_population: refuse to make the generator or
    the population anew, so that what changes is the classifiers'.  evidence: make a bundle; nothing is accepted
    without.  max_workers: stages at once.
    The state holds an Evaluation and is named Accepted (all criteria pass), NotAssessable (none fails, but not all can
    be told), NotAccepted (a criterion fails), Failed (something broke), or Skipped (another run is at work, or one
    that began after this one was due has ended: schedules that were missed together are made up for once).
    """
    parameters = {"pull": pull, "frozen_population": frozen_population, "evidence": evidence}
    logger = get_run_logger()
    began = _tell_now()
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock())
        except FlowError as error:
            return _skip(logger, str(error))
        due = runtime.flow_run.scheduled_start_time
        if runtime.deployment.id and due and (covering := steps.find_covering(due, parameters)):
            told = "{flow_run}, which began at {began}, has seen all that this run would see".format_map(covering)
            return _skip(logger, f"was due at {due.isoformat(timespec='seconds')}; {told}")
        evaluation = Evaluation()
        _evaluate(evaluation, **parameters, max_workers=max_workers, logger=logger, release_lock=stack.close)
    state = _conclude(evaluation)
    _publish(evaluation)
    _tell(evaluation, state, logger)
    entry = {"flow_run": str(runtime.flow_run.name), "began": began, "ended": _tell_now(), "parameters": parameters}
    entry |= {"state": str(state.name), "message": str(state.message)}
    append_line(steps.HISTORY, {**entry, "bundle": evaluation.bundle.name if evaluation.bundle else ""})
    return state


def _tell_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _evaluate(
    evaluation: Evaluation,
    *,
    pull: bool,
    frozen_population: bool,
    evidence: bool,
    max_workers: int,
    logger: Logger,
    release_lock: Callable[[], None],
) -> None:
    """Go through the steps; what fails stops those that need it."""
    children, name = Children(), "evidence"

    def on_line(line: str) -> None:
        log_line(logger, name, line)

    def add(state: StepState, text: str) -> None:
        evaluation.steps.append(Step(name, state, text))
        on_line(f"{state}: {text}")

    try:
        if evidence:
            steps.require_evidence()
        name = "pull"
        if pull:
            add(*steps.pull_data(children, on_line))
        name = "reproduce"
        add(StepState.DONE, _reproduce(evaluation, frozen_population, max_workers))
        name = "gates"
        if GATES.exists():
            evaluation.gates = read_gates(GATES)
            add(StepState.DONE, tell_verdicts(evaluation.gates))
        else:
            add(StepState.SKIPPED, f"no {GATES}: nothing says what is good enough, so nothing is accepted")
        name = "evidence"
        if not evidence:
            add(StepState.SKIPPED, "not asked for, so nothing is accepted")
            return
        before = steps.read_accepted()
        release_lock()  # the command takes it itself, and bundles nothing that has changed since
        evaluation.bundle = steps.make_bundle(children, on_line)
        add(StepState.DONE, str(evaluation.bundle))
        name = "compare"
        if before is None:
            add(StepState.SKIPPED, "no bundle was accepted before")
        elif before.name == evaluation.bundle.name:
            add(StepState.SKIPPED, f"nothing has changed since {before.name} was accepted")
        else:
            evaluation.comparison = steps.compare_bundles(before, evaluation.bundle, children, on_line)
            add(StepState.DONE, f"with {before.name}, the last accepted one")
        name = "accept"
        bundled = evaluation.bundle / GATES  # what counts is what is signed
        if bundled.exists() and conclude(read_gates(bundled)) == PASS:
            steps.write_accepted(evaluation.bundle)
            add(StepState.DONE, f"{evaluation.bundle.name} is the accepted one now ({steps.ACCEPTED})")
        else:
            add(StepState.SKIPPED, "not all criteria pass")
    except FlowError as error:
        add(StepState.FAILED, str(error))
    except BaseException:  # Ctrl-C, SIGTERM, a cancelled run: no process may stay behind
        children.stop()
        raise


def _reproduce(evaluation: Evaluation, frozen: bool, max_workers: int) -> str:
    """Bring all stages up to date as a run inside this one; returns how it went. Raises FlowError if it failed.

    frozen: make what the population needs first, and go on only if the population is what it was.
    """
    if not frozen:
        evaluation.runs = _run_reproduce(None, max_workers)
        return _count(evaluation.runs)
    before, accepted = require_frozen(read_dag()), steps.read_accepted()
    measured = read_hashes(accepted) if accepted else {}
    changed = find_thawed({path: measured[path] for path in before if path in measured}, before) if measured else []
    if accepted and changed:
        raise FlowError(
            f"--frozen-population: {accepted.name}, the last accepted bundle, was measured on another population: "
            f"{'; '.join(changed)}; {WHY}; accept one on this population first, without --frozen-population"
        )
    first = {run.stage: run for run in _run_reproduce([POPULATION], max_workers)}
    thawed = find_thawed(before, read_hashes())
    if thawed:
        raise FlowError(
            f"--frozen-population: the population did not stay: {'; '.join(thawed)}; {WHY}; bring it back with `git "
            "checkout dvc.lock && dvc checkout`, or run without --frozen-population"
        )
    second = _run_reproduce(None, max_workers)
    evaluation.runs = [first.get(run.stage, run) if run.outcome is Outcome.CACHED else run for run in second]
    return f"{_count(evaluation.runs)}; generator and population are the same bytes as before"


def _run_reproduce(targets: list[str] | None, max_workers: int) -> list[StageRun]:
    state: Any = reproduce(targets, False, max_workers, return_state=True)
    if not state.is_completed():
        raise FlowError(str(state.message))
    runs: list[StageRun] = state.result()
    return runs


def _count(runs: list[StageRun]) -> str:
    ran = [run.stage for run in runs if run.outcome in (Outcome.DONE, Outcome.RESTORED)]
    return f"{len(runs)} stages are up to date; {len(ran)} of them had changed"


def _conclude(evaluation: Evaluation) -> State[Any]:
    """The state that the flow ends in; its message is one line."""
    if evaluation.error:
        return Failed(message=evaluation.error, data=evaluation)
    verdict, told = NOT_ASSESSABLE, f"no {GATES}"
    if evaluation.gates is not None:
        verdict, told = conclude(evaluation.gates), tell_verdicts(evaluation.gates)
    # Failed, so that Prefect shows it in red and its automations can act on it.
    state = Failed if verdict == FAIL else Completed
    return state(name=STATES[verdict], message=told, data=evaluation)


def _skip(logger: Logger, reason: str) -> State[Any]:
    log_line(logger, "reevaluate", f"skipped: {reason}")
    return Cancelled(name=SKIPPED, message=f"skipped: {reason}")


def _publish(evaluation: Evaluation) -> None:
    """Put the tables of the run into Prefect, as artifacts whose history it keeps."""
    text = markdown_table(STEP_HEADER, [(step.name, step.state, step.text) for step in evaluation.steps])
    if evaluation.runs:
        text += "\n" + markdown_table(STAGE_HEADER, stage_rows(evaluation.runs))
    create_markdown_artifact(text, key="reevaluation", description="How the re-evaluation went")
    if evaluation.comparison:
        told = "Against the last accepted evidence"
        create_markdown_artifact(evaluation.comparison, key="comparison", description=told)


def _tell(evaluation: Evaluation, state: State[Any], logger: Logger) -> None:
    """Tell who is to be told; a notice that fails is reported, and changes nothing else."""
    subject = f"{Path.cwd().name}: {state.name}: {state.message}"
    log_line(logger, "notify", subject)
    told, faults = notify(Notice(str(state.name), subject, "\n".join([subject, "", *map(str, evaluation.steps)])))
    for target in told:
        log_line(logger, "notify", f"told {target}")
    for fault in faults:
        evaluation.steps.append(Step("notify", StepState.FAILED, fault))
        log_line(logger, "notify", f"not told: {fault}")
