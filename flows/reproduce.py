"""The flow that brings the project up to date: one Prefect task for each DVC stage, edges as DVC has them."""

from collections.abc import Mapping, Sequence
from contextlib import chdir
from functools import partial
from graphlib import TopologicalSorter
from queue import SimpleQueue
from typing import Any, cast

from flows.environment import prepare_environment

prepare_environment()  # Prefect reads its settings when it is imported

from prefect import State, allow_failure, flow, runtime, task  # noqa: E402
from prefect.artifacts import create_markdown_artifact  # noqa: E402
from prefect.cache_policies import NO_CACHE  # noqa: E402
from prefect.futures import PrefectFuture  # noqa: E402
from prefect.logging import get_run_logger  # noqa: E402
from prefect.states import Cancelled, Completed, Failed  # noqa: E402
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner  # noqa: E402

from flows.children import Children  # noqa: E402
from flows.dag import Dag, read_all_changes, read_dag  # noqa: E402
from flows.errors import FlowError  # noqa: E402
from flows.lock import hold_lock  # noqa: E402
from flows.lock_order import read_order, restore_order  # noqa: E402
from flows.metrics import Metric, read_metrics  # noqa: E402
from flows.outcome import Outcome, StageRun  # noqa: E402
from flows.params_check import STUDY, check_params  # noqa: E402
from flows.run_log import log_run  # noqa: E402
from flows.stage_run import run_stage  # noqa: E402
from flows.summary import METRIC_HEADER, STAGE_HEADER, markdown_table, metric_rows, stage_rows  # noqa: E402
from flows.terminal import log_line  # noqa: E402
from flows.workers import AT_ONCE  # noqa: E402


@flow(name="reproduce", task_runner=cast("TaskRunner[Any]", ThreadPoolTaskRunner()), persist_result=False)
def reproduce(
    targets: list[str] | None = None, force: bool = False, max_workers: int = AT_ONCE, study: bool = False
) -> State[Any]:
    """Bring stages up to date: the targets and what they need, or all of dvc.yaml.

    targets: names as `dvc repro` takes them.  force: run stages even if nothing has changed.  max_workers: how many
    stages may run at once.  study: do so in study/, a DVC project of its own.
    The state holds a StageRun for each stage; it is failed, and names the failed stages, if any has failed.
    """
    if max_workers < 1:
        return Failed(message=f"max_workers: got {max_workers}; allowed: 1 or more")
    try:
        with hold_lock():
            check_params(study)
            with chdir(STUDY if study else "."):
                dag = read_dag()
                order = read_order()
                runs = _run_stages(dag.select(targets), read_all_changes(), force, max_workers)
                restore_order(order, dag.stages)
                metrics = read_metrics(dag.entries)
    except FlowError as error:
        return Failed(message=str(error))
    _publish(runs, metrics)
    failed = [run for run in runs if _has_failed(run)]
    if failed:
        return Failed(message="; ".join(f"{run.stage} failed: {run.error}" for run in failed), data=runs)
    return Completed(message=f"{len(runs)} stages are up to date", data=runs)


@task(name="stage", task_run_name="{stage}", cache_policy=NO_CACHE, persist_result=False)
def bring_up_to_date(
    stage: str, changes: list[str] | None, force: bool, blocked_by: str, children: Children
) -> State[StageRun]:
    """One DVC stage as a Prefect task; its state is named after the outcome.

    changes: what is known to have changed, if it is known.
    blocked_by: the failed stage that this one needs; it is then not run.
    """
    logger = get_run_logger()
    if blocked_by:
        run = StageRun(stage, Outcome.NOT_RUN, error=f"needs {blocked_by}, which failed")
        log_line(logger, stage, f"not run: {run.error}")
        return Cancelled(name=run.outcome.value, message=f"not run: {run.error}", data=run)
    run = run_stage(
        stage, force=force, children=children, on_line=lambda line: log_line(logger, stage, line), changes=changes
    )
    if run.outcome is Outcome.FAILED:
        log_line(logger, stage, f"failed after {run.seconds:.1f} s: {run.error}")
        return Failed(message=run.error, data=run)
    log_line(logger, stage, f"{run.outcome.value.lower()} in {run.seconds:.1f} s")
    return Completed(name=run.outcome.value, message=f"{run.outcome.value} in {run.seconds:.1f} s", data=run)


def _run_stages(dag: Dag, before: Mapping[str, list[str]], force: bool, max_workers: int) -> list[StageRun]:
    """Run each stage of a DAG as soon as what it needs has ended; returns one StageRun each, in the DAG's order.

    before: what had changed before the run. It is all that has where everything that a stage needs was cached.
    """
    children = Children()
    futures: dict[str, PrefectFuture[Any]] = {}
    runs: dict[str, StageRun] = {}
    ended: SimpleQueue[str] = SimpleQueue()
    left = TopologicalSorter(dag.needs)
    left.prepare()
    ready: list[str] = []
    try:
        while left.is_active():
            ready = sorted([*ready, *left.get_ready()], key=dag.stages.index)
            while ready and len(futures) - len(runs) < max_workers:
                stage = ready.pop(0)
                # A failed stage does not keep those after it waiting: they end at once, as not run.
                # Prefect lets nothing start after a cancelled one, so those not run are no edge of what they block.
                needed = [
                    allow_failure(futures[name])
                    for name in dag.stages
                    if name in dag.needs[stage] and runs[name].outcome is not Outcome.NOT_RUN
                ]
                blocked_by = _find_failed(dag, stage, runs)
                untouched = all(runs[name].outcome is Outcome.CACHED for name in dag.needs[stage])
                changes = before.get(stage, []) if untouched else None
                futures[stage] = bring_up_to_date.submit(
                    stage, changes, force, blocked_by, children, wait_for=needed, return_state=False
                )
                futures[stage].add_done_callback(partial(_put, ended, stage))
            stage = ended.get()
            runs[stage] = _collect(stage, futures[stage])
            log_run(runs[stage], str(runtime.flow_run.name))
            left.done(stage)
    except BaseException:  # Ctrl-C, SIGTERM, a cancelled run: no process may stay behind
        children.stop()
        raise
    return [runs[stage] for stage in dag.stages]


def _find_failed(dag: Dag, stage: str, runs: Mapping[str, StageRun]) -> str:
    """The failed stages among all that a stage needs, as text."""
    needed = dag.upstream([stage])
    return ", ".join(name for name in dag.stages if name in needed and name in runs and _has_failed(runs[name]))


def _has_failed(run: StageRun) -> bool:
    return run.outcome is Outcome.FAILED


def _put(ended: "SimpleQueue[str]", stage: str, _future: PrefectFuture[Any]) -> None:
    ended.put(stage)


def _collect(stage: str, future: PrefectFuture[Any]) -> StageRun:
    result = future.result(raise_on_failure=False)
    if isinstance(result, StageRun):
        return result
    return StageRun(stage, Outcome.FAILED, error=" ".join(str(result).split()) or type(result).__name__)


def _publish(runs: Sequence[StageRun], metrics: Sequence[Metric]) -> None:
    """Put the tables of the run into Prefect, as artifacts whose history it keeps."""
    create_markdown_artifact(
        markdown_table(STAGE_HEADER, stage_rows(runs)), key="stages", description="How each stage ended"
    )
    if metrics:
        create_markdown_artifact(
            markdown_table(METRIC_HEADER, metric_rows(metrics)), key="metrics", description="Headline metrics"
        )
