"""What clamping images to [0, 1] changes in rankings and walks: it stops the gradient where a pixel is saturated.

It needs the networks and the population of the default run (`make repro`). The ranking of the paper (2.2), the mean
gradient of the true-class softmax, is made through the clamp, as rank_dimensions does, and around it; images that are
walked are clamped both times, as a classifier would receive them.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from scipy import stats

from benchmarks import print_table, run_benchmark
from failure_atlas.core.device import choose_device
from failure_atlas.core.files import require
from failure_atlas.ranking.gradient_scores import SOFTMAX, average_gradients, weigh_classes
from failure_atlas.statistics.agreement import TOP, order_dimensions, share_top
from failure_atlas.statistics.estimates import Estimate, proportion, read_estimate
from failure_atlas.statistics.survival import find_median
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.walks.crossing import space_grid
from failure_atlas.walks.single import Candidates, walk_dimensions
from failure_atlas.walks.space import StdSpace
from failure_atlas.world.show import CLASSIFIER, World
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import read_samples

DATA = Path("data")
FARTHEST_STD, GRID_STD = 20.0, 0.5
STARTS_PER_CLASS = 10


def main(
    samples: Annotated[int, typer.Option(min=200, help="Population samples behind each ranking.")] = 2000,
    classifier: Annotated[list[str] | None, typer.Option(help="Name of one under test; once for each.")] = None,
) -> None:
    """Compare rankings through and around the clamp, and how far walks along their top ten go to 0.50."""
    rows, notes = [], []
    for name in classifier or ["clean", "corrupted"]:
        weights = require(DATA / "train_classifiers" / name / "classifier.safetensors", "train_classifiers")
        generator, network = load_networks(DATA / "train_stylegan2/generator.safetensors", weights, choose_device())
        whole = read_samples(DATA / "sample_populations", generator)
        styles, true_class = whole.styles[:samples], whole.true_class[:samples]

        worlds = [
            World(each, {CLASSIFIER: network}, device=choose_device(), classes=generator.num_classes)
            for each in (generator.synthesize, partial(synthesize_unclamped, generator))
        ]
        share = {SOFTMAX: weigh_classes(true_class, np.ones((1, samples)))}
        through, around = (
            average_gradients(world, styles, true_class, share, noise=whole.noise[:samples])[SOFTMAX][0]
            for world in worlds
        )
        alike = stats.spearmanr(np.abs(through), np.abs(around)).statistic
        shared = float(share_top(through[None], around[None])[0])
        notes.append(
            f"{name}: Spearman of |score| {alike:.3f} over {len(through)} dimensions, {shared:.1f} of the top {TOP} "
            f"shared; the mean gradient is {np.linalg.norm(around) / np.linalg.norm(through):.2f} times as long around"
        )
        chosen = np.concatenate([np.flatnonzero(true_class == label)[:STARTS_PER_CLASS] for label in set(true_class)])
        space = StdSpace(worlds[0], styles[chosen], true_class[chosen], whole.std, whole.noise[chosen])
        begun = worlds[0].show(styles[chosen], noise=whole.noise[chosen]).score(true_class[chosen])
        for way, score in (("through", through), ("around", around)):
            top = order_dimensions(score)[:TOP]
            step = -np.sign(score[top]) * whole.std[top]
            candidates = Candidates(*(np.tile(each, (len(chosen), 1)) for each in (top, step)))
            grid = space_grid(FARTHEST_STD, GRID_STD)
            walks, _ = walk_dimensions(space.score, begun, candidates, wanted=TOP, grid_std=grid)
            reached = read_estimate(proportion(walks.reached))
            median = Estimate(**find_median(walks.shift_std, walks.reached))
            rows.append([name, way, reached.tell(), median.tell()])
    heads = ["classifier", "the clamp", f"walks that reach 0.50 within {FARTHEST_STD:.0f} std", "median shift, std"]
    print_table(f"Rankings of {samples:,} samples through and around the clamp", heads, rows, notes)


def synthesize_unclamped(generator: Generator, s: torch.Tensor, seeds: np.ndarray) -> torch.Tensor:
    """Images of styles [N, D] under noise of seeds [N], nominally in [0, 1], as they are before they are clamped."""
    return (generator.synthesize_raw(s, generator.make_noise(seeds)) + 1) / 2


if __name__ == "__main__":
    run_benchmark(main)
