"""Training steps to measure: the project's own and the published one, on equal widths, batches and work."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import distributed

from benchmarks._published_step import start_training
from benchmarks._published_step import train_step as published_step
from stages.common.seeds import numpy_stream
from stages.train_stylegan2.augmentation import AdaptiveProbability
from stages.train_stylegan2.batches import Batches
from stages.train_stylegan2.discriminator import DiscriminatorArchitecture, Stem
from stages.train_stylegan2.generator import GeneratorArchitecture
from stages.train_stylegan2.params import TrainStylegan2Params
from stages.train_stylegan2.resampling import Resampling
from stages.train_stylegan2.state import TrainingState, new_state
from stages.train_stylegan2.training import Schedule, train_step
from stages.train_stylegan2.workers import Worker

CLASSES, IMAGES = 10, 1000
ALONE = Worker(0, 1)
PUBLISHED_EMA_KIMG = 500.0

Step = Callable[[], object]  # one call, one training step


def own_step(
    section: TrainStylegan2Params,
    device: torch.device,
    worker: Worker = ALONE,
    *,
    stem: Stem | None = None,
    resampling: Resampling | None = None,
) -> Step:
    """The project's step, by default with the architecture of params.yaml."""
    state = _new_state(section, device, stem or section.discriminator_stem, resampling or section.resampling)
    schedule = Schedule(
        total_images=10**12,
        batch_size=section.batch_size,
        learning_rate=section.learning_rate,
        decay_fraction=0.0,
        r1_gamma=section.r1_gamma,
        r1_interval_steps=section.r1_interval_steps,
        ema_kimg=section.ema_kimg,
        ema_ramp=section.ema_ramp,
    )
    return partial(train_step, state, _batches(section, device, state, worker), schedule, worker)


def twin_step(section: TrainStylegan2Params, device: torch.device, *, per_sample_weights: bool) -> Step:
    """The twin's step, whose discriminator starts at single pixels and whose networks resample with the filter."""
    fresh = _new_state(section, device, "pixels", "fir")
    state = start_training(
        fresh.generator,
        fresh.discriminator,
        learning_rate=section.learning_rate,
        r1_interval_steps=section.r1_interval_steps,
        per_sample_weights=per_sample_weights,
    )
    return partial(
        published_step,
        state,
        _batches(section, device, fresh, ALONE),
        r1_gamma=section.r1_gamma,
        r1_interval_steps=section.r1_interval_steps,
        ema_decay=0.5 ** (section.batch_size / (PUBLISHED_EMA_KIMG * 1000)),
    )


def step_on_command(worker: Worker, section: TrainStylegan2Params, device: torch.device) -> None:
    """What the other workers do: wait idly until told how many steps to take, take them, and end at 0."""
    torch.use_deterministic_algorithms(True)
    step = own_step(section, device, worker)
    while count := command(worker, 0):
        for _ in range(count):
            step()


def command(worker: Worker, count: int) -> int:
    """Tell the other workers how many steps to take, or be told by the first one."""
    told = torch.tensor([count])
    if worker.count > 1:
        distributed.broadcast(told, src=0)
    return int(told)


def _new_state(
    section: TrainStylegan2Params, device: torch.device, stem: Stem, resampling: Resampling
) -> TrainingState:
    return new_state(
        GeneratorArchitecture(
            z_dim=section.z_dim,
            w_dim=section.w_dim,
            num_classes=CLASSES,
            mapping_layers=section.mapping_layers,
            channels=tuple(section.generator_channels),
            image_channels=1,
            resampling=resampling,
        ),
        DiscriminatorArchitecture(
            num_classes=CLASSES,
            channels=tuple(section.discriminator_channels),
            image_channels=1,
            stem=stem,
            minibatch_std_group=section.minibatch_std_group,
            resampling=resampling,
        ),
        AdaptiveProbability(0.0, section.ada_interval_steps, section.ada_kimg),  # off, as in the twin
        learning_rate=section.learning_rate,
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
