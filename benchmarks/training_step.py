"""Images per second of the full training step, against a slow twin of NVIDIA's published one.

All contenders have the widths and the batch size of params.yaml and do the same work: both networks take every step,
and R1 is due once in an interval. A turn is one step with R1 and a few without, weighted as in the interval.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import distributed

from benchmarks import _turns as turns
from benchmarks._published_step import start_training
from benchmarks._published_step import train_step as published_step
from benchmarks._turns import PARAMS, ParamsOption, SecondsOption
from failure_atlas.core.computing import count_cores
from failure_atlas.core.device import choose_device, choose_dtype, fix_kernels
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.image_set import ImageSet
from failure_atlas.stylegan2.augmentation import AdaptiveProbability
from failure_atlas.stylegan2.batches import Batches
from failure_atlas.stylegan2.state import TrainingState, new_state
from stages.common.params import load_section
from stages.train_stylegan2.params import TrainStylegan2Params
from stages.train_stylegan2.training import Schedule, train_step
from stages.train_stylegan2.workers import Worker, count_workers, worker_group

TWIN, SHARED = "published step (twin)", "twin, shared weights"
OWN, OWN_FLOAT32 = "project's step", "project's, float32"
OWN_FIR = "project's, FIR and pixels"  # in float32 too
PUBLISHED = {"discriminator_stem": "pixels", "resampling": "fir"}  # how the twin begins and resamples
PLAIN_STEPS, TURN_SECONDS = 4, 2.0  # steps without R1 in a turn, fewer where they take long
BAR = 2.0  # times the twin's images/s that the project wants of its own step
CLASSES, IMAGES = 10, 1000
ALONE = Worker(0, 1)
PUBLISHED_EMA_KIMG = 500.0
LEARNING_RATE = 1e-6  # its value costs nothing; near zero, no contender drifts to where scores and gradients vanish
END, PLAIN, PENALIZED = 0, 1, 2  # what the first worker tells the others
COLUMNS = ["step", "cores", "images/s\nmedian", "images/s\nlow - high", "x twin,\nsame cores", "x twin,\nbest"]

# A call takes one training step, with the R1 penalty or without it.
Step = Callable[[bool], None]


def main(seconds: SecondsOption = 60.0, params: ParamsOption = PARAMS) -> None:
    """Measure the training step in turns with its twin: images/s and ratios."""
    section = load_section(params, TrainStylegan2Params, "train_stylegan2")
    device = choose_device()
    cores = count_cores() if device.type == "cpu" else 1
    workers = count_workers(section.batch_size, section.minibatch_std_group, device)
    with worker_group(workers, follow_steps, section, device) as worker:
        contenders = _contenders(section, device, cores, worker)
        rates: dict[tuple[str, int], list[float]] = {}
        # Apart, because next to another job several threads may take minutes for what one does in seconds.
        groups = sorted({used for _, used in contenders})
        for used in groups:
            group = {key: measure for key, measure in contenders.items() if key[1] == used}
            title = f"training step on {used} of {cores} cores"
            rates |= turns.measure_in_turns(group, seconds / len(groups), title)
        _tell(worker, END)
    best = {
        title: max(statistics.median(rates[key]) for key in rates if key[0].startswith(title))
        for title in (TWIN, SHARED, OWN)
    }
    rows = [
        [title, str(used), *turns.rate_cells(rates[title, used], rates.get((TWIN, used), rates[title, used])),
         f"{statistics.median(rates[title, used]) / best[TWIN]:.2f}"]
        for title, used in contenders
    ]  # fmt: skip
    widths = f"widths {section.generator_channels} and {section.discriminator_channels}, batch {section.batch_size}"
    rounds = sorted({len(found) for found in rates.values()})
    notes = [
        f"Best of the project over the best of the twin: {best[OWN] / best[TWIN]:.2f} (wanted: {BAR:g}).",
        f"The same over the twin with shared weights, the published code's other form: {best[OWN] / best[SHARED]:.2f}.",
        f"{device}, {widths}, R1 every {section.r1_interval_steps} steps, no augmentation.",
        f"Rounds in turns: {' to '.join(map(str, rounds))}; same cores: median of the ratios within a round.",
        "benchmarks/_published_step.py says what the twin leaves out.",
        turns.BUSY,
    ]
    turns.print_table("Training step", COLUMNS, rows, notes)


def _contenders(
    section: TrainStylegan2Params, device: torch.device, cores: int, worker: Worker
) -> dict[tuple[str, int], Callable[[], float]]:
    """Title and number of cores -> what measures a turn."""
    fir = section.model_copy(update={**PUBLISHED, "precision": "float32"})
    steps = {
        TWIN: twin_step(section, device, per_sample_weights=True),
        SHARED: twin_step(section, device, per_sample_weights=False),
        OWN_FIR: own_step(fir, device),
        OWN_FLOAT32: own_step(section.model_copy(update={"precision": "float32"}), device),
        OWN: own_step(section, device),
    }
    measure = partial(_measure, section, device)
    contenders: dict[tuple[str, int], Callable[[], float]] = {
        (title, threads): partial(measure, step, threads)
        for threads in sorted({1, cores})
        for title, step in steps.items()
        if title != OWN_FIR or threads == 1  # how much of the gain is architecture shows on one core
    }
    if worker.count > 1:
        led = led_step(section, device, worker)
        contenders[f"{OWN}, {worker.count} processes", worker.count] = partial(measure, led, 1)
    return contenders


def _measure(section: TrainStylegan2Params, device: torch.device, step: Step, threads: int) -> float:
    """Images per second of one turn."""

    def time_step(penalized: bool) -> float:
        started = time.perf_counter()
        step(penalized)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    torch.set_num_threads(threads)
    warm_up = time_step(False)
    first, plain = time_step(True), [warm_up] if warm_up > TURN_SECONDS else []
    while not plain or (len(plain) < PLAIN_STEPS and sum(plain) < TURN_SECONDS):
        plain.append(time_step(False))
    interval = section.r1_interval_steps
    return interval * section.batch_size / (first + (interval - 1) * statistics.mean(plain))


def own_step(section: TrainStylegan2Params, device: torch.device, worker: Worker = ALONE) -> Step:
    """The project's step, with the architecture and the precision of the section."""
    state, batches = _start(section, device, worker)
    alone = section.model_copy(update={"learning_rate": LEARNING_RATE, "decay_fraction": 0.0, "feature_critic": None})
    schedule = Schedule(alone, 10**12, choose_dtype(section.precision, device))

    def take(penalized: bool) -> None:
        step = next_step(state.images_seen // section.batch_size, section.r1_interval_steps, penalized)
        state.images_seen = step * section.batch_size
        train_step(state, batches, schedule, worker)

    return take


def twin_step(section: TrainStylegan2Params, device: torch.device, *, per_sample_weights: bool) -> Step:
    """The twin's step, whose discriminator starts at single pixels and whose networks resample with the filter."""
    fresh, batches = _start(section.model_copy(update=PUBLISHED), device, ALONE)
    decay = 0.5 ** (section.batch_size / (PUBLISHED_EMA_KIMG * 1000))
    interval = section.r1_interval_steps
    state = start_training(
        fresh.generator,
        fresh.discriminator,
        learning_rate=LEARNING_RATE,
        r1_interval_steps=interval,
        per_sample_weights=per_sample_weights,
    )

    def take(penalized: bool) -> None:
        state.step = next_step(state.step, interval, penalized)
        published_step(state, batches, r1_gamma=section.r1_gamma, r1_interval_steps=interval, ema_decay=decay)

    return take


def led_step(section: TrainStylegan2Params, device: torch.device, worker: Worker) -> Step:
    """The project's step over all workers, which wait in `follow_steps`."""
    own = own_step(section, device, worker)

    def take(penalized: bool) -> None:
        _tell(worker, PENALIZED if penalized else PLAIN)
        own(penalized)

    return take


def follow_steps(worker: Worker, section: TrainStylegan2Params, device: torch.device) -> None:
    """What the other workers do: wait idly to be told what kind of step to take, until it is the end."""
    fix_kernels()
    step = own_step(section, device, worker)
    while (told := _tell(worker, END)) != END:
        step(told == PENALIZED)


def _tell(worker: Worker, word: int) -> int:
    """Tell the other workers a word, or be told it by the first one."""
    told = torch.tensor([word])
    if worker.count > 1:
        distributed.broadcast(told, src=0)
    return int(told)


def next_step(step: int, interval: int, penalized: bool) -> int:
    """The next step number at which R1 is due, or is not."""
    step += 1
    while (step % interval == 0) != penalized:
        step += 1
    return step


def _start(section: TrainStylegan2Params, device: torch.device, worker: Worker) -> tuple[TrainingState, Batches]:
    """New networks, and random images."""
    size_px = 2 << len(section.generator_channels)
    pixels = numpy_stream(1, "benchmark").integers(0, 256, (IMAGES, 1, size_px, size_px), dtype=np.uint8)
    images = ImageSet(pixels, np.arange(IMAGES) % CLASSES)
    rate = section.model_copy(update={"learning_rate": LEARNING_RATE})
    return start_anew(rate, images, [str(label) for label in range(CLASSES)], device, worker)


def start_anew(
    section: TrainStylegan2Params, images: ImageSet, names: list[str], device: torch.device, worker: Worker
) -> tuple[TrainingState, Batches]:
    """New networks of the section without augmentation, as the twin has none, and a worker's rows of its batches."""
    generator, discriminator = section.design_networks(len(names), images.images.shape[1])
    off = AdaptiveProbability(0.0, section.ada_interval_steps, section.ada_kimg)
    state = new_state(
        generator, discriminator, off, names, learning_rate=section.learning_rate, seed=section.seed, device=device
    )
    batches = Batches(
        images.images,
        images.labels,
        batch_size=section.batch_size,
        z_dim=section.z_dim,
        noise_resolutions=state.generator.noise_resolutions(),
        seed=section.seed,
        rows=worker.rows(section.batch_size),
        device=device,
    )
    return state, batches


if __name__ == "__main__":
    turns.run_benchmark(main)
