"""Images per second of the full training step, against a slow twin of NVIDIA's published one.

All contenders have the widths and the batch size of params.yaml and do the same work: both networks take every step,
and R1 is due once in an interval. A turn is one step with R1 and a few without, weighted as in the interval.
"""

import statistics
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks._flops import count_flops, multiply_matrices
from benchmarks._training_steps import Step, end_steps, follow_steps, led_step, own_step, twin_step
from benchmarks._turns import Contender, measure_in_turns, median_ratio, print_table, repeat_for, run_benchmark, spread
from failure_atlas.core.computing import count_cores
from failure_atlas.core.device import choose_device
from stages.common.params import load_section
from stages.train_stylegan2.params import TrainStylegan2Params
from stages.train_stylegan2.workers import Worker, count_workers, worker_group

TWIN, SHARED = "published step (twin)", "twin, shared weights"
OWN, OWN_FLOAT32 = "project's step", "project's, float32"
OWN_FIR = "project's, FIR and pixels"  # in float32 too
PLAIN_STEPS, TURN_SECONDS = 4, 2.0  # steps without R1 in a turn, fewer where they take long
BAR = 2.0  # times the twin's images/s that the project wants of its own step


@dataclass(frozen=True)
class Entry:
    """One row of the table: what runs, on how many cores, and its operations per image (0: matrix products alone)."""

    title: str
    cores: int
    contender: Contender
    flops: float = 0.0


def main(
    seconds: Annotated[float, typer.Option(help="Time to spend on measuring; one round is always run.")] = 60.0,
    params: Annotated[Path, typer.Option(help="The params file whose section train_stylegan2 is measured.")] = Path(
        "params.yaml"
    ),
) -> None:
    """Measure the training step in turns with its twin: images/s, ratios, and the share of the matrix rate."""
    section = load_section(params, TrainStylegan2Params, "train_stylegan2")
    device = choose_device()
    cores = count_cores() if device.type == "cpu" else 1
    workers = count_workers(section.batch_size, section.minibatch_std_group, device)
    with worker_group(workers, follow_steps, section, device) as worker:
        entries = _enter(section, device, cores, worker)
        rates: dict[str, list[float]] = {}
        # Apart, because next to another job several threads may take minutes for what one does in seconds.
        for used in sorted({entry.cores for entry in entries}):
            group = [entry.contender for entry in entries if entry.cores == used]
            share = seconds / len({entry.cores for entry in entries})
            rates |= measure_in_turns(group, share, f"training step on {used} of {cores} cores")
        end_steps(worker)
    _report(section, device, entries, rates)


def _enter(section: TrainStylegan2Params, device: torch.device, cores: int, worker: Worker) -> list[Entry]:
    steps = {
        TWIN: twin_step(section, device, per_sample_weights=True),
        SHARED: twin_step(section, device, per_sample_weights=False),
        OWN_FIR: own_step(section, device, stem="pixels", resampling="fir", precision="float32"),
        OWN_FLOAT32: own_step(section, device, precision="float32"),
        OWN: own_step(section, device),
    }
    flops = {title: _flops_per_image(section, step) for title, step in steps.items()}
    entries = []
    for threads in sorted({1, cores}):
        for title, step in steps.items():
            if title != OWN_FIR or threads == 1:  # how much of the gain is architecture shows on one core
                contender = _contend(f"{title} on {threads}", section, step, device, threads)
                entries.append(Entry(title, threads, contender, flops[title]))
        if device.type == "cpu":
            turn = partial(repeat_for, 0.1, partial(multiply_matrices, threads))
            entries.append(Entry("float32 matrix product", threads, Contender(f"matrices on {threads}", turn)))
    if worker.count > 1:
        title = f"{OWN}, {worker.count} processes"
        together = _contend(title, section, led_step(section, device, worker), device, 1)
        entries.append(Entry(title, worker.count, together, flops[OWN]))
    return entries


def _contend(name: str, section: TrainStylegan2Params, step: Step, device: torch.device, threads: int) -> Contender:
    def time_step(penalized: bool) -> float:
        started = time.perf_counter()
        step(penalized)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    def measure() -> float:
        torch.set_num_threads(threads)
        warm_up = time_step(False)
        first, plain = time_step(True), [warm_up] if warm_up > TURN_SECONDS else []
        while not plain or (len(plain) < PLAIN_STEPS and sum(plain) < TURN_SECONDS):
            plain.append(time_step(False))
        interval = section.r1_interval_steps
        return interval * section.batch_size / (first + (interval - 1) * statistics.mean(plain))

    return Contender(name, measure)


def _flops_per_image(section: TrainStylegan2Params, step: Step) -> float:
    """Mean over one R1 interval."""
    penalized, plain = (count_flops(partial(step, kind)) for kind in (True, False))
    interval = section.r1_interval_steps
    return (penalized + (interval - 1) * plain) / (interval * section.batch_size)


def _report(
    section: TrainStylegan2Params, device: torch.device, entries: list[Entry], rates: dict[str, list[float]]
) -> None:
    matrix = {entry.cores: statistics.median(rates[entry.contender.name]) for entry in entries if not entry.flops}
    twins = {entry.cores: rates[entry.contender.name] for entry in entries if entry.title == TWIN}
    rows = []
    for entry in entries:
        own = rates[entry.contender.name]
        rate = statistics.median(own)
        if entry.flops:
            ratios = [median_ratio(own, twins.get(entry.cores, own)), rate / _best(entries, rates, TWIN)]
            flops = rate * entry.flops
            images = [f"{rate:,.0f}", spread(own), *(f"{ratio:.2f}" for ratio in ratios), f"{entry.flops / 1e6:.0f}"]
        else:
            flops, images = rate, [""] * 5
        share = f"{flops / matrix[entry.cores]:.2f}" if entry.cores in matrix else ""
        rows.append([entry.title, str(entry.cores), *images, f"{flops / 1e9:.1f}", share])
    columns = [
        "step", "cores", "images/s\nmedian", "images/s\nlow - high", "x twin,\nsame cores", "x twin,\nbest",
        "MFLOP\n/image", "GFLOP/s\nmedian", "of matrix\nrate"
    ]  # fmt: skip
    print_table("Training step", columns, rows, _notes(section, device, entries, rates))


def _best(entries: list[Entry], rates: dict[str, list[float]], title: str) -> float:
    """Median rate of the fastest entry whose title begins so."""
    return max(statistics.median(rates[entry.contender.name]) for entry in entries if entry.title.startswith(title))


def _notes(
    section: TrainStylegan2Params, device: torch.device, entries: list[Entry], rates: dict[str, list[float]]
) -> list[str]:
    own, twin, shared = (_best(entries, rates, title) for title in (OWN, TWIN, SHARED))
    rounds = sorted({len(found) for found in rates.values()})
    widths = f"widths {section.generator_channels} and {section.discriminator_channels}, batch {section.batch_size}"
    return [
        f"Best of the project over the best of the twin: {own / twin:.2f} (wanted: {BAR:g}).",
        f"The same over the twin with shared weights, the other form of the published code: {own / shared:.2f}.",
        f"{device}, {widths}, R1 every {section.r1_interval_steps} steps, no augmentation.",
        f"Rounds in turns: {' to '.join(map(str, rounds))}; same cores: median of the ratios within a round. On a busy",
        "machine rates mean little and ratios more: see low - high; several threads in one process suffer most.",
        "FLOP: of convolutions and matrix products. benchmarks/_published_step.py says what the twin leaves out.",
    ]


if __name__ == "__main__":
    run_benchmark(main)
