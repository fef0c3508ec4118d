"""Samples per second of what the analysis does: styles, images, gradients, walks, finite differences.

Networks have random weights and the sizes of params.yaml: neither the weights nor the samples change the speed.
"""

import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from benchmarks import _turns as turns
from benchmarks._turns import PARAMS, ParamsOption, SecondsOption
from failure_atlas.classifiers.networks import Classifier
from failure_atlas.core.device import choose_device
from failure_atlas.populations.sampling import draw_latents, draw_noise
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.world.gradients import differentiate, softmax
from failure_atlas.world.show import CLASSIFIER, World
from stages.common.classifier_params import TrainClassifierParams
from stages.common.params import load_section
from stages.rank_dimensions.params import RankDimensionsParams
from stages.train_stylegan2.params import TrainStylegan2Params

CLASSES = 10
TURN_SECONDS = 0.5
POPULATION = 10_000
STYLES, IMAGES, GRADIENTS, WALKS, DIFFERENCES = (
    "styles, z -> w -> s", "images, s -> image", "gradients, by backpropagation", "forwards of a walk",
    "gradients, by finite differences"
)  # fmt: skip
COLUMNS = ["analysis", "samples/s\nmedian", "samples/s\nlow - high", "x images", "x finite\ndifferences"]


def main(seconds: SecondsOption = 30.0, params: ParamsOption = PARAMS) -> None:
    """Measure the analysis on a generator and a classifier of the size of params.yaml: samples/s and ratios."""
    gan = load_section(params, TrainStylegan2Params, "train_stylegan2")
    tested = load_section(params, TrainClassifierParams, "train_classifiers", "corrupted")
    n = load_section(params, RankDimensionsParams, "rank_dimensions").batch_size
    device = choose_device()
    architecture, _ = gan.design_networks(CLASSES, image_channels=1)
    generator = Generator(architecture).to(device).eval().requires_grad_(False)
    classifier = Classifier(tested.network, CLASSES, tested.width).to(device).eval().requires_grad_(False)
    work = _list_work(generator, World(generator.synthesize, {CLASSIFIER: classifier}, n, device))

    def finish(batch: Callable[[], float]) -> float:
        done = batch()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return done

    measures = {name: partial(turns.repeat_for, TURN_SECONDS, partial(finish, batch)) for name, batch in work.items()}
    rates = turns.measure_in_turns(measures, seconds, "analysis")
    forwards = 2 * generator.style_dimensions  # of a gradient by central differences
    rates[DIFFERENCES] = [rate / forwards for rate in rates[WALKS]]
    rows = [[name, *turns.rate_cells(own, rates[IMAGES], rates[DIFFERENCES])] for name, own in rates.items()]
    whole = sum(POPULATION / statistics.median(rates[name]) for name in (STYLES, IMAGES, GRADIENTS))
    sizes = f"{generator.style_dimensions} style dimensions, batch {n}"
    notes = [
        f"Sampling {POPULATION:,} images and one gradient pass over them: {whole:.0f} s.",
        f"A gradient by finite differences: {forwards} forwards of generator and classifier.",
        f"{device}, torch threads {torch.get_num_threads()}, {sizes}; rounds in turns: {len(rates[IMAGES])}.",
        turns.BUSY,
    ]
    turns.print_table("Analysis", COLUMNS, rows, notes)


def _list_work(generator: Generator, world: World) -> dict[str, Callable[[], float]]:
    """One batch of each kind of work, as the stages do it; each returns how many samples it served."""
    n = world.batch_size
    z = torch.from_numpy(draw_latents(1, n, generator.z_dim)).to(world.device)
    labels = np.arange(n) % CLASSES

    def map_styles() -> torch.Tensor:
        with torch.no_grad():
            return generator.map_styles(generator.map_latents(z, torch.from_numpy(labels).to(world.device)))

    s, noise = map_styles().cpu().numpy(), draw_noise(1, n)

    def differentiate_all() -> int:
        return sum(len(each.logits) for each in differentiate(world, {"softmax": softmax}, s, labels, noise=noise))

    return {
        STYLES: lambda: len(map_styles()),
        IMAGES: lambda: sum(len(images) for _, images in world.make_images(s, noise)),
        GRADIENTS: differentiate_all,
        WALKS: lambda: len(world.show(s, noise=noise, keep_images=False).score(labels)),
    }


if __name__ == "__main__":
    turns.run_benchmark(main)
