"""Faults planted in the training data: images of a cell get another label, or are withheld. Are they repaired?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.attributes.registry import REGISTRY
from failure_atlas.core.errors import StageError
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.image_set import ImageSet
from failure_atlas.modes.mode import Mode, cover
from failure_atlas.modes.search import draw_half, find_modes
from failure_atlas.statistics.estimates import Estimate, estimate_share, mean, read_estimate
from stages.common.mode_params import FindModesParams
from stages.repair_classifier.inputs import POPULATION, RECIPE, Inputs, Looked
from stages.repair_classifier.mixtures import BY_MODE, FAILURES, Arm, draw_seeds
from stages.repair_classifier.params import RepairClassifierParams
from stages.repair_classifier.trainings import Job, Trainer

RELABELLED, WITHHELD = "relabelled", "withheld"
POOL = "pool"
TRIES = 1000
THIRD = 1 / 3  # of the failure rate before is the most that is left after a repair


@dataclass(frozen=True)
class Plant:
    """cell: a class and one condition.  as_label: what its training images are called; None: they are withheld."""

    cell: Mode
    as_label: int | None

    def apply(self, real: Looked) -> ImageSet:
        """The training set with the fault in it."""
        inside = self.cell.covers(real.looks, real.images.labels)
        if self.as_label is None:
            return real.select(~inside)
        return ImageSet(real.images.images, np.where(inside, self.as_label, real.images.labels))


def draw_plants(inputs: Inputs, section: RepairClassifierParams, params: Path) -> list[Plant]:
    """As many relabelled as withheld cells, each a share of its class at one end of an attribute, drawn at random.

    Where many images of a class measure the same, as counts do, no bound may part such a share: then another is drawn.
    StageError that names the file `params` if none is found.
    """
    random = numpy_stream(section.seed, "repair_classifier", "plants")
    share, labels, plants = section.plant_share, inputs.real.images.labels, list[Plant]()
    for _ in range(TRIES):
        if len(plants) == section.plants:
            return plants
        label, other = (int(each) for each in random.choice(len(inputs.class_names), 2, replace=False))
        attribute = int(random.choice(inputs.offered))
        values = inputs.real.looks[labels == label, attribute]
        above = bool(random.random() < 0.5)
        bound = float(np.nanquantile(values, 1 - share if above else share))
        cell = Mode(label, {attribute: (bound, None) if above else (None, bound)})
        held = cell.covers(inputs.real.looks, labels).sum() / len(values)
        if abs(held - share) <= min(share, 1 - share) / 2:
            plants.append(Plant(cell, other if len(plants) % 2 == 0 else None))
    raise StageError(
        f"{params}: repair_classifier.plant_share: got {share:g}; allowed: a share of the training images of a class "
        f"that a bound on {', '.join(inputs.measured.names[each] for each in inputs.offered)} parts"
    )


def try_plants(
    trainer: Trainer, inputs: Inputs, arms: Sequence[Arm], plants: Sequence[Plant], right: np.ndarray,
    modes: FindModesParams, section: RepairClassifierParams,
) -> pd.DataFrame:  # fmt: skip
    """plants.csv: each cell misread before, after generated images were added, and after failures by mode were.

    Of the first generator, with the shares that were chosen for failures by mode; for all failures, where no mode of
    the classifier has any.  right: what networks without a fault read rightly in the test `recipe`, bool [S, R].
    """
    if not plants:
        return pd.DataFrame(columns=["kind", "cell"])
    first = next(iter(inputs.pools))
    arm = next(arm for kind in (BY_MODE, FAILURES) for arm in arms if (arm.kind, arm.generator) == (kind, first))
    pool, (seed,) = inputs.pools[first], draw_seeds(section.seed, 1, "plants")
    planted = {f"planted/{place}": plant.apply(inputs.real) for place, plant in enumerate(plants)}
    tests = {RECIPE: inputs.tests[RECIPE].images, POPULATION: inputs.population.images.images}
    before = trainer.renew(planted, tests | {POOL: pool.images.images}).train_all(
        [Job(((name, 1.0),), seed, (RECIPE, POPULATION, POOL)) for name in planted], "training with faults"
    )
    found = [_search(read[POPULATION], inputs, modes) for read in before]
    readable = pool.probability >= section.least_probability
    added = pool.select(readable)
    sources, jobs = dict(planted), list[Job]()
    for place, (read, kinds) in enumerate(zip(before, found, strict=True)):
        failed = (read[POOL] != pool.images.labels) & readable
        members = [each & failed for each in cover(kinds, pool.looks, pool.images.labels)]
        own = {f"modes/{place}/{row}": pool.select(each) for row, each in enumerate(members) if each.any()}
        sources |= {f"generated/{place}": added} | own
        repair = replace(arm, kind=BY_MODE, generator=str(place))
        alone = repair.without_failures
        for each in (alone, repair if own else alone):
            jobs.append(Job(each.compose(sources, f"planted/{place}"), seed, (RECIPE,)))
    after = trainer.renew(sources, tests).train_all(jobs, "repairing")
    rows = []
    for place, plant in enumerate(plants):
        answers = {
            "before": before[place][RECIPE],
            "generated": after[2 * place][RECIPE],
            "after": after[2 * place + 1][RECIPE],
        }
        rows.append(_tell(plant, found[place], answers, right, inputs))
    return pd.DataFrame(rows)


def _search(predicted: np.ndarray, inputs: Inputs, modes: FindModesParams) -> list[Mode]:
    """Modes of a network in the population, as find_modes looks for them; by the index of all attributes."""
    seen, offered = inputs.population, inputs.offered
    found, _ = find_modes(
        seen.looks[:, offered], seen.images.labels, predicted != seen.images.labels,
        draw_half(len(predicted), modes.seed), most=modes.most_modes,
        least_share=modes.least_share, most_share=modes.most_share, fdr=modes.fdr,
        decimals=np.array([REGISTRY[inputs.measured.names[each]].bound_decimals for each in offered]),
    )  # fmt: skip
    return [Mode(mode.label, {offered[each]: pair for each, pair in mode.bounds.items()}) for mode in found]


def _tell(
    plant: Plant, found: Sequence[Mode], answers: Mapping[str, np.ndarray], right: np.ndarray, inputs: Inputs
) -> dict[str, Any]:
    test, names = inputs.real_test, inputs.class_names
    labels = test.images.labels
    inside = plant.cell.covers(test.looks, labels)
    ((attribute, pair),) = plant.cell.bounds.items()
    condition = REGISTRY[inputs.measured.names[attribute]].tell_condition(*pair)
    row: dict[str, Any] = {
        "kind": WITHHELD if plant.as_label is None else RELABELLED,
        "cell": f"{names[plant.cell.label or 0]}: {condition}",
        "as_class": "" if plant.as_label is None else names[plant.as_label],
        "n": int(inside.sum()), "modes": len(found),
    }  # fmt: skip
    overlaps = [np.sum(each & inside) / max(np.sum(each | inside), 1) for each in cover(found, test.looks, labels)]
    row["overlap"] = float(max(overlaps, default=0.0))
    wrong = {name: answer != labels for name, answer in answers.items()}
    rates = {name: estimate_share(int(each[inside].sum()), int(inside.sum())) for name, each in wrong.items()}
    row["without"] = float(1 - right[:, inside].mean())
    for name, rate in rates.items():
        row |= {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high}
    row["took"] = bool(rates["before"].low > row["without"])
    for name in ("after", "generated"):
        key = "repaired" if name == "after" else f"{name}_repaired"
        row[key] = bool(rates[name].value <= THIRD * rates["before"].value)
    change: Estimate = read_estimate(mean(wrong["after"][~inside].astype(float) - wrong["before"][~inside]))
    row |= {"others_change": change.value, "others_change_low": change.low, "others_change_high": change.high}
    return row | {"others_worse": bool(change.low > 0)}
