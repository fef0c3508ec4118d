"""Samples of a generator that knows no classes: each is of the class that the judge sees in it, sure of it or not.

A true class that a judge gave is the judge's opinion. Samples that it is unsure of are kept, because leaving them out
would leave out what is hard; how many there are says how far figures about classes can be trusted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from failure_atlas.populations.sampling import Label, Population
from failure_atlas.statistics.estimates import proportion
from failure_atlas.world.show import JUDGE, World


def label_with(world: World) -> Label:
    """What `draw_styles` asks for classes; world: with JUDGE."""

    def label(styles: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return world.show(styles, [JUDGE], noise=noise, keep_images=False).predicted(JUDGE)

    return label


@dataclass
class JudgedClasses:
    """The classes of a population, as the judge sees its stored images.

    confidence: the probability from which on the judge is sure.  seen, sure: of each part so far.
    """

    world: World
    confidence: float
    seen: list[np.ndarray]
    sure: list[np.ndarray]

    def judge(self, part: Population) -> Population:
        """The part with the classes that the judge sees."""
        opinions = self.world.look(part.images, [JUDGE]).softmax(JUDGE)
        self.seen.append(opinions.argmax(axis=1))
        self.sure.append(opinions.max(axis=1) >= self.confidence)
        return replace(part, labels=self.seen[-1])

    def tell(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Metrics: how many samples there are of each class, and the share that the judge is unsure of."""
        seen, unsure = np.concatenate(self.seen), ~np.concatenate(self.sure)
        return {
            "judge_confidence": self.confidence,
            "unsure_samples": int(unsure.sum()),
            "unsure_share": proportion(unsure),
            "per_class": {
                name: {"samples": int((seen == label).sum()), "unsure_samples": int(unsure[seen == label].sum())}
                for label, name in enumerate(class_names)
            },
        }
