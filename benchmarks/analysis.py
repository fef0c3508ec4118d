"""Samples per second of what the analysis does: styles, images, gradients, walks, finite differences.

Networks have random weights and the sizes of params.yaml: neither the weights nor the samples change the speed.
"""

import statistics
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks._turns import (
    Contender,
    measure_in_turns,
    median_ratio,
    print_table,
    repeat_for,
    run_benchmark,
    show_ratio,
    spread,
)
from failure_atlas.classifiers.networks import Classifier
from failure_atlas.core.device import choose_device
from failure_atlas.core.seeds import torch_stream
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.world.gradients import differentiate, softmax
from failure_atlas.world.show import CLASSIFIER, Classify, World
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
STEP = 1e-2  # in raw style units


class Analysis:
    """One batch of each kind of work; each method returns how many samples it served."""

    def __init__(self, generator: Generator, classifier: Classify, batch_size: int) -> None:
        self._generator, self._classifier = generator, classifier
        device = generator.constant.device
        z = torch.randn(batch_size, generator.z_dim, generator=torch_stream(1, "benchmark"))
        self._z, self._labels = z.to(device), torch.arange(batch_size, device=device) % CLASSES
        with torch.no_grad():
            self._s = generator.map_styles(generator.map_latents(self._z, self._labels))
        self._world = World(generator.synthesize, {CLASSIFIER: classifier}, batch_size, device)
        self._arrays = self._s.cpu().numpy(), self._labels.cpu().numpy()

    def map_styles(self) -> float:
        """Styles of latents, as sample_populations does it."""
        with torch.no_grad():
            self._generator.map_styles(self._generator.map_latents(self._z, self._labels))
        return len(self._z)

    def synthesize(self) -> float:
        """Images of styles."""
        with torch.no_grad():
            self._generator.synthesize(self._s)
        return len(self._s)

    def differentiate(self) -> float:
        """Gradients of the true-class score with respect to the styles, as rank_dimensions does it."""
        list(differentiate(self._world, {"softmax": softmax}, *self._arrays))
        return len(self._s)

    def walk(self) -> float:
        """True-class scores of moved styles, as walk_corner_cases asks for them."""
        self._world.show(self._arrays[0], keep_images=False).score(self._arrays[1])
        return len(self._s)

    def difference(self) -> float:
        """Part of one sample's gradient by central differences: 2 D forwards make one, a batch makes a share of it."""
        n, dimensions = self._s.shape
        moved = self._s[:1].repeat(n, 1)
        places = torch.arange(n, device=moved.device)
        moved[places, places // 2 % dimensions] += STEP * (1 - 2.0 * (places % 2))
        with torch.no_grad():
            self._classifier(self._generator.synthesize(moved)).softmax(dim=1)[:, 0]
        return n / (2 * dimensions)


def main(
    seconds: Annotated[float, typer.Option(help="Time to spend on measuring; one round is always run.")] = 30.0,
    params: Annotated[Path, typer.Option(help="The params file that says how large the networks are.")] = Path(
        "params.yaml"
    ),
) -> None:
    """Measure the analysis on a generator and a classifier of the size of params.yaml: samples/s and ratios."""
    gan = load_section(params, TrainStylegan2Params, "train_stylegan2")
    tested = load_section(params, TrainClassifierParams, "train_classifiers", "corrupted")
    batch_size = load_section(params, RankDimensionsParams, "rank_dimensions").batch_size
    device = choose_device()
    architecture, _ = gan.design_networks(CLASSES, image_channels=1)
    generator = Generator(architecture).to(device).eval().requires_grad_(False)
    classifier = Classifier(tested.network, CLASSES, tested.width).to(device).eval().requires_grad_(False)
    analysis = Analysis(generator, classifier, batch_size)
    work = {
        STYLES: analysis.map_styles,
        IMAGES: analysis.synthesize,
        GRADIENTS: analysis.differentiate,
        WALKS: analysis.walk,
        DIFFERENCES: analysis.difference,
    }
    contenders = [
        Contender(name, partial(repeat_for, TURN_SECONDS, partial(_finish, device, batch)))
        for name, batch in work.items()
    ]
    rates = measure_in_turns(contenders, seconds, "analysis")
    rows = []
    for name, own in rates.items():
        ratios = [show_ratio(median_ratio(own, rates[other])) for other in (IMAGES, DIFFERENCES)]
        digits = 0 if statistics.median(own) > 100 else 2
        rows.append([name, f"{statistics.median(own):,.{digits}f}", spread(own, digits), *ratios])
    whole = sum(POPULATION / statistics.median(rates[name]) for name in (STYLES, IMAGES, GRADIENTS))
    sizes = f"{generator.style_dimensions} style dimensions, batch {batch_size}"
    columns = ["analysis", "samples/s\nmedian", "samples/s\nlow - high", "x images", "x finite\ndifferences"]
    notes = [
        f"Sampling {POPULATION:,} images and one gradient pass over them: {whole:.0f} s.",
        f"A gradient by finite differences: {2 * generator.style_dimensions} forwards of generator and classifier.",
        f"{device}, torch threads {torch.get_num_threads()}, {sizes}; rounds in turns: {len(rates[IMAGES])}.",
        "On a busy machine rates mean little and ratios more: see low - high; several threads suffer most.",
    ]
    print_table("Analysis", columns, rows, notes)


def _finish(device: torch.device, batch: object) -> float:
    work: float = batch()  # type: ignore[operator]
    if device.type == "cuda":
        torch.cuda.synchronize()
    return work


if __name__ == "__main__":
    run_benchmark(main)
