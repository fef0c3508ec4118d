"""Training steps to measure: the project's own and the published one, on equal widths, batches and work."""

from collections.abc import Callable

import numpy as np
import torch
from torch import distributed

from benchmarks._published_step import start_training
from benchmarks._published_step import train_step as published_step
from failure_atlas.core.device import Precision, choose_dtype, fix_kernels
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.stylegan2.augmentation import AdaptiveProbability
from failure_atlas.stylegan2.batches import Batches
from failure_atlas.stylegan2.discriminator import Stem
from failure_atlas.stylegan2.layers import Resampling
from failure_atlas.stylegan2.state import TrainingState, new_state
from stages.train_stylegan2.params import TrainStylegan2Params
from stages.train_stylegan2.training import Schedule, train_step
from stages.train_stylegan2.workers import Worker

CLASSES, IMAGES = 10, 1000
ALONE = Worker(0, 1)
PUBLISHED_EMA_KIMG = 500.0
LEARNING_RATE = 1e-6  # its value costs nothing; near zero, no contender drifts to where scores and gradients vanish
END, PLAIN, PENALIZED = 0, 1, 2

# A call takes one training step, with the R1 penalty or without it.
Step = Callable[[bool], None]


def own_step(
    section: TrainStylegan2Params,
    device: torch.device,
    worker: Worker = ALONE,
    *,
    stem: Stem | None = None,
    resampling: Resampling | None = None,
    precision: Precision | None = None,
) -> Step:
    """The project's step, by default with the architecture of params.yaml."""
    state = _new_state(section, device, stem or section.discriminator_stem, resampling or section.resampling)
    batches = _batches(section, device, state, worker)
    alone = section.model_copy(update={"learning_rate": LEARNING_RATE, "decay_fraction": 0.0, "feature_critic": None})
    schedule = Schedule.of_params(alone, 10**12, choose_dtype(precision or section.precision, device))

    def take(penalized: bool) -> None:
        step = _next_step(state.images_seen // section.batch_size, section.r1_interval_steps, penalized)
        state.images_seen = step * section.batch_size
        train_step(state, batches, schedule, worker)

    return take


def twin_step(section: TrainStylegan2Params, device: torch.device, *, per_sample_weights: bool) -> Step:
    """The twin's step, whose discriminator starts at single pixels and whose networks resample with the filter."""
    fresh = _new_state(section, device, "pixels", "fir")
    batches = _batches(section, device, fresh, ALONE)
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
        state.step = _next_step(state.step, interval, penalized)
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


def end_steps(worker: Worker) -> None:
    """Let the other workers go."""
    _tell(worker, END)


def _tell(worker: Worker, word: int) -> int:
    """Tell the other workers a word, or be told it by the first one."""
    told = torch.tensor([word])
    if worker.count > 1:
        distributed.broadcast(told, src=0)
    return int(told)


def _next_step(step: int, interval: int, penalized: bool) -> int:
    """The next step number at which R1 is due, or is not."""
    step += 1
    while (step % interval == 0) != penalized:
        step += 1
    return step


def _new_state(
    section: TrainStylegan2Params, device: torch.device, stem: Stem, resampling: Resampling
) -> TrainingState:
    changed = section.model_copy(update={"discriminator_stem": stem, "resampling": resampling})
    generator, discriminator = changed.design_networks(CLASSES, image_channels=1)
    return new_state(
        generator,
        discriminator,
        AdaptiveProbability(0.0, section.ada_interval_steps, section.ada_kimg),  # off, as in the twin
        [str(label) for label in range(CLASSES)],
        learning_rate=LEARNING_RATE,
        seed=section.seed,
        device=device,
    )


def _batches(section: TrainStylegan2Params, device: torch.device, state: TrainingState, worker: Worker) -> Batches:
    size_px = state.generator.architecture.size_px
    return Batches(
        numpy_stream(1, "benchmark").integers(0, 256, (IMAGES, 1, size_px, size_px), dtype=np.uint8),
        np.arange(IMAGES) % CLASSES,
        batch_size=section.batch_size,
        z_dim=section.z_dim,
        noise_resolutions=state.generator.noise_resolutions(),
        seed=section.seed,
        rows=worker.rows(section.batch_size),
        device=device,
    )
