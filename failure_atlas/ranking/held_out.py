"""What moves along rankings do to samples that no ranking saw, and differences between rankings on the same samples."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from failure_atlas.judges.verdicts import give_verdicts
from failure_atlas.ranking.methods import Method, join_steps, single_steps
from failure_atlas.statistics.estimates import CONFIDENCE, decide, mean, percentile, proportion
from failure_atlas.walks.crossing import LEVEL
from failure_atlas.world.show import CLASSIFIER, JUDGE, Shown, World, select_seeds

REPLICATES = 2000
Cell = tuple[str, int, float]  # label of the method, directions moved together, shift in std


@dataclass(frozen=True)
class Outcome:
    """What became of N samples.

    probability: [N] float64, the classifier's of the true class.  correct: [N] bool.  verdict: [N] int64, on the
    moved image (see `give_verdicts`), or None where the judge was not asked.
    """

    probability: np.ndarray
    correct: np.ndarray
    verdict: np.ndarray | None = None


def judge_outcome(shown: Shown, true_class: np.ndarray, confidence: float = 0.0) -> Outcome:
    """Outcome of images that the classifier, and perhaps the judge, saw; confidence: from which on it sees a class."""
    predicted, verdict = shown.predicted(), None
    if JUDGE in shown.logits:
        verdict = give_verdicts(shown.softmax(JUDGE), true_class, predicted, confidence)
    return Outcome(shown.score(true_class), predicted == true_class, verdict)


def measure_shifts(
    world: World,
    methods: Sequence[Method],
    cells: Mapping[str, Sequence[tuple[int, float]]],
    styles: np.ndarray,
    true_class: np.ndarray,
    std: np.ndarray,
    *,
    noise: np.ndarray | None = None,
    judged: tuple[int, float] | None = None,
    confidence: float = 0.8,
    advance: Callable[[int], object] = lambda _: None,
) -> dict[Cell, Outcome]:
    """Move the same samples along the first directions of each method together: the outcome of every cell.

    cells: label of a method -> its (k, shift in std).  styles: [N, D] float32.  true_class: [N] int64.  std: [D].
    noise: int64 [N], see `World.show`.  judged: the cell in which the judge is asked too, at that confidence.  advance:
    told the number of samples after each. Methods that choose the same directions share one measurement.
    """
    outcomes: dict[Cell, Outcome] = {}
    known: dict[tuple[bool, bytes], Outcome] = {}
    for method in methods:
        for k, shift_std in cells[method.label]:
            networks = [CLASSIFIER, JUDGE] if (k, shift_std) == judged else [CLASSIFIER]
            moves = join_steps(method.steps, k)[assign_draws(len(styles), method.draws)] * std
            moved = np.asarray(styles + (shift_std * moves).astype(np.float32))
            key = (JUDGE in networks, moved.tobytes())
            if key not in known:
                shown = world.show(moved, networks, noise=noise, keep_images=False)
                known[key] = judge_outcome(shown, true_class, confidence)
            outcomes[method.label, k, shift_std] = known[key]
            advance(len(styles))
    return outcomes


def select_cell(outcomes: Mapping[Cell, Outcome], cell: tuple[int, float]) -> dict[str, Outcome]:
    """The outcomes of one cell: label -> outcome."""
    return {label: outcome for (label, *rest), outcome in outcomes.items() if tuple(rest) == cell}


def choose_best(labels: Sequence[str], outcomes: Mapping[str, Outcome]) -> str:
    """The label whose move leaves the lowest mean true-class probability; the first of equals."""
    return min(labels, key=lambda label: float(outcomes[label].probability.mean()))


@dataclass(frozen=True)
class CoarseWalks:
    """S starts by M directions.

    reached_std: [S, M], the first whole std at which the softmax is 0.50 or less; inf where it never is.
    verdict: [S, M] int64, on the image there (see `give_verdicts`); -1 where there is none.
    """

    reached_std: np.ndarray
    verdict: np.ndarray

    def select(self, columns: np.ndarray) -> "CoarseWalks":
        """The walks along some of the directions; columns: [K] int64."""
        return CoarseWalks(self.reached_std[:, columns], self.verdict[:, columns])


def collect_directions(methods: Sequence[Method], count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The first directions of all methods, each once: steps [M, D] in stds, and label -> columns [K] int64 of them.

    Directions of length 0 are left out: nobody can walk along them.
    """
    places: dict[bytes, int] = {}
    steps: list[np.ndarray] = []
    columns: dict[str, np.ndarray] = {}
    for method in methods:
        own = [step for step in single_steps(method, count) if step.any()]
        steps += own
        columns[method.label] = np.array([places.setdefault(step.tobytes(), len(places)) for step in own], np.int64)
    first = {step.tobytes(): step for step in steps}
    return np.array(list(first.values())).reshape(-1, methods[0].steps.shape[2]), columns


def walk_coarsely(
    world: World,
    starts: np.ndarray,
    true_class: np.ndarray,
    moves: np.ndarray,
    *,
    noise: np.ndarray | None = None,
    max_shift_std: int,
    confidence: float,
    on_end: Callable[[int], object] = lambda _: None,
) -> CoarseWalks:
    """Follow all directions from all starts at once in steps of one std, only those under way.

    starts: [S, D] float32.  true_class: [S] int64.  moves: [M, D], one std each in raw style units.  noise: int64 [S],
    of the starts.  A dip between two whole stds is not seen.  on_end: told how many walks have just ended.
    """
    start, move = (index.ravel() for index in np.indices((len(starts), len(moves))))
    reached, predicted = np.full(len(start), np.inf), np.full(len(start), -1, np.int64)
    verdict = predicted.copy()

    def show(walks: np.ndarray, shift_std: np.ndarray, network: str) -> Shown:
        way = (shift_std[:, None] * moves[move[walks]]).astype(np.float32)
        seeds = select_seeds(noise, start[walks])
        return world.show(starts[start[walks]] + way, [network], noise=seeds, keep_images=False)

    under_way = np.arange(len(start))
    for step in range(1, max_shift_std + 1):
        if not under_way.size:
            break
        shown = show(under_way, np.full(len(under_way), step), CLASSIFIER)
        fallen = shown.score(true_class[start[under_way]]) <= LEVEL
        reached[under_way[fallen]] = step
        predicted[under_way[fallen]] = shown.predicted()[fallen]
        on_end(int(fallen.sum()))
        under_way = under_way[~fallen]
    on_end(len(under_way))
    ends = np.flatnonzero(np.isfinite(reached))
    if ends.size:
        opinion = show(ends, reached[ends], JUDGE).softmax(JUDGE)
        verdict[ends] = give_verdicts(opinion, true_class[start[ends]], predicted[ends], confidence)
    shape = (len(starts), len(moves))
    return CoarseWalks(reached.reshape(shape), verdict.reshape(shape))


def assign_draws(samples: int, draws: int) -> np.ndarray:
    """The draw that each sample takes part in: int64 [samples], rising; draws are of equal size, within one."""
    return np.arange(samples) * draws // samples


def estimate(values: np.ndarray, draws: int = 1) -> dict[str, Any]:
    """Mean of [N] values with its 95 % interval: {value, low, high, n}; a share, where they are bool.

    draws: runs of samples that were moved alike, of `assign_draws`. Of one draw samples are independent: Wilson's
    interval for shares, Student's for means. Of several, draws are: Student's interval with draws - 1 degrees of
    freedom over what each draw adds to the mean (Cochran 1977, 11.2: clusters), cut to [0, 1] for shares.
    """
    if draws == 1:
        return proportion(values) if values.dtype == bool else mean(values)
    value = float(values.mean())
    deviations = np.bincount(assign_draws(len(values), draws), weights=values - value)
    error = np.sqrt(draws / (draws - 1) * np.square(deviations).sum()) / len(values)
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, draws - 1) * error)
    low, high = value - half, value + half
    if values.dtype == bool:
        low, high = max(low, 0.0), min(high, 1.0)
    return {"value": value, "low": low, "high": high, "n": len(values)}


def draw_resamples(samples: int, random: np.random.Generator) -> np.ndarray:
    """Bootstrap draws that all comparisons share: [REPLICATES, samples] int64."""
    return random.integers(0, samples, (REPLICATES, samples))


def compare_paired(first: np.ndarray, second: np.ndarray, resamples: np.ndarray, draws: int = 1) -> dict[str, Any]:
    """Mean of first minus second with its 95 % paired bootstrap interval: {value, low, high, n}.

    first, second: [N], of the same samples in the same order; bool counts as 0 or 1. resamples: of `draw_resamples`.
    draws: of the first; of several, the interval is that of `estimate` over draws.
    """
    difference = first.astype(np.float64) - second.astype(np.float64)
    if draws > 1:
        return estimate(difference, draws)
    low, high = percentile(difference[resamples].mean(axis=1))
    return {"value": float(difference.mean()), "low": low, "high": high, "n": len(difference)}


def judge_no_worse(difference: Mapping[str, Any], margin: float) -> str:
    """Whether a ranking is no worse than another by more than a margin (non-inferiority): holds, fails, not decided.

    difference: {low, high} of the accuracies left by the first and by the second; the lower one finds more. `holds` if
    the whole interval lies at or below the margin, `fails` if all of it lies above.
    """
    return decide({"low": -difference["high"], "high": -difference["low"]}, -margin)
