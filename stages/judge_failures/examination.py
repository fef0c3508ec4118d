"""The examination of claimed failures: networks asked, distances measured, one row of a table each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from failure_atlas.images.image_set import ImageSet
from failure_atlas.stylegan2.discriminator import Discriminator
from failure_atlas.world.show import Classify, Synthesize
from stages.judge_failures.claims import POPULATION, Claims
from stages.judge_failures.opinions import ask_about_images, ask_about_styles
from stages.judge_failures.realism import score_realism
from stages.judge_failures.remoteness import Yardstick, tabulate_remoteness
from stages.judge_failures.style_distance import measure_mahalanobis
from stages.judge_failures.table import tabulate_claims, tabulate_real_failures


@dataclass(frozen=True)
class Examiner:
    """All that is needed to examine a claim; memory is bounded by batch_size.

    deviation: see `realism.measure_deviation`.  confidence, far_out_percentile: as in params.yaml.
    """

    synthesize: Synthesize
    classifier: Classify
    judge: Classify
    auditor: Classify
    critic: Discriminator
    deviation: float
    yardstick: Yardstick
    class_names: Sequence[str]
    confidence: float
    far_out_percentile: float
    batch_size: int
    device: torch.device

    def examine(
        self, claims: Claims, softmax: np.ndarray | None = None, advance: Callable[[int], None] = lambda _: None
    ) -> pd.DataFrame:
        """One row per claim.

        softmax: [M, C], what the classifier is known to say about them, on the ground of which they were claimed;
        without it the classifier is asked.
        """
        networks = {"judge": self.judge, "auditor": self.auditor}
        said = ask_about_styles(
            networks if softmax is not None else networks | {"classifier": self.classifier},
            self.synthesize,
            claims.styles,
            classes=len(self.class_names),
            batch_size=self.batch_size,
            device=self.device,
            advance=advance,
        )
        if softmax is not None:
            said["classifier"] = softmax
        table = tabulate_claims(claims, said, self.class_names, self.confidence)
        mahalanobis, realism = self._measure(claims)
        remoteness = tabulate_remoteness(self.yardstick, claims, mahalanobis, realism, self.far_out_percentile)
        return pd.concat([table, remoteness], axis=1)

    def examine_real(self, real: ImageSet) -> tuple[pd.DataFrame, np.ndarray]:
        """One row per real image that the classifier gets wrong, and which of all images these are, [N] bool."""
        softmax = self._ask({"classifier": self.classifier}, real.images)["classifier"]
        wrong = softmax.argmax(axis=1) != real.labels
        said = self._ask({"judge": self.judge, "auditor": self.auditor}, real.images[wrong])
        said["classifier"] = softmax[wrong]
        table = tabulate_real_failures(
            np.flatnonzero(wrong), real.labels[wrong], said, self.class_names, self.confidence
        )
        return table, wrong

    def _measure(self, claims: Claims) -> tuple[np.ndarray, np.ndarray]:
        """Mahalanobis distance and realism of each claim, [M] each."""
        if claims.source == POPULATION:
            # Measured once: a sample that is measured again may, by rounding, come out below itself.
            return self.yardstick.mahalanobis[claims.index], self.yardstick.realism[claims.index]
        return (
            measure_mahalanobis(self.yardstick.spread, claims.styles, claims.true_class),
            score_realism(self.critic, claims.images, claims.true_class, self.deviation, batch_size=self.batch_size),
        )

    def _ask(self, networks: dict[str, Classify], images: np.ndarray) -> dict[str, np.ndarray]:
        return ask_about_images(
            networks, images, classes=len(self.class_names), batch_size=self.batch_size, device=self.device
        )
