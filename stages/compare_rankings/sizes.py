"""How many samples and dimensions there have to be, before any work."""

from pathlib import Path

from failure_atlas.core.errors import StageError
from failure_atlas.populations.sampling import LEAST_PER_CLASS
from stages.compare_rankings.attfind import count_passes
from stages.compare_rankings.gradients import BACKWARD_PASSES
from stages.compare_rankings.params import CompareRankingsParams

SAVING = 50  # the gradient scores are also computed at this part of AttFind's forward passes


def count_small_budget(attfind_samples: int, dimensions: int) -> int:
    """Samples whose gradients cost 1/50 of AttFind's forward passes."""
    return count_passes(attfind_samples, dimensions) // (SAVING * (1 + BACKWARD_PASSES))


def check_sizes(params: Path, section: CompareRankingsParams, population: int, dimensions: int, classes: int) -> None:
    """Raise StageError that names the first key whose number the population, S or the classes do not allow."""
    least_attfind = classes
    while count_small_budget(least_attfind, dimensions) < classes:
        least_attfind += 1
    small = count_small_budget(section.attfind_samples, dimensions)
    least = max(LEAST_PER_CLASS * classes, section.attfind_samples, small)
    for key, value, low, high in (
        ("attfind_samples", section.attfind_samples, least_attfind, population),
        ("samples", section.samples, least, population),
        ("held_out_samples", section.held_out_samples, max(classes, section.random_draws), None),
        ("top_k", max(section.top_k), 1, dimensions),
        ("walk_dimensions", section.walk_dimensions, 1, dimensions),
    ):
        if value < low or (high is not None and value > high):
            allowed = f"{low} to {high}" if high is not None else f"at least {low}"
            raise StageError(f"{params}: compare_rankings.{key}: got {value}; allowed: {allowed}")
