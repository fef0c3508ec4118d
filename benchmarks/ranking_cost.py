"""Seconds and forward passes of the rankings that compare_rankings compares, on the released generator.

The classifier has random weights and the size of params.yaml: its answers do not change the speed. The cost of a
score grows linearly with its samples, so a few are timed and the budget of params.yaml is told from them.
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks._table import PARAMS, ParamsOption, print_table, run_benchmark
from failure_atlas.classifiers.networks import Classifier
from failure_atlas.core.device import choose_device
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.populations.sampling import draw_latents, draw_noise
from failure_atlas.ranking.attfind import count_trials, find_effects
from failure_atlas.ranking.gradient_scores import BACKWARD_PASSES
from failure_atlas.ranking.methods import find_principal, map_directions
from failure_atlas.ranking.scores import count_passes
from failure_atlas.stylegan2.state import load_released_generator
from failure_atlas.world.gradients import Differences, differentiate, softmax
from failure_atlas.world.show import CLASSIFIER, World
from stages.common.classifier_params import TrainClassifierParams
from stages.common.params import load_section
from stages.compare_rankings.params import CompareRankingsParams, count_small_budget

RUNS = 5
GRADIENT_SAMPLES, TRIED_SAMPLES = 100, 2  # that are timed; a sample is tried 2 D times


def main(params: ParamsOption = PARAMS) -> None:
    """Time each way to rank the style dimensions once, on as many samples as the params give it."""
    section = load_section(params, CompareRankingsParams, "compare_rankings")
    device = choose_device()
    generator = load_released_generator().to(device)
    tested = load_section(params, TrainClassifierParams, "train_classifiers", "corrupted")
    classifier = Classifier(tested.network, generator.num_classes, tested.width).to(device).eval().requires_grad_(False)
    labels = np.arange(section.samples) % generator.num_classes
    z = torch.from_numpy(draw_latents(1, section.samples, generator.z_dim)).to(device)
    with torch.no_grad():
        w = generator.map_latents(z, torch.from_numpy(labels).to(device))
        styles = generator.map_styles(w)
    s, dimensions, noise = styles.cpu().numpy(), generator.style_dimensions, draw_noise(1, section.samples)
    std = s.std(axis=0)
    few = count_small_budget(section.attfind_samples, dimensions)
    passes = 1 + BACKWARD_PASSES

    world = World(generator.synthesize, {CLASSIFIER: classifier}, section.batch_size, device)

    def slopes(samples: int, steps: np.ndarray | None = None) -> None:
        along = None if steps is None else Differences.along_all(samples, steps)
        own = noise[:samples]
        list(differentiate(world, {"softmax": softmax}, s[:samples], labels[:samples], noise=own, differences=along))

    def search(n: int = TRIED_SAMPLES) -> None:
        bounds, weights = np.stack([s.min(axis=0), s.max(axis=0)]), np.full(n, 1 / n)
        batch, own = section.batch_size, noise[:n]
        find_effects(generator, classifier, s[:n], labels[:n], weights, bounds, noise=own, batch_size=batch)

    def mapped() -> object:
        return map_directions(generator, find_principal(w.cpu().numpy(), count))

    count = max(*section.top_k, section.walk_dimensions)
    varying = np.where(std > 0, std, 1)
    slope, trial = _time(lambda: slopes(GRADIENT_SAMPLES)) / GRADIENT_SAMPLES, _time(search) / TRIED_SAMPLES
    step = _time(lambda: slopes(TRIED_SAMPLES, section.finite_difference_step_std * std)) / TRIED_SAMPLES
    tried, differenced = section.attfind_samples, section.finite_difference_samples
    rows = [
        _tell("a gradient score", section.samples, section.samples * passes, section.samples * slope),
        _tell("a gradient score, 1/50 of AttFind", few, few * passes, few * slope),
        _tell("AttFind", tried, count_trials(tried, dimensions), tried * trial),
        _tell("finite differences", differenced, count_passes(0, differenced, std), differenced * step),
        _tell("PCA of W, mapped to S", section.samples, 0, _time(mapped)),
        _tell("PCA of S", section.samples, 0, _time(lambda: find_principal(s / varying, count))),
        _tell("random dimensions", 0, 0, _time(lambda: numpy_stream(1, "benchmark").permutation(dimensions))),
    ]
    notes = [
        "PCA and random directions get their sign from the gradient, for which compare_rankings charges them as well.",
        f"Timed: {GRADIENT_SAMPLES} gradients, {TRIED_SAMPLES} samples tried, the fastest of {RUNS} runs.",
        f"{device}, torch threads {torch.get_num_threads()}, {dimensions} style dimensions, batch {section.batch_size}",
    ]
    print_table("Cost of the rankings", ["ranking", "samples", "passes", "seconds"], rows, notes)


def _time(work: Callable[[], object]) -> float:
    """Seconds of the fastest of the runs: other work on the machine can only slow one down."""
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _tell(name: str, samples: int, passes: int, seconds: float) -> list[str]:
    return [name, f"{samples:,}", f"{passes:,}", f"{seconds:.2f}"]


if __name__ == "__main__":
    run_benchmark(main)
