"""The examination of claimed failures: networks asked, distances measured, one row of a table each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.image_set import ImageSet
from failure_atlas.judges.ensemble import Ensemble
from failure_atlas.judges.failures import AUDITOR, tabulate_opinions
from failure_atlas.judges.readability import weigh_readability
from failure_atlas.judges.realism import score_realism
from failure_atlas.judges.remoteness import Yardstick, represent
from failure_atlas.stylegan2.discriminator import Discriminator
from failure_atlas.walks.true_failures import survive_noise
from failure_atlas.world.show import CLASSIFIER, JUDGE, Shown, World
from stages.judge_failures.inputs import POPULATION, REAL, Claims

SURVIVAL = "noise_survival"  # share of fresh draws of noise under which the classifier is still wrong
READABLE = "readable"  # as the class that was meant, by the model of people in `readability`


@dataclass(frozen=True)
class Examiner:
    """All that is needed to examine a claim.

    world: with CLASSIFIER, JUDGE and AUDITOR.  auditor: itself, for its features and its confidence.  critic: None
    where realism is not measured.  deviation: see `realism.measure_deviation`.  confidence: the judge's.  seed: of the
    noise that readability is asked under, and of the fresh noise, of which there are `noise_draws`.
    """

    world: World
    auditor: Ensemble
    critic: Discriminator | None
    deviation: float
    yardstick: Yardstick
    class_names: Sequence[str]
    confidence: float
    seed: int
    noise_draws: int

    def examine(
        self, claims: Claims, logits: np.ndarray | None = None, advance: Callable[[int], object] = lambda _: None
    ) -> pd.DataFrame:
        """One row per claim.

        logits: [M, C], what the classifier is known to say about them, on the ground of which they were claimed;
        without it the classifier is asked.
        """
        known = {} if logits is None else {CLASSIFIER: logits}
        asked = [name for name in self.world.networks if name not in known]
        shown = self.world.show(claims.styles, asked, noise=claims.noise, keep_images=False, advance=advance)
        shown = replace(shown, images=claims.images, logits={**shown.logits, **known})
        opinions = self._tabulate(claims.source, claims.index, shown, claims.true_class)
        stick, size = self.yardstick, self.world.batch_size
        if self.critic is None:
            realism = np.full(len(claims.images), np.nan)
        elif claims.source == POPULATION:
            # Measured once: a sample that is measured again may, by rounding, come out below itself.
            realism = stick.realism[claims.index]
        else:
            realism = score_realism(self.critic, claims.images, claims.true_class, self.deviation, batch_size=size)
        distance = stick.real.measure(represent(self.auditor, claims.images, batch_size=size))
        remoteness = stick.tabulate(distance, claims.true_class, realism)
        survival = survive_noise(
            self.world, claims.styles, claims.true_class,
            confidence=self.confidence, draws=self.noise_draws, advance=advance,
            stream=lambda draw: numpy_stream(self.seed, "fresh noise", claims.source, draw),
        )  # fmt: skip
        survived = {SURVIVAL: survival.wrong, f"true_failure_{SURVIVAL}": survival.true_failure}
        return pd.concat([opinions.assign(**survived), claims.walks, remoteness], axis=1)

    def examine_real(self, real: ImageSet) -> tuple[pd.DataFrame, np.ndarray]:
        """One row per real image that the classifier gets wrong, and which of all images these are, [N] bool."""
        seen = self.world.look(real.images, [CLASSIFIER])
        wrong = seen.predicted() != real.labels
        shown = self.world.look(real.images[wrong], [JUDGE, AUDITOR])
        shown = replace(shown, logits={**shown.logits, CLASSIFIER: seen.logits[CLASSIFIER][wrong]})
        return self._tabulate(REAL, np.flatnonzero(wrong), shown, real.labels[wrong]), wrong

    def _tabulate(self, source: str, index: np.ndarray, shown: Shown, true_class: np.ndarray) -> pd.DataFrame:
        opinions = tabulate_opinions(shown, true_class, self.class_names, self.confidence, self.auditor.confidence)
        weight = weigh_readability(
            self.world, shown.images, true_class, lambda row: numpy_stream(self.seed, READABLE, source, int(index[row]))
        )
        opinions = opinions.assign(**{"readable_probability": weight, READABLE: weight >= self.confidence})
        return pd.concat([pd.DataFrame({"source": [source] * len(index), "index": index}), opinions], axis=1)
