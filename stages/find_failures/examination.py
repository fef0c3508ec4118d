"""What everybody says of the failures that were found, and how different, real, readable and lasting they are."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.image_set import to_unit
from failure_atlas.judges.failures import AUDITOR, tabulate_opinions
from failure_atlas.judges.readability import weigh_readability
from failure_atlas.judges.remoteness import represent
from failure_atlas.search.distinct import choose_distinct, measure_spacing
from failure_atlas.walks.true_failures import survive_noise
from stages.find_failures.attempts import Attempt
from stages.find_failures.inputs import SCORER, Opened
from stages.find_failures.params import FindFailuresParams

FAR_OUT_PERCENTILE = 99.0  # of real test images, which must lie nearer to the others


@dataclass(frozen=True)
class Examined:
    """table: one row a failure.  images, start_images: uint8 [M, C, H, W]; the latter without rows where none is."""

    attempt: Attempt
    table: pd.DataFrame
    images: np.ndarray
    start_images: np.ndarray


def examine(opened: Opened, attempt: Attempt, section: FindFailuresParams) -> Examined:
    """Ask classifier, judge and witnesses about each failure of a method.

    distance_std: straight from the start, in std of the class in W, or of the population in S.  image_distance: from
    the start's image, L2, white being 1.  noise_survival: share of fresh draws of noise under which the classifier is
    wrong, true_failure_noise_survival: and the judge sure.  distinct: see `choose_distinct`.
    """
    names = opened.samples.class_names
    world = replace(opened.world, networks={**opened.world.networks, **opened.witnesses})
    shown = world.show(attempt.styles, noise=attempt.noise)
    started = np.isfinite(attempt.start_styles).all(axis=1)
    start_images = world.show(attempt.start_styles[started], [], noise=attempt.noise[started]).images
    distance = np.full(len(started), np.nan)
    apart = to_unit(shown.images[started]) - to_unit(start_images)
    distance[started] = apart.double().square().sum(dim=(1, 2, 3)).sqrt().numpy()
    auditor = opened.witnesses[AUDITOR]
    opinions = tabulate_opinions(shown, attempt.true_class, names, opened.judge.confidence, auditor.confidence)
    if SCORER in opened.witnesses:
        seen = shown.score(attempt.true_class, SCORER)
        sure = seen >= opened.witnesses[SCORER].confidence
        opinions = opinions.assign(scorer_probability=seen, scorer_confirms=sure)

    def open_stream(row: int) -> np.random.Generator:
        return numpy_stream(section.seed, "find_failures", "readable", attempt.method, int(attempt.row[row]))

    readable = weigh_readability(world, shown.images, attempt.true_class, open_stream)
    survival = survive_noise(
        world, attempt.styles, attempt.true_class,
        confidence=opened.judge.confidence, draws=section.noise_draws,
        stream=lambda draw: numpy_stream(section.seed, "find_failures", "fresh noise", attempt.method, draw),
    )  # fmt: skip
    features = represent(auditor, shown.images, batch_size=section.batch_size)
    spacing = measure_spacing(opened.features, opened.real.labels, len(names))
    away = opened.surroundings.measure(features)
    table = pd.DataFrame({"method": [attempt.method] * len(attempt.row), "row": attempt.row})
    table = pd.concat([table, opinions], axis=1).assign(
        distance_std=attempt.distance_std,
        image_distance=distance,
        readable_probability=readable,
        readable=readable >= opened.judge.confidence,
        distance_to_real=away,
        far_out=opened.surroundings.find_far(away, FAR_OUT_PERCENTILE),
        noise_survival=survival.wrong,
        true_failure_noise_survival=survival.true_failure,
        distinct=choose_distinct(features, attempt.true_class, attempt.row, spacing),
    )
    return Examined(attempt, table, shown.images, start_images)
