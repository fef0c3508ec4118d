"""The mixtures that are compared, all of equal budget, and the choice of their shares on held-out images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.image_set import ImageSet
from failure_atlas.repair.mixture import Mixture
from stages.repair_classifier.inputs import (
    CLEAN,
    HELD_OUT,
    MORE,
    MORE_IN_MODES,
    OUTSIDE,
    POPULATION,
    REAL,
    RECIPE,
    Inputs,
)
from stages.repair_classifier.params import RepairClassifierParams
from stages.repair_classifier.trainings import Job, Trainer

PLAIN, ADDED_MORE, GENERATED = "plain", "more of the same", "generated"
FAILURES, BY_MODE, REAL_OF_MODES = (
    "generated and failures",
    "generated and failures by mode",
    "generated and real of modes",
)
REPAIRS = (FAILURES, BY_MODE, REAL_OF_MODES)
KEYS = {
    PLAIN: "plain", ADDED_MORE: "more", GENERATED: "generated", FAILURES: "failures", BY_MODE: "failures_by_mode",
    REAL_OF_MODES: "real_of_modes",
}  # fmt: skip
MANY = 2**31  # seeds of choice and of the report lie apart


@dataclass(frozen=True)
class Arm:
    """One mixture.  generator: its name, empty where none has a part.  added: share that is not `real` as it stands.

    failures: share of all that are failures, or real images of failing modes; a part of `added`.
    """

    kind: str
    generator: str = ""
    added: float = 0.0
    failures: float = 0.0

    @property
    def key(self) -> str:
        """Its name in metrics.json."""
        return "_".join(filter(None, (KEYS[self.kind], self.generator)))

    @property
    def without_failures(self) -> "Arm":
        """Generated images alone, as many, of the same generator."""
        return replace(self, kind=GENERATED, failures=0.0)

    def compose(self, sources: Mapping[str, ImageSet], real: str = REAL) -> Mixture:
        """Names of sets and their shares; failures by mode in equal shares of all modes that have any."""
        parts = [(real, 1 - self.added)]
        if self.kind == ADDED_MORE:
            parts.append((MORE, self.added))
        elif self.generator:
            parts.append((f"generated/{self.generator}", self.added - self.failures))
        if self.kind == FAILURES:
            parts.append((f"failures/{self.generator}", self.failures))
        elif self.kind == REAL_OF_MODES:
            parts.append((MORE_IN_MODES, self.failures))
        elif self.kind == BY_MODE:
            places = [name for name in sources if name.startswith(f"modes/{self.generator}/")]
            parts += [(name, self.failures / len(places)) for name in places]
        return tuple((name, round(share, 9)) for name, share in parts if share > 1e-9)

    def can_be(self, sources: Mapping[str, ImageSet]) -> bool:
        """Whether there are images of all that it is made of."""
        needed = {BY_MODE: f"modes/{self.generator}/", REAL_OF_MODES: MORE_IN_MODES}.get(self.kind, REAL)
        return any(name.startswith(needed) for name in sources)


def draw_seeds(seed: int, count: int, purpose: str) -> list[int]:
    """Seeds of the trainings of each mixture."""
    return [int(each) for each in numpy_stream(seed, "repair_classifier", purpose).integers(0, MANY, count)]


def choose(
    trainer: Trainer, labels: np.ndarray, generators: Sequence[str], section: RepairClassifierParams
) -> tuple[list[Arm], pd.DataFrame]:
    """The arms with the shares at which each reads the most held-out images rightly, and what was tried.

    labels: of the held-out images.  First what is added as it comes, then how much of it are failures.
    """
    seeds, tried = draw_seeds(section.seed, section.choice_trainings, "choice"), list[dict[str, object]]()
    plans = [Arm(ADDED_MORE), *(Arm(GENERATED, name) for name in generators)]
    added = _try_all(
        trainer,
        labels,
        seeds,
        tried,
        [[replace(plan, added=share) for share in section.added_shares] for plan in plans],
    )
    repairs = [
        [replace(arm, kind=kind, failures=share) for share in section.failure_shares]
        for arm in added
        if arm.kind == GENERATED
        for kind in REPAIRS
        if replace(arm, kind=kind).can_be(trainer.sources)
    ]
    return [Arm(PLAIN), *added, *_try_all(trainer, labels, seeds, tried, repairs)], pd.DataFrame(tried)


def _try_all(
    trainer: Trainer, labels: np.ndarray, seeds: list[int], tried: list[dict[str, object]], plans: list[list[Arm]]
) -> list[Arm]:
    jobs = [Job(arm.compose(trainer.sources), seed, (HELD_OUT,)) for plan in plans for arm in plan for seed in seeds]
    answers = iter(trainer.train_all(jobs, "choosing shares"))
    best = []
    for plan in plans:
        right = [float(np.mean([np.mean(next(answers)[HELD_OUT] == labels) for _ in seeds])) for _ in plan]
        best.append(plan[int(np.argmax(right))])
        tried += [
            {"mixture": arm.kind, "generator": arm.generator, "added": arm.added, "failures": arm.failures,
             "accuracy": each, "n": len(labels), "trainings": len(seeds), "chosen": arm == best[-1]}
            for arm, each in zip(plan, right, strict=True)
        ]  # fmt: skip
    return best


def choose_best(arms: Sequence[Arm], tried: pd.DataFrame, generators: Sequence[str]) -> dict[str, Arm]:
    """Of each generator the repair that read the most held-out images rightly."""
    chosen = tried[tried["chosen"]].set_index(["mixture", "generator"])["accuracy"]
    repairs = [arm for arm in arms if arm.kind in REPAIRS]
    return {
        name: max(
            (arm for arm in repairs if arm.generator == name),
            key=lambda arm: float(chosen[arm.kind, arm.generator]),
        )
        for name in generators
    }


def train_arms(
    trainer: Trainer, arms: Sequence[Arm], kept: Arm, inputs: Inputs, section: RepairClassifierParams
) -> tuple[dict[Arm, dict[str, np.ndarray]], Path]:
    """Train each arm with each seed of the report.

    Returns by arm and test which images are read rightly, bool [S, I], and the weights of the first training of `kept`.
    """
    seeds, asked = draw_seeds(section.seed, section.trainings, "report"), (CLEAN, RECIPE, OUTSIDE, POPULATION)
    jobs = {
        arm: [Job(arm.compose(trainer.sources), seed, asked, keep=arm == kept and seed == seeds[0]) for seed in seeds]
        for arm in arms
    }
    answers = iter(trainer.train_all([job for own in jobs.values() for job in own], "training mixtures"))
    read = {arm: [next(answers) for _ in own] for arm, own in jobs.items()}
    right = {
        arm: {test: np.stack([each[test] for each in own]) == inputs.tests[test].labels for test in asked}
        for arm, own in read.items()
    }
    return right, trainer.find_weights(jobs[kept][0])
