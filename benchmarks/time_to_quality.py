"""How long training takes to a distance before the neutral eye: the published recipe's twin against the project's.

Equal images, widths, batch size and one thread each; time is that of the processor, so that other work on the machine
hardly counts. Both are trained in turns and looked at after each turn. What the twin shares of the published recipe and
what it leaves out: `_published_step.py`; it is shown images as they come out of its generator, neither clamped nor
rounded, learns at the published rate and averages its generator as published, with the ramp for short trainings.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks import PARAMS, ParamsOption, print_table, run_benchmark
from benchmarks import _published_step as published
from failure_atlas.core.device import choose_dtype, fix_kernels
from failure_atlas.core.files import require
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.image_set import ImageSet
from failure_atlas.populations.sampling import draw_styles
from failure_atlas.quality.kernel import measure_kernel_distance
from failure_atlas.quality.neutral import load_neutral
from failure_atlas.statistics.estimates import Estimate
from failure_atlas.stylegan2.augmentation import AdaptiveProbability
from failure_atlas.stylegan2.batches import Batches
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.stylegan2.state import TrainingState, new_state
from failure_atlas.world.show import CPU, World
from stages.common.artefacts.images import read_class_names, read_images
from stages.common.params import load_section
from stages.train_stylegan2.params import TrainStylegan2Params
from stages.train_stylegan2.training import Schedule, train_step
from stages.train_stylegan2.workers import Worker

EYE = "neutral eye"
PUBLISHED_RATE, PUBLISHED_R1 = 0.0025, 0.01  # for small images, as the published code sets them
PUBLISHED_EMA_KIMG, PUBLISHED_RAMP = 500.0, 0.05
PUBLISHED = {"discriminator_stem": "pixels", "resampling": "fir"}  # how the twin begins and resamples
ALONE = Worker(0, 1)
SETTING = {"resume": None, "batch_size": 32, "ada_target": 0.0, "decay_fraction": 0.0, "feature_critic": None}
Turn = Callable[[], tuple[Generator, int]]  # takes one step; the averaged generator and the images seen so far


def main(
    images: Annotated[Path, typer.Option(help="Images store of corrupt_images.")] = Path(
        "data/corrupt_images/images.zarr"
    ),
    seconds: Annotated[float, typer.Option(help="Processor time of each contender's training.")] = 120.0,
    turn: Annotated[float, typer.Option(help="Processor time between two looks.")] = 60.0,
    bar: Annotated[float, typer.Option(help="Kernel distance, times 1,000, that is to be reached.")] = 15.0,
    samples: Annotated[int, typer.Option(min=100, help="Generated images that are looked at.")] = 1_000,
    params: ParamsOption = PARAMS,
) -> None:
    """Train both from scratch and tell how far their images are from real test images as time goes by."""
    torch.set_num_threads(1)
    fix_kernels()
    section = load_section(params, TrainStylegan2Params, "train_stylegan2").model_copy(update=SETTING)
    store = require(images, "corrupt_images")
    train, test, names = read_images(store, "train"), read_images(store, "test"), read_class_names(store)
    eye = load_neutral(CPU)
    real = World(lambda _: _, {EYE: eye}).look(test.images).logits[EYE]
    contenders = {
        "twin": start_published(section, train, names),
        "project": start_own(section, train, names),
    }
    spent, rows = dict.fromkeys(contenders, 0.0), []
    reached: dict[str, float] = {}
    with Progress("training", round(seconds) * len(contenders), "s") as progress:
        while min(spent.values()) < seconds:
            row: list[str] = []
            for name, take in contenders.items():
                generator, seen, passed = _train_for(take, turn)
                spent[name] += passed
                progress.advance(min(round(sum(spent.values())), progress.total) - progress.done)
                distance = look(generator, eye, real, samples)
                if distance.value <= bar:
                    reached.setdefault(name, spent[name])
                row += [f"{spent[name]:,.0f}", f"{seen / 1000:,.0f}", replace(distance, n=None).tell()]
            rows.append(row)
    heads = [f"{name}:\n{head}" for name in contenders for head in ("seconds", "kimg", "KID x 1,000")]
    notes = [
        f"{name}: distance {bar:g} after {reached[name]:,.0f} s" if name in reached else f"{name}: {bar:g} not reached"
        for name in contenders
    ]
    print_table("Training time before the neutral eye", heads, rows, notes)


def _train_for(take: Turn, seconds: float) -> tuple[Generator, int, float]:
    began = time.process_time()
    generator, seen = take()
    while time.process_time() - began < seconds:
        generator, seen = take()
    return generator, seen, time.process_time() - began


def look(generator: Generator, eye: Callable[[torch.Tensor], torch.Tensor], real: np.ndarray, samples: int) -> Estimate:
    """The kernel distance of fresh samples to real images, by their features [N, F]."""
    drawn = draw_styles(generator, samples, numpy_stream(1, "looked at"), 250)
    shown = World(generator.synthesize, {EYE: eye}).show(drawn.styles, noise=drawn.noise, keep_images=False)
    return measure_kernel_distance(shown.logits[EYE], real)


def start_own(section: TrainStylegan2Params, images: ImageSet, names: list[str]) -> Turn:
    """The project's training, with the section's architecture, rate and precision."""
    state, batches = start_anew(section, images, names)
    schedule = Schedule(section, 10**12, choose_dtype(section.precision, CPU))

    def take() -> tuple[Generator, int]:
        train_step(state, batches, schedule, ALONE)
        return state.average, state.images_seen

    return take


def start_published(section: TrainStylegan2Params, images: ImageSet, names: list[str]) -> Turn:
    """The twin's training."""
    fresh, batches = start_anew(section.model_copy(update=PUBLISHED), images, names)
    interval, size = section.r1_interval_steps, section.batch_size
    state = published.start_training(
        fresh.generator, fresh.discriminator, learning_rate=PUBLISHED_RATE, r1_interval_steps=interval
    )

    def take() -> tuple[Generator, int]:
        seen = (state.step + 1) * size
        decay = 0.5 ** (size / min(PUBLISHED_EMA_KIMG * 1000, PUBLISHED_RAMP * seen))
        published.train_step(state, batches, r1_gamma=PUBLISHED_R1, r1_interval_steps=interval, ema_decay=decay)
        return state.average, seen

    return take


def start_anew(section: TrainStylegan2Params, images: ImageSet, names: list[str]) -> tuple[TrainingState, Batches]:
    """New networks of the section without augmentation, as the twin has none, and their batches."""
    generator, discriminator = section.design_networks(len(names), images.images.shape[1])
    off = AdaptiveProbability(0.0, section.ada_interval_steps, section.ada_kimg)
    state = new_state(
        generator, discriminator, off, names, learning_rate=section.learning_rate, seed=section.seed, device=CPU
    )
    batches = Batches(
        images.images, images.labels, batch_size=section.batch_size, z_dim=section.z_dim,
        noise_resolutions=state.generator.noise_resolutions(), seed=section.seed,
        rows=slice(0, section.batch_size), device=CPU, balance=section.class_balance,
    )  # fmt: skip
    return state, batches


if __name__ == "__main__":
    run_benchmark(main)
