"""How the score of a dimension is made: by gradients, or by finite differences where there are none."""

from pathlib import Path
from typing import Literal

from stages.bring_classifiers.differentiable import is_differentiable
from stages.common.errors import StageError
from stages.rank_dimensions.params import LEAST_PER_CLASS
from stages.rank_dimensions.scores import Classify

Score = Literal["auto", "gradient", "finite_difference"]
AUTO: Score = "auto"
GRADIENT: Score = "gradient"
FINITE_DIFFERENCE: Score = "finite_difference"


def choose_score(wanted: Score, classify: Classify, params: Path, classifier: Path) -> Score:
    """gradient or finite_difference; `auto` takes gradients where the classifier gives them.

    Raises StageError if gradients are wanted of a classifier that gives none.
    """
    differentiable = is_differentiable(classify)
    if wanted == AUTO:
        return GRADIENT if differentiable else FINITE_DIFFERENCE
    if wanted == GRADIENT and not differentiable:
        raise StageError(
            f"{params}: rank_dimensions.score: got '{GRADIENT}', but {classifier} is a black box and gives none; "
            f"allowed for it: '{AUTO}', '{FINITE_DIFFERENCE}'"
        )
    return wanted


def check_samples(params: Path, key: str, samples: int, classes: int, population: int) -> None:
    """Raise StageError unless every class gets the samples that its two halves need; key: with its section."""
    least = LEAST_PER_CLASS * classes
    if not least <= samples <= population:
        raise StageError(f"{params}: {key}: got {samples}; allowed: {least} to {population}, {LEAST_PER_CLASS} a class")
