"""The section `train_judges` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from failure_atlas.classifiers.training import Recipe
from failure_atlas.core.fields import Section, Seed
from failure_atlas.core.weights import PinnedFile


class MemberParams(Section):
    """One network of an ensemble."""

    network: Literal["plain", "residual", "mixer", "pooled"]
    width: Annotated[int, Field(ge=8, le=512, multiple_of=8)]
    seed: Seed
    standardize: bool = False
    grid: Annotated[int, Field(ge=1, le=8)] = 1


ENSEMBLES = ("judge", "auditor")
BROUGHT = "brought"  # of `released`: the entries `judge` and `auditor` of bring_classifiers are taken over


class ReleasedParams(Section):
    """Ensembles that are taken over instead of trained."""

    judge: PinnedFile
    auditor: PinnedFile
    people: PinnedFile | None = None


class TrainJudgesParams(Recipe):
    """Who judges, how its members are trained, and when it is said to see a class."""

    seed: Seed
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    accuracy_floor: Annotated[float, Field(ge=0, lt=1)]
    released: Annotated[list[ReleasedParams], Field(min_length=1, max_length=100)] | Literal["brought"] | None
    judge: Annotated[list[MemberParams], Field(min_length=1, max_length=100)]
    auditor: Annotated[list[MemberParams], Field(min_length=1, max_length=100)]
    disjoint_images: bool

    @property
    def pairs(self) -> list[ReleasedParams]:
        """The released pairs of files; none where judges are trained or brought."""
        return self.released if isinstance(self.released, list) else []


MODEL = TrainJudgesParams
