"""What walks need, read and checked; walks and their starts as tables; what lies at the ends of walks as a store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from failure_atlas.core.arrays import write_arrays
from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from failure_atlas.judges.ensemble import Ensemble, load_judge
from failure_atlas.judges.verdicts import LABEL_KEPT, READINGS, read_labels
from failure_atlas.statistics.survival import find_median
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.walks.crossing import LEVEL
from failure_atlas.walks.single import Candidates, Walks
from failure_atlas.walks.space import StdSpace
from failure_atlas.walks.starts import Starts, choose_starts
from failure_atlas.walks.true_failures import TrueFailures
from failure_atlas.world.show import CLASSIFIER, JUDGE, Shown, World
from stages.common.artefacts.names import Names, read_names
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import Samples, read_samples, tabulate_styles
from stages.common.artefacts.ranking import GLOBAL


@dataclass(frozen=True)
class Opened:
    """What walks start from and what looks at them; words: for what a move does to images."""

    generator: Generator
    classifier: nn.Module
    judge: Ensemble
    samples: Samples
    words: Names
    world: World

    def start(
        self, ranking: pd.DataFrame, scope: str, chosen: Sequence[int] | np.ndarray
    ) -> tuple[Starts, Candidates, StdSpace]:
        """The class means and the chosen samples, the dimensions that each may move, and the space around them."""
        samples, names = self.samples, self.samples.class_names
        starts = choose_starts(samples.styles, samples.true_class, samples.noise, samples.mean_noise, chosen)
        candidates = choose_candidates(ranking, scope, starts.true_class, names, self.generator.style_dimensions)
        return starts, candidates, StdSpace(self.world, starts.styles, starts.true_class, samples.std, starts.noise)


def open_walks(
    generator: Path, classifier: Path, judge: Path, population: Path, names: Path, batch_size: int
) -> Opened:
    """Read networks, population and names; StageError if one is missing or does not fit the others."""
    device = choose_device()
    network, under_test = load_networks(generator, classifier, device)
    samples = read_samples(population, network)
    ensemble = load_judge(require(judge, "train_judges"), samples.class_names, device)
    networks = {CLASSIFIER: under_test, JUDGE: ensemble}
    world = World(network.synthesize, networks, batch_size, device, network.num_classes)
    return Opened(network, under_test, ensemble, samples, read_names(names), world)


def choose_candidates(
    ranking: pd.DataFrame, scope: str, true_class: np.ndarray, class_names: Sequence[str], dimensions: int
) -> Candidates:
    """The ranked dimensions of each start: those of its own class (scope `class`) or those of all (`global`).

    ranking: as rank_dimensions leaves it.  true_class: [S].  dimensions: D of the generator. Arrays are [S, D].
    Raises StageError if the ranking lacks a scope or ranks another number of dimensions.
    """
    names = [GLOBAL] * len(class_names) if scope == GLOBAL else class_names
    blocks = [ranking[ranking["scope"] == name] for name in names]
    for name, block in zip(names, blocks, strict=True):
        if len(block) != dimensions:
            raise StageError(
                f"ranking.csv: ranks {len(block)} dimensions in scope '{name}', the generator has {dimensions}; "
                "make it with: dvc repro rank_dimensions"
            )
    dimension = np.array([block["dimension"] for block in blocks], np.int64)
    step = np.array([block["direction"] * block["std"] for block in blocks], np.float64)
    return Candidates(dimension[true_class], step[true_class])


@dataclass(frozen=True)
class Ends:
    """Of M walks, in their order.

    styles: [M, D] float32.  noise: int64 [M].  shown: their images, and what classifier and judge say.  true_class: [M]
    int64.
    table: one row each, see `look_at_ends`.
    """

    styles: np.ndarray
    noise: np.ndarray
    shown: Shown
    true_class: np.ndarray
    table: pd.DataFrame

    def write(self, path: Path, row: str, class_names: Sequence[str], **column: np.ndarray) -> None:
        """Write styles, noise, images, labels and one more array of their length; row: what a row is called."""
        arrays = {
            "s": (self.styles, (row, "style")),
            "noise": (self.noise, (row,)),
            "images": (self.shown.images, (row, "channel", "y", "x")),
            "labels": (self.true_class, (row,)),
        }
        more = {name: (array, (row,)) for name, array in column.items()}
        write_arrays(path, arrays | more, {"class_names": list(class_names)})


def look_at_ends(opened: Opened, space: StdSpace, walks: Walks, starts: Starts, start_probability: np.ndarray) -> Ends:
    """Make the image at each walk's end, ask the networks about it, and put it into a table.

    start_probability: [S], of the true class.  name: what the move does, `not named` where nobody measured it.
    shift, shift_std: how far the walk went, in raw style units and in stds, never negative; the farthest tried where
    the walk did not reach 0.50.  predicted_class, rival_class: the most probable at the end, and the most
    probable apart from the true one.
    """
    names, true_class = np.array(opened.samples.class_names), starts.true_class[walks.start]
    styles, noise = space.move(walks), starts.noise[walks.start]
    shown = opened.world.show(styles, noise=noise)
    rival, direction = shown.rival(true_class), np.sign(walks.step).astype(np.int64)
    layers = tabulate_styles(opened.generator.style_layout()).iloc[walks.dimension]
    table = pd.DataFrame(
        {
            "class": names[true_class],
            "start": np.array(starts.names)[walks.start],
            "noise_draw": starts.draw[walks.start],
            "rank": walks.place + 1,
            "dimension": walks.dimension,
            "layer": layers["layer"].to_numpy(),
            "kind": layers["kind"].to_numpy(),
            "direction": direction,
            "name": opened.words.name_rows(names[true_class], walks.dimension, direction),
            "shift": np.abs(walks.step) * walks.shift_std,
            "shift_std": walks.shift_std,
            "start_probability": start_probability[walks.start],
            "end_probability": shown.score(true_class),
            "predicted_class": names[shown.predicted()],
            "rival_class": names[rival],
            "rival_probability": shown.score(rival),
            "reached": walks.reached,
        }
    )
    return Ends(styles, noise, shown, true_class, table)


def add_readings(ends: Ends, failures: TrueFailures, confidence: float) -> pd.DataFrame:
    """The table of walks that end at 0.50 with what the judge says there and with their first true failures.

    confidence: see `read_labels`.  reading: of the image alone, missing where a walk did not reach 0.50; no verdict,
    for at 0.50 the classifier is mostly still right.  true_failure_*: missing where there is none.
    """
    readings = np.array(READINGS, object)[read_labels(ends.shown.softmax(JUDGE), ends.true_class, confidence)]
    readings[~ends.table["reached"].to_numpy(bool)] = None
    return ends.table.assign(
        judge_probability=ends.shown.score(ends.true_class, JUDGE),
        reading=readings,
        true_failure=failures.found,
        true_failure_shift_std=failures.shift_std,
        true_failure_judge_probability=failures.judge_probability,
    )


def add_failures(ends: Ends, failures: TrueFailures) -> pd.DataFrame:
    """The table of those walks that end at their first true failure with the same columns."""
    sure = failures.judge_probability[failures.found]
    return ends.table.assign(
        judge_probability=sure,
        reading=LABEL_KEPT,
        true_failure=True,
        true_failure_shift_std=failures.shift_std[failures.found],
        true_failure_judge_probability=sure,
    )


def tabulate_starts(
    starts: Starts, shown: Shown, walks: Walks, skipped: np.ndarray, class_names: Sequence[str]
) -> pd.DataFrame:
    """One row per start; `walked` is false where the true-class softmax is 0.50 or less already.

    shown: the images of the starts.  skipped: [S], dimensions without effect.  median_shift_std is missing where most
    walks did not reach 0.50.
    """
    own = [walks.select(walks.start == index) for index in range(len(starts.names))]
    medians = np.array([find_median(each.shift_std, each.reached)["value"] for each in own])
    names, probability = np.array(class_names), shown.score(starts.true_class)
    return pd.DataFrame(
        {
            "class": names[starts.true_class],
            "start": starts.names,
            "noise_draw": starts.draw,
            "start_probability": probability,
            "predicted_class": names[shown.predicted()],
            "walked": probability > LEVEL,
            "walks": [len(each.start) for each in own],
            "reached": [int(each.reached.sum()) for each in own],
            "median_shift_std": np.where(np.isfinite(medians), medians, np.nan),
            "skipped_no_effect": skipped,
        }
    )
