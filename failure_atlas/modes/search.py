"""The search for failure modes: shallow trees propose, the likelihood ratio of the scan statistic decides.

A mode is worth the logarithm of how much better two failure rates, inside and outside, explain who fails than one rate
does (Kulldorff 1997, with Bernoulli counts): that weighs how many failures it holds against how pure it is.  Each thing
that has to be said costs as much as the best of all thresholds gains where there is nothing to be found.  What a mode
covers is taken away before the next one is looked for, so that no two say the same.
"""

from collections.abc import Iterator

import numpy as np
from scipy.special import xlog1py, xlogy
from sklearn.tree import DecisionTreeClassifier

from failure_atlas.core.seeds import numpy_stream
from failure_atlas.modes.estimate import select_distinct
from failure_atlas.modes.mode import Bounds, Mode, cover

DEPTH = 3  # conditions of a proposal, the class among them
MOST_DECIMALS = 6  # more than an attribute's own
ROUNDS = 5  # in which thresholds are set anew, each given the others


def score_scan(inside: np.ndarray, failures: np.ndarray, total: int, all_failures: int) -> np.ndarray:
    """The log likelihood ratio of two rates against one; 0 where the rate inside is not the higher one.

    inside, failures: counts of any shape, of `total` samples with `all_failures`.
    """
    inside, failures = np.asarray(inside, float), np.asarray(failures, float)
    outside, missed = total - inside, all_failures - failures
    with np.errstate(divide="ignore", invalid="ignore"):
        rate, rest = failures / inside, missed / outside
    higher = (inside > 0) & (outside > 0) & (np.nan_to_num(rate) > np.nan_to_num(rest))
    rate, rest, overall = np.where(higher, rate, 0), np.where(higher, rest, 0), all_failures / total
    gain = _likelihood(failures, inside, rate) + _likelihood(missed, outside, rest)
    return np.asarray(np.where(higher, gain - _likelihood(np.array(all_failures), np.array(total), overall), 0))


def _likelihood(failures: np.ndarray, n: np.ndarray, rate: np.ndarray | float) -> np.ndarray:
    return np.asarray(xlogy(failures, rate) + xlog1py(n - failures, -np.asarray(rate)))


class Samples:
    """Samples in which modes are looked for.

    values: float64 [N, M], finite.  true_class: int64 [N].  wrong: bool [N].  least, most: members of a mode.
    """

    def __init__(self, values: np.ndarray, true_class: np.ndarray, wrong: np.ndarray, least: int, most: int) -> None:
        self.values, self.true_class, self.wrong, self.least, self.most = values, true_class, wrong, least, most
        self.order = np.argsort(values, axis=0, kind="stable")
        self.sorted = np.take_along_axis(values, self.order, axis=0)
        self.failures = int(wrong.sum())
        self.price = float(np.log(max(values.size, 1)))  # of one condition

    def score(self, mode: Mode) -> float:
        """The log likelihood ratio of a mode; 0 of one that covers too many."""
        inside = mode.covers(self.values, self.true_class)
        counts = np.count_nonzero(inside), np.count_nonzero(inside & self.wrong)
        if counts[0] > self.most:
            return 0.0
        return float(score_scan(np.array(counts[0]), np.array(counts[1]), len(self.wrong), self.failures))

    def worth(self, mode: Mode) -> float:
        """The same, less the price of what it says."""
        return self.score(mode) - self.price * mode.conditions

    def propose(self) -> Iterator[Mode]:
        """The leaves of a shallow tree over attributes and classes, without what a leaf says of other classes."""
        labels = np.unique(self.true_class)
        features = np.column_stack([self.values, self.true_class[:, None] == labels])
        tree = DecisionTreeClassifier(
            criterion="entropy", max_depth=DEPTH, min_samples_leaf=self.least, random_state=0
        ).fit(features, self.wrong)
        nodes, attributes = tree.tree_, self.values.shape[1]

        def walk(node: int, mode: Mode) -> Iterator[Mode]:
            if nodes.children_left[node] < 0:
                yield mode
                return
            feature, threshold = int(nodes.feature[node]), float(nodes.threshold[node])
            if feature < attributes:
                low, high = mode.bounds.get(feature, (None, None))
                yield from walk(nodes.children_left[node], mode.change(feature, (low, threshold)))
                yield from walk(nodes.children_right[node], mode.change(feature, (threshold, high)))
            else:
                yield from walk(nodes.children_left[node], mode)
                yield from walk(nodes.children_right[node], Mode(int(labels[feature - attributes]), mode.bounds))

        yield from walk(0, Mode())

    def refine(self, mode: Mode) -> Mode:
        """Each threshold where the ratio is largest, given the others, until none moves."""
        best = self.score(mode)
        for _ in range(ROUNDS):
            before = best
            for attribute, pair in list(mode.bounds.items()):
                for side in (0, 1):
                    if pair[side] is None:
                        continue
                    score, bounds = self._set_bound(mode, attribute, side)
                    if score > best + 1e-9:
                        mode, best, pair = mode.change(attribute, bounds), score, bounds
            if best <= before:
                break
        return mode

    def _set_bound(self, mode: Mode, attribute: int, side: int) -> tuple[float, Bounds]:
        """The best place of one bound of an attribute, of all between two neighbouring values."""
        low, high = mode.bounds[attribute]
        open_mode = mode.change(attribute, (None, high) if side == 0 else (low, None))
        order, held = self.order[:, attribute], self.sorted[:, attribute]
        inside = open_mode.covers(self.values, self.true_class)[order]
        count, failed = np.cumsum(inside), np.cumsum(inside & self.wrong[order])
        if side == 0:  # what lies above
            count, failed = count[-1] - count, failed[-1] - failed
        places = np.flatnonzero((held[1:] > held[:-1]) & (count[:-1] >= self.least) & (count[:-1] <= self.most))
        if not len(places):
            return 0.0, mode.bounds[attribute]
        scores = score_scan(count[places], failed[places], len(self.wrong), self.failures)
        best = places[scores.argmax()]
        bound = float(held[best] + held[best + 1]) / 2
        return float(scores.max()), ((bound, high) if side == 0 else (low, bound))

    def prune(self, mode: Mode) -> Mode:
        """Without what is not worth its price."""
        while shorter := [self.refine(each) for each in mode.shorten()]:
            best = max(shorter, key=self.worth)
            if self.worth(best) < self.worth(mode):
                break
            mode = best
        return mode

    def round(self, mode: Mode, decimals: np.ndarray) -> Mode:
        """With as few decimals, from `decimals` on, as cost the ratio no more than a tenth."""
        for more in range(MOST_DECIMALS):
            rounded = mode.round(decimals + more)
            if self.score(rounded) >= 0.9 * self.score(mode):
                return rounded
        return mode

    def search(self) -> Mode | None:
        """The best mode, None if none is worth its price."""
        if not 0 < self.failures < len(self.wrong):
            return None
        found = [self.prune(self.refine(each)) for each in self.propose() if each.conditions]
        best = max(found, key=self.worth, default=Mode())
        return best if self.worth(best) > 0 else None


def draw_half(samples: int, seed: int) -> np.ndarray:
    """The half that no search sees, and that tells the rates, bool [samples]."""
    half = np.zeros(samples, bool)
    half[numpy_stream(seed, "halves").permutation(samples)[: samples // 2]] = True
    return half


def search_modes(
    values: np.ndarray, true_class: np.ndarray, wrong: np.ndarray, *, most: int, least_share: float,
    most_share: float, decimals: np.ndarray,
) -> list[Mode]:  # fmt: skip
    """Up to `most` modes of the half that may be searched, the strongest first.

    values: float64 [N, M]; rows with NaN are left out.  true_class: int64 [N].  wrong: bool [N].  least_share,
    most_share: of the samples, what a mode adds to those before, at least and at most.  decimals: int [M], of bounds.
    """
    modes: list[Mode] = []
    left = np.isfinite(values).all(axis=1)
    least, top = max(2, int(np.ceil(least_share * len(wrong)))), int(most_share * len(wrong))
    while len(modes) < most and left.sum() > 2 * least:
        samples = Samples(values[left], true_class[left], wrong[left], least, top)
        found = samples.search()
        if found is None:
            break
        modes.append(samples.round(found, decimals))
        covered = modes[-1].covers(values, true_class) | found.covers(values, true_class)
        left &= ~covered
    return modes


def find_modes(
    values: np.ndarray, true_class: np.ndarray, wrong: np.ndarray, half: np.ndarray, *, most: int, least_share: float,
    most_share: float, decimals: np.ndarray, fdr: float,
) -> tuple[list[Mode], int]:  # fmt: skip
    """Search what is not of `half`, bool [N], and keep what `half` bears out, the strongest first.

    The rest as `search_modes` and `select_distinct` have it. Returns the modes and how many candidates were dropped.
    """
    searched = search_modes(
        values[~half], true_class[~half], wrong[~half], most=most, least_share=least_share, most_share=most_share,
        decimals=decimals,
    )  # fmt: skip
    members = cover(searched, values[half], true_class[half])
    kept = select_distinct(members, wrong[half], fdr)
    return [searched[row] for row in kept], len(searched) - len(kept)
