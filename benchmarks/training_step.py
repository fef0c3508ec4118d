"""Images per second of the full training step, against a slow twin of NVIDIA's published one.

All contenders have the widths and the batch size of params.yaml and do the same work: a turn is one R1 interval of
steps, in which both networks take every step and R1 is computed once.
"""

import os
import statistics
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks._command import run_benchmark
from benchmarks._flops import count_flops, multiply_matrices
from benchmarks._training_steps import Step, command, own_step, step_on_command, twin_step
from benchmarks._turns import Contender, measure_in_turns, median_ratio, print_table, spread
from stages.common.device import choose_device
from stages.common.params import load_section
from stages.train_stylegan2.params import TrainStylegan2Params
from stages.train_stylegan2.workers import Worker, count_workers, worker_group

TWIN, SHARED = "twin of the published step", "twin, shared weights"
OWN, OWN_FIR = "this project", "this project, FIR and pixel stem"
BAR = 2.0  # times the twin's images/s that the project wants of its own step


@dataclass(frozen=True)
class Entry:
    """One row of the table: what runs, on how many cores, and its operations per image (0: matrix products alone)."""

    title: str
    cores: int
    contender: Contender
    flops: float = 0.0


def main(
    seconds: Annotated[float, typer.Option(help="Time to spend on measuring; two rounds are always run.")] = 60.0,
    params: Annotated[Path, typer.Option(help="The params file whose section train_stylegan2 is measured.")] = Path(
        "params.yaml"
    ),
) -> None:
    """Measure the training step in turns with its twin: images/s, ratios, and the share of the matrix rate."""
    section = load_section(params, TrainStylegan2Params, "train_stylegan2")
    device = choose_device()
    cores = len(os.sched_getaffinity(0)) if device.type == "cpu" else 1
    workers = count_workers(section.batch_size, section.minibatch_std_group, device)
    with worker_group(workers, step_on_command, section, device) as worker:
        try:
            entries = _enter(section, device, cores, worker)
            rates = measure_in_turns([entry.contender for entry in entries], seconds, "training step")
        finally:
            command(worker, 0)
    _report(section, device, entries, rates)


def _enter(section: TrainStylegan2Params, device: torch.device, cores: int, worker: Worker) -> list[Entry]:
    steps = {
        TWIN: twin_step(section, device, per_sample_weights=True),
        SHARED: twin_step(section, device, per_sample_weights=False),
        OWN_FIR: own_step(section, device, stem="pixels", resampling="fir"),
        OWN: own_step(section, device),
    }
    flops = {title: _flops_per_image(section, step) for title, step in steps.items()}
    entries = []
    for threads in sorted({1, cores}):
        for title, step in steps.items():
            if threads == cores or title in (TWIN, OWN):  # the rest on all cores only: time is short
                contender = _contend(f"{title} on {threads}", section, step, device, threads)
                entries.append(Entry(title, threads, contender, flops[title]))
        if device.type == "cpu":
            run = partial(multiply_matrices, threads)
            entries.append(Entry("float32 matrix product", threads, Contender(f"sgemm {threads}", run, run)))
    if worker.count > 1:
        title = f"{OWN}, {worker.count} processes"
        together = _contend(title, section, own_step(section, device, worker), device, 1, worker)
        entries.append(Entry(title, worker.count, together, flops[OWN]))
    return entries


def _contend(
    name: str,
    section: TrainStylegan2Params,
    step: Step,
    device: torch.device,
    threads: int,
    worker: Worker | None = None,
) -> Contender:
    def run(count: int) -> float:
        torch.set_num_threads(threads)
        if worker is not None:
            command(worker, count)
        for _ in range(count):
            step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return count * section.batch_size

    return Contender(name, partial(run, section.r1_interval_steps), partial(run, 1))


def _flops_per_image(section: TrainStylegan2Params, fresh: Step) -> float:
    """Mean over one R1 interval; a fresh step's first call has R1, its second has not."""
    first, plain = count_flops(fresh), count_flops(fresh)
    interval = section.r1_interval_steps
    return (first + (interval - 1) * plain) / (interval * section.batch_size)


def _report(
    section: TrainStylegan2Params, device: torch.device, entries: list[Entry], rates: dict[str, list[float]]
) -> None:
    medians = {entry.contender.name: statistics.median(rates[entry.contender.name]) for entry in entries}
    matrix = {entry.cores: medians[entry.contender.name] for entry in entries if not entry.flops}
    twins = {entry.cores: rates[entry.contender.name] for entry in entries if entry.title == TWIN}
    rows = []
    for entry in entries:
        own, median = rates[entry.contender.name], medians[entry.contender.name]
        if not entry.flops:
            giga = [rate / 1e9 for rate in own]
            rows.append([entry.title, str(entry.cores), "", "", "", "", f"{median / 1e9:.1f}", "1"])
            rows[-1][3] = f"({spread(giga, 1)} GFLOP/s)"
            continue
        reference, rate = twins.get(entry.cores, twins[max(twins)]), median * entry.flops
        share = f"{rate / matrix[entry.cores]:.2f}" if entry.cores in matrix else ""
        rows.append(
            [
                entry.title, str(entry.cores), f"{median:,.0f}", spread(own), f"{median_ratio(own, reference):.2f}",
                f"{entry.flops / 1e6:.0f}", f"{rate / 1e9:.1f}", share,
            ]
        )  # fmt: skip
    notes = _notes(section, device, entries, rates)
    columns = ["step", "cores", "images/s", "lowest - highest", "x twin", "MFLOP/image", "GFLOP/s", "of matrix rate"]
    print_table("Training step: one full step of generator and discriminator", columns, rows, notes)


def _notes(
    section: TrainStylegan2Params, device: torch.device, entries: list[Entry], rates: dict[str, list[float]]
) -> list[str]:
    def best(*titles: str) -> list[float]:
        names = [entry.contender.name for entry in entries if entry.title.startswith(titles) and entry.flops]
        return max((rates[name] for name in names), key=statistics.median)

    own = best(OWN)
    over_twin, over_shared = median_ratio(own, best(TWIN)), median_ratio(own, best(SHARED))
    widths = f"widths {section.generator_channels} and {section.discriminator_channels}, batch {section.batch_size}"
    return [
        f"Best of this project over the best of the twin: {over_twin:.2f} (wanted: {BAR:g}).",
        f"The same over the twin with shared weights, the other form that the published code has: {over_shared:.2f}.",
        f"{device}, {widths}, R1 every {section.r1_interval_steps} steps, no augmentation.",
        f"Medians of {len(own)} rounds in turns; x twin: within a round, on as many cores. On a busy machine rates",
        "mean little and ratios more: see how far apart the lowest and the highest are.",
        "FLOP: of convolutions and matrix products. benchmarks/_published_step.py says what the twin leaves out.",
    ]


if __name__ == "__main__":
    run_benchmark(main)
