"""What the other half says of a mode: its rate, how much of the domain it is, and whether real images agree.

The domain of use, where it is not the generator's: weights of samples, costs of confusions.
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from failure_atlas.decisions.summary import CONTRADICTED, CORROBORATED, TOO_FEW
from failure_atlas.statistics.estimates import Estimate, Z, estimate_share, subtract, wilson

RAKINGS, CLOSE = 200, 1e-6


def test_excess(members: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """One-sided p-values (Fisher's exact test) that what a mode adds to those before it fails no more than the rest.

    members: bool [K, N], of the half that was not searched.  wrong: bool [N]. Returns [K]; 1 where a mode adds nothing.
    """
    left, p_values = np.ones(len(wrong), bool), []
    for member in members:
        added, rest = left & member, left & ~member
        p_values.append(_fisher(wrong, added, rest))
        left = rest
    return np.array(p_values)


def _fisher(wrong: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> float:
    failed, n = np.count_nonzero(wrong & inside), np.count_nonzero(inside)
    total = n + np.count_nonzero(outside)
    failures = failed + np.count_nonzero(wrong & outside)
    return float(stats.hypergeom.sf(failed - 1, total, failures, n)) if n else 1.0


def select_distinct(members: np.ndarray, wrong: np.ndarray, fdr: float, new_share: float = 0.5) -> np.ndarray:
    """Which modes are reported, int64, at a false discovery rate `fdr` (Benjamini and Hochberg 1995), each said once.

    members: bool [K, N], of the half that was not searched. Of a mode at least `new_share` is of none reported before.
    """
    if not len(members):
        return np.empty(0, np.int64)
    sure = stats.false_discovery_control(test_excess(members, wrong)) <= fdr
    seen, kept = np.zeros(len(wrong), bool), []
    for row in np.flatnonzero(sure):
        if np.mean(~seen[members[row]]) >= new_share:
            kept.append(row)
            seen |= members[row]
    return np.array(kept, np.int64)


def share_weighted(hit: np.ndarray, weights: np.ndarray) -> Estimate:
    """A share of weighted cases; its Wilson interval is that of as many equal ones as they are worth (Kish 1965).

    hit: bool [n].  weights: [n], at least 0. n of the estimate: the effective number, rounded down; NaN of none.
    """
    worth = count_effective(weights)
    if worth == 0:
        return estimate_share(0, 0)
    share = float(weights[hit].sum() / weights.sum())
    low, high = wilson(np.array(share * worth), np.array(worth))
    return Estimate(share, float(low), float(high), int(worth))


def count_effective(weights: np.ndarray) -> float:
    """(sum w)^2 / sum w^2: as many equally weighted cases vary as much."""
    return float(weights.sum() ** 2 / np.square(weights).sum()) if weights.any() else 0.0


def estimate_lift(inside: Estimate, outside: Estimate) -> Estimate:
    """The rate inside over that outside, with Katz's log interval (1978); half a case is added where one is 0."""
    if not inside.n or not outside.n:
        return Estimate(float("nan"), n=0)
    counts = [(each.value * (each.n or 0), float(each.n or 0)) for each in (inside, outside)]
    if min(count for count, _ in counts) == 0:
        counts = [(count + 0.5, n + 0.5) for count, n in counts]
    (a, n), (b, m) = counts
    half = Z * np.sqrt(max(1 / a - 1 / n + 1 / b - 1 / m, 0))
    lift = a / n / (b / m)
    return Estimate(lift, float(lift * np.exp(-half)), float(lift * np.exp(half)), inside.n)


def judge_modes(
    generated: list[Estimate], members: np.ndarray, around: np.ndarray, wrong: np.ndarray, fdr: float
) -> tuple[list[str], list[Estimate]]:
    """Whether real images fail more in each mode than around it, and their differences in rate.

    generated: of each mode, rate inside less around.  members: bool [K, R], of real images.  around: bool [K, R], what
    each is compared with: all else, or the rest of the mode that it is part of.  wrong: bool [R].
    corroborated: they do, at a false discovery rate of `fdr` over all modes (Fisher's exact test).  contradicted: they
    do not, and the interval excludes half of the generated difference.  too few: neither.
    """
    differences = [
        subtract(*(estimate_share(int(wrong[rows].sum()), int(rows.sum())) for rows in pair))
        for pair in zip(members, around, strict=True)
    ]
    tests = [_fisher(wrong, *pair) for pair in zip(members, around, strict=True)]
    sure = stats.false_discovery_control(tests) <= fdr if tests else []
    verdicts = [
        CORROBORATED if agrees else CONTRADICTED if real.high < said.value / 2 else TOO_FEW
        for agrees, real, said in zip(sure, differences, generated, strict=True)
    ]
    return verdicts, differences


def rake(holds: Sequence[np.ndarray], shares: Sequence[float]) -> np.ndarray:
    """Weights [N] of mean 1 under which each condition holds in its share of use (Deming and Stephan 1940).

    holds: bool [N] each, which samples meet the condition.  shares: in (0, 1). Of all weights that do it these are
    nearest to equal ones in relative entropy.
    Raises ValueError with the index of a condition that all samples meet, or none, or that the others exclude.
    """
    weights = np.ones(len(holds[0]) if holds else 0)
    for place, hold in enumerate(holds):
        if hold.all() or not hold.any():
            raise ValueError(place)
    for _ in range(RAKINGS):
        for hold, share in zip(holds, shares, strict=True):
            now = weights[hold].sum() / weights.sum()
            weights = weights * np.where(hold, share / now, (1 - share) / (1 - now))
        off = [abs(weights[hold].sum() / weights.sum() - share) for hold, share in zip(holds, shares, strict=True)]
        if max(off, default=0) < CLOSE:
            return np.asarray(weights / weights.mean())
    raise ValueError(int(np.argmax(off)))


def estimate_risk(cost: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    """Mean weighted cost with its 95 % interval, from 0 up; cost: [N], 0 where nothing is lost.  weights: of mean 1."""
    loss = cost * weights
    mean, error = float(loss.mean()), float(loss.std(ddof=1) / np.sqrt(len(loss)))
    return mean, max(0.0, mean - 1.96 * error), mean + 1.96 * error
