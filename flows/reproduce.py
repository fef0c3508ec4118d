"""The flow that brings the project up to date: one Prefect task for each DVC stage, edges as DVC has them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from threading import Semaphore
from typing import Any, cast

from flows.environment import prepare_environment

prepare_environment()  # Prefect reads its settings when it is imported

from prefect import State, allow_failure, flow, runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.children import Children
from flows.console import log_line
from flows.dag import Dag, read_all_changes, read_order, restore_order
from flows.errors import FlowError
from flows.metrics import METRIC_HEADER, STAGE_HEADER, Metric, markdown_table, metric_rows, read_metrics, stage_rows
from flows.outcome import WORDS, Outcome, StageRun, log_run
from flows.project import AT_ONCE, STUDY, check_params, hold_lock
from flows.stage_run import Elsewhere, run_stage
from flows.workers import open_workers


@flow(name="reproduce", task_runner=cast("TaskRunner[Any]", ThreadPoolTaskRunner()), persist_result=False)
def reproduce(
    targets: list[str] | None = None, force: bool = False, max_workers: int = AT_ONCE, study: bool = False
) -> State[Any]:
    """Bring stages up to date: the targets and what they need, or all of dvc.yaml.

    targets: names as `dvc repro` takes them.  force: run stages even if nothing has changed.  max_workers: how many
    stages may run at once here; of Dask workers (DASK_SCHEDULER_ADDRESS) each runs one.  study: do so in study/, a DVC
    project of its own.
    The state holds a StageRun for each stage; it is failed, and names the failed stages, if any has failed.
    """
    if max_workers < 1:
        return Failed(message=f"max_workers: got {max_workers}; allowed: 1 or more")
    try:
        with hold_lock():
            check_params(study)
            with chdir(STUDY if study else "."):
                dag, changes = read_all_changes()
                order = read_order()
                with open_workers(study) as elsewhere:
                    runs = _run_stages(dag.select(targets), changes, force, max_workers, elsewhere)
                restore_order(order, dag.stages)
                metrics = read_metrics(dag.entries)
    except FlowError as error:
        return Failed(message=str(error))
    _publish(runs, metrics)
    failed = [run for run in runs if run.outcome is Outcome.FAILED]
    if failed:
        return Failed(message="; ".join(f"{run.stage} failed: {run.error}" for run in failed), data=runs)
    return Completed(message=f"{len(runs)} stages are up to date", data=runs)


class Shared:
    """What the stages of one run share.

    before: what had changed before the run. It is all that has where everything that a stage needs was cached.
    runs: of the stages that have ended.  slots: to be held while a stage is at work here.  elsewhere: where else.
    """

    def __init__(
        self, dag: Dag, before: Mapping[str, list[str]], force: bool, max_workers: int, elsewhere: Elsewhere | None
    ) -> None:
        self.dag, self.before, self.force, self.elsewhere = dag, before, force, elsewhere
        self.children, self.slots = Children(), Semaphore(max_workers if elsewhere is None else len(dag.needs))
        self.runs: dict[str, StageRun] = {}
        self.flow_run = str(runtime.flow_run.name)

    def run(self, stage: str, on_line: Callable[[str], None]) -> StageRun:
        """Bring a stage up to date, unless something that it needs has failed."""
        needed = self.dag.upstream([stage]) - {stage}
        good = {name for name, run in self.runs.items() if run.outcome is not Outcome.FAILED}  # a task may break, too
        failed = [name for name in self.dag.stages if name in needed - good]
        if failed:
            return StageRun(stage, Outcome.NOT_RUN, error=f"needs {', '.join(failed)}, which failed")
        with self.slots:
            if self.children.stopped:
                return StageRun(stage, Outcome.NOT_RUN, error="the run was stopped")
            untouched = all(self.runs[name].outcome is Outcome.CACHED for name in self.dag.needs[stage])
            changes = self.before.get(stage, []) if untouched else None
            return run_stage(
                stage,
                force=self.force,
                children=self.children,
                on_line=on_line,
                changes=changes,
                elsewhere=self.elsewhere,
            )


@task(name="stage", task_run_name="{stage}", cache_policy=NO_CACHE, persist_result=False)
def bring_up_to_date(stage: str, shared: Shared) -> State[StageRun]:
    """One DVC stage as a Prefect task; its state is named after the outcome."""
    logger = get_run_logger()
    run = shared.runs[stage] = shared.run(stage, lambda line: log_line(logger, stage, line))
    log_run(run, shared.flow_run)
    told = f"{WORDS[run.outcome]}: {run.error}" if run.error else f"{run.outcome.value} in {run.seconds:.1f} s"
    if run.outcome is Outcome.FAILED:
        log_line(logger, stage, f"failed after {run.seconds:.1f} s: {run.error}")
        return Failed(message=run.error, data=run)
    log_line(logger, stage, told[0].lower() + told[1:])
    # Prefect lets what needs a failed task start, if allowed, but not what needs a cancelled one.
    state = Failed if run.outcome is Outcome.NOT_RUN else Completed
    return state(name=run.outcome.value, message=told, data=run)


def _run_stages(
    dag: Dag, before: Mapping[str, list[str]], force: bool, max_workers: int, elsewhere: Elsewhere | None
) -> list[StageRun]:
    """Run each stage of a DAG as soon as what it needs has ended; returns one StageRun each, in the DAG's order."""
    shared = Shared(dag, before, force, max_workers, elsewhere)
    futures: dict[str, PrefectFuture[Any]] = {}
    try:
        for stage in dag.stages:
            needed = [allow_failure(futures[name]) for name in dag.stages if name in dag.needs[stage]]
            futures[stage] = bring_up_to_date.submit(stage, shared, wait_for=needed, return_state=False)
        return [_collect(stage, future) for stage, future in futures.items()]
    except BaseException:  # Ctrl-C, SIGTERM, a cancelled run: no process may stay behind
        shared.children.stop()
        raise


def _collect(stage: str, future: PrefectFuture[Any]) -> StageRun:
    result = future.result(raise_on_failure=False)
    if isinstance(result, StageRun):
        return result
    return StageRun(stage, Outcome.FAILED, error=" ".join(str(result).split()) or type(result).__name__)


def _publish(runs: Sequence[StageRun], metrics: Sequence[Metric]) -> None:
    """Put the tables of the run into Prefect, as artifacts whose history it keeps."""
    table = markdown_table(STAGE_HEADER, stage_rows(runs))
    create_markdown_artifact(table, key="stages", description="How each stage ended")
    if metrics:
        table = markdown_table(METRIC_HEADER, metric_rows(metrics))
        create_markdown_artifact(table, key="metrics", description="Headline metrics")
