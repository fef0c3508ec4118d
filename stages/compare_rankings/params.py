"""The section `compare_rankings` of params.yaml, and what a population and a classifier allow of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.core.errors import StageError
from failure_atlas.core.fields import BatchSize, Count, Section, Seed
from failure_atlas.populations.sampling import LEAST_PER_CLASS
from failure_atlas.ranking.attfind import count_trials
from failure_atlas.ranking.gradient_scores import BACKWARD_PASSES
from failure_atlas.ranking.scores import FINITE_DIFFERENCE, check_samples, count_passes
from failure_atlas.world.show import Classify


class CompareRankingsParams(Section):
    """What each ranking sees, how it is measured, and when a dimension is influential; params.yaml tells the units."""

    seed: Seed
    samples: Count
    attfind_samples: Count
    held_out_samples: int = Field(ge=2, le=1_000_000)
    random_draws: int = Field(ge=2, le=1000)
    attfind_margin: float = Field(ge=0, lt=0.5)
    top_k: list[Count] = Field(min_length=1, max_length=100)
    shifts_std: list[Annotated[float, Field(gt=0, le=100)]] = Field(min_length=1, max_length=100)
    headline_k: Count
    headline_shift_std: float = Field(gt=0, le=100)
    walk_dimensions: int = Field(ge=1, le=100)
    max_shift_std: int = Field(ge=1, le=100)
    split_halves: int = Field(ge=2, le=1000)
    bootstrap_replicates: int = Field(ge=40, le=10_000)
    fdr: float = Field(gt=0, lt=1)
    batch_size: BatchSize
    finite_difference_samples: Count = 60
    finite_difference_step_std: float = Field(default=0.1, gt=0, le=2)

    @model_validator(mode="after")
    def check_cells(self) -> Self:
        """Every cell once, and the headline cell among them."""
        for key, headline in (("top_k", "headline_k"), ("shifts_std", "headline_shift_std")):
            values, chosen = getattr(self, key), getattr(self, headline)
            if sorted(set(values)) != values:
                raise ValueError(f"{key} {values} rising, each value once")
            if chosen not in values:
                raise ValueError(f"{headline} {chosen} must be one of {key} {values}")
        return self


MODEL = CompareRankingsParams
SAVING = 50  # the gradient scores are also computed at this part of AttFind's forward passes


def count_small_budget(attfind_samples: int, dimensions: int) -> int:
    """Samples whose gradients cost 1/50 of AttFind's forward passes."""
    return count_trials(attfind_samples, dimensions) // (SAVING * (1 + BACKWARD_PASSES))


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


@dataclass(frozen=True)
class Budget:
    """How gradients are computed.

    samples: how many they are computed for.  passes: forward passes that a sample costs.  few: samples of the small
    budget, None where a sample's slopes cost as much as AttFind's trials.  steps: [D], of differences in their place.
    told: what metrics and figures say of it; empty for gradients.
    """

    samples: int
    passes: int
    few: int | None = None
    steps: np.ndarray | None = None
    told: dict[str, Any] = field(default_factory=dict)


def choose_budget(
    params: Path, section: CompareRankingsParams, classify: Classify, std: np.ndarray, population: int, classes: int
) -> Budget:
    """Gradients where the classifier gives them, else differences on fewer samples.

    std: [D].  population: how many samples there are.  Raises StageError that names the first key that does not fit.
    """
    check_sizes(params, section, population, len(std), classes)
    if is_differentiable(classify):
        return Budget(section.samples, 1 + BACKWARD_PASSES, count_small_budget(section.attfind_samples, len(std)))
    samples, step_std = section.finite_difference_samples, section.finite_difference_step_std
    check_samples(params, "compare_rankings.finite_difference_samples", samples, classes, section.samples)
    told = {"score": FINITE_DIFFERENCE, "score_samples": samples, "score_step_std": step_std}
    return Budget(samples, count_passes(0, 1, std), steps=step_std * std, told=told)
