"""What is compared, read and checked before any work."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import read_json
from failure_atlas.curves.distance import find_centres, measure_deviations
from failure_atlas.curves.shift import read_order
from failure_atlas.world.show import CLASSIFIER, World
from stages.common.artefacts.inverted import RealImages, read_inverted
from stages.common.artefacts.names import Names, read_names
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import Samples, read_samples
from stages.common.artefacts.predictions import read_logits
from stages.common.artefacts.ranking import GLOBAL, read_ranking
from stages.common.params import DIMENSIONS, limit_keys
from stages.corroborate.params import CorroborateParams


@dataclass(frozen=True)
class Compared:
    """A population and real images in the same coordinates.

    std: [D], of the whole population.  well: bool [N], of the population.  deviations: [N, D] of the population,
    real_deviations: [M, D] of the real images, from the class's centre in std; samples and images of a class without a
    centre are left out.  case: bool [M]; rows are cases and controls.  all_cases: before those that are not usable were
    left out.  error_rate: of the classifier on all real images.  order: int64 [D], dimensions by rank.  direction: [D],
    by dimension.
    """

    world: World
    samples: Samples
    std: np.ndarray
    words: Names
    well: np.ndarray
    deviations: np.ndarray
    real: RealImages
    real_deviations: np.ndarray
    case: np.ndarray
    all_cases: int
    error_rate: float
    order: np.ndarray
    direction: np.ndarray

    @property
    def image(self) -> np.ndarray:
        """Which test image each row is of, int64 [M]."""
        return self.real.table["index"].to_numpy(np.int64)


def open_comparison(
    params: Path,
    section: CorroborateParams,
    name: str,
    *,
    generator: Path,
    classifier: Path,
    population: Path,
    ranking: Path,
    names: Path,
    inverted: Path,
) -> Compared:
    """Read all that the options name; StageError for what does not fit together. name: of the classifier."""
    painter, network = load_networks(generator, classifier, choose_device())
    samples = read_samples(population, painter)
    count, dimensions = samples.styles.shape
    limit_keys(
        params, "corroborate", section, dict.fromkeys(("dimensions", "distance_dimensions"), (dimensions, DIMENSIONS))
    )
    order = read_order(read_ranking(ranking), GLOBAL, dimensions)
    real = read_inverted(inverted, painter, samples.class_names)
    whole, rates = read_json(inverted / "metrics.json", "invert_images"), f"{name}_case"
    if rates not in real.table or name not in whole["error_rates"]:
        there = ", ".join(whole["error_rates"])
        raise StageError(f"NAME: got '{name}'; allowed: {there}, of whom {inverted} holds errors")
    case = real.table[rates].to_numpy(bool)
    kept = case | (real.table["sample"].to_numpy(bool) & ~real.table[f"{name}_wrong"].to_numpy(bool))
    std = samples.std
    well = read_logits(ranking, count, len(samples.class_names)).argmax(axis=1) == samples.true_class
    centres = find_centres(samples.styles, samples.true_class, well, len(samples.class_names), "own_class")
    # Of a class of which nothing is read rightly there is no centre, and it is left out.
    known = np.isfinite(centres).all(axis=1)
    kept &= known[real.true_class]
    chosen, some = real.select(kept), known[samples.true_class]
    samples = replace(
        samples, styles=samples.styles[some], true_class=samples.true_class[some], noise=samples.noise[some]
    )
    return Compared(
        world=World(
            painter.synthesize, {CLASSIFIER: network}, section.batch_size, choose_device(), painter.num_classes
        ),
        samples=samples,
        std=std,
        words=read_names(names),
        well=well[some],
        deviations=measure_deviations(samples.styles, samples.true_class, centres, std),
        real=chosen,
        real_deviations=measure_deviations(chosen.found.styles, chosen.true_class, centres, std),
        case=case[kept],
        all_cases=int(whole["cases"][name]),
        error_rate=float(whole["error_rates"][name]["value"]),
        order=order.dimensions,
        direction=order.direction,
    )
