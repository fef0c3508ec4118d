"""From a start to its nearest true failure inside the population: a walk in W that two networks steer together.

Down goes the loss relu(margin + 1) + weight * relu(log goal - log p): margin is the classifier's logit of the true
class over the best other one, p a judge's probability of the true class, goal a little above the confidence that is
asked for. The slope, averaged over a few steps, is divided by its size (Adam, Kingma and Ba 2015, with one scale for
all coordinates), and steps end inside the class's ellipsoid (`Domain`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from failure_atlas.search.domain import Domain
from failure_atlas.walks.true_failures import weigh_failures
from failure_atlas.world.gradients import Differences, Target, differentiate
from failure_atlas.world.show import CLASSIFIER, Classify, World

MARGIN = 1.0  # of logits, by which another class is to lead: rounding to bytes then turns few answers
MEMORY, SCALE_MEMORY = 0.5, 0.95  # of the averages of the slope and of its square, per step
DIFFERENCE_STD = 0.1  # half the width of central differences, in std of a coordinate of w
RESTART_STD = 0.5  # by which a walk that begins again is shaken, in every coordinate
CANDIDATE = 0.1  # a member of the judge may be less sure than the whole by so much
SURER = 20  # times: a member of the judge steers until its doubt is so much smaller than is asked for
STEEPEST = 1e-12
BOTH = "classifier and judge's member"


@dataclass(frozen=True)
class Nearest:
    """Where N walks ended: at their first true failure, or where they gave up.

    found: bool [N].  whitened: [N, W], of the end.  distance_std: [N], straight from the start to it.  judge: [N], its
    probability of the true class there, 0 where nothing was found.  steps: int64 [N].
    """

    found: np.ndarray
    whitened: np.ndarray
    distance_std: np.ndarray
    judge: np.ndarray
    steps: np.ndarray


def measure_margin(logits: torch.Tensor, true_class: torch.Tensor) -> torch.Tensor:
    """The true class's logit over the largest other one, [N]; negative where the classifier is wrong."""
    own = logits.gather(1, true_class[:, None])
    return (own - logits.scatter(1, true_class[:, None], -torch.inf).amax(dim=1, keepdim=True))[:, 0]


def doubt(log_probabilities: torch.Tensor, true_class: torch.Tensor, goal: float) -> torch.Tensor:
    """How far log p of the true class lies below log goal, 0 above it; [N]."""
    own = log_probabilities.log_softmax(dim=1).gather(1, true_class[:, None])[:, 0]
    short: torch.Tensor = (np.log(goal) - own).relu()
    return short


def aim_above(confidence: float) -> float:
    """The goal of a member of the judge, of which the whole judge is to be so confident."""
    return 1 - (1 - confidence) / SURER


@dataclass(frozen=True)
class Steering:
    """The two networks as one target, for walks in W.

    world: over latents, see `enter_latents`.  members: of the judge, asked in turn.  goal, weight: of the loss.
    std: [W], of w.  black_box: whether the classifier gives no gradients; central differences stand for them.
    """

    world: World
    members: Sequence[Classify]
    goal: float
    weight: float
    std: np.ndarray
    black_box: bool

    def look(
        self, w: np.ndarray, true_class: np.ndarray, noise: np.ndarray, turn: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Slopes of the loss with respect to w [N, W], margins [N] and the member's probabilities [N]."""
        member, classify = self.members[turn % len(self.members)], self.world.networks[CLASSIFIER]
        if self.black_box:
            return self._look_from_outside(member, w, true_class, noise)

        def both(images: torch.Tensor) -> torch.Tensor:
            return torch.cat([classify(images), member(images)], dim=1)

        slopes, logits = self._differentiate({BOTH: both}, self._add, w, true_class, noise)
        margin, own = _split(logits, self.world.classes, true_class)
        return slopes, margin, own

    def _look_from_outside(
        self, member: Classify, w: np.ndarray, true_class: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The classifier is asked on both sides along each coordinate of w; the member gives gradients."""
        steps = np.concatenate([DIFFERENCE_STD * self.std, np.zeros(w.shape[1] - len(self.std))])  # none of the offset
        along = Differences.along_all(len(w), steps)
        classify = {BOTH: self.world.networks[CLASSIFIER]}
        first, logits = self._differentiate(classify, self._fail, w, true_class, noise, along)
        second, seen = self._differentiate({BOTH: member}, self._read, w, true_class, noise)
        margin, own = _split(np.concatenate([logits, seen], axis=1), self.world.classes, true_class)
        return first + second, margin, own

    def _differentiate(
        self,
        network: dict[str, Classify],
        target: Target,
        w: np.ndarray,
        true_class: np.ndarray,
        noise: np.ndarray,
        differences: Differences | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        world = replace(self.world, networks=network)
        parts = list(
            differentiate(world, {BOTH: target}, w, true_class, noise=noise, network=BOTH, differences=differences)
        )
        return (
            np.concatenate([part.gradients[BOTH] for part in parts]).astype(np.float64),
            np.concatenate([part.logits for part in parts]),
        )

    def _fail(self, logits: torch.Tensor, true_class: torch.Tensor) -> torch.Tensor:
        return (measure_margin(logits, true_class) + MARGIN).relu()

    def _read(self, logits: torch.Tensor, true_class: torch.Tensor) -> torch.Tensor:
        return self.weight * doubt(logits, true_class, self.goal)

    def _add(self, logits: torch.Tensor, true_class: torch.Tensor) -> torch.Tensor:
        classes = self.world.classes
        return self._fail(logits[:, :classes], true_class) + self._read(logits[:, classes:], true_class)


def _split(logits: np.ndarray, classes: int, true_class: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Margins and the member's probability of the true class, from [N, 2 C]."""
    labels, both = torch.from_numpy(true_class), torch.from_numpy(logits).double()
    seen = both[:, classes:].softmax(dim=1).gather(1, labels[:, None])[:, 0]
    return measure_margin(both[:, :classes], labels).numpy(), seen.numpy()


def walk_to_failures(
    steering: Steering,
    domain: Domain,
    w: np.ndarray,
    true_class: np.ndarray,
    noise: np.ndarray,
    *,
    confidence: float,
    step_std: float,
    most_steps: int,
    restart_steps: int,
    stream: Callable[[int], np.random.Generator],
    offset: np.ndarray | None = None,
    on_end: Callable[[int], object] = lambda _: None,
) -> Nearest:
    """Walk from each start until classifier and judge make a true failure of it (`weigh_failures`), all at once.

    w: [N, W] float32, the starts.  true_class, noise: int64 [N].  confidence: of the whole judge in the true class, at
    the end.  step_std: root mean square over the coordinates, in std of the class.  A walk that has found nothing in
    restart_steps begins again at its start, shaken by RESTART_STD.  stream: start -> its random generator, so that a
    walk does not depend on those beside it.  offset: [N, D], added to the styles all along (`enter_latents`).
    on_end: told how many walks have just ended.
    """
    count, coordinates = w.shape
    behind = np.zeros((count, 0), np.float32) if offset is None else offset
    origin = domain.whiten(w, true_class)
    at, mean, scale = domain.hold(origin, true_class), np.zeros(w.shape), np.zeros((count, 1))
    found, judge, steps = np.zeros(count, bool), np.zeros(count), np.full(count, most_steps)
    shakes = [stream(index) for index in range(count)]
    live, since = np.arange(count), 0
    for step in range(most_steps + 1):
        own, seeds = true_class[live], noise[live]
        place = np.concatenate([domain.place(at[live], own), behind[live]], axis=1)
        slope, margin, seen = steering.look(place, own, seeds, step)
        likely = np.flatnonzero((margin < 0) & (seen >= confidence - CANDIDATE))
        weight = np.zeros(len(live))
        weight[likely] = weigh_failures(steering.world, place[likely], own[likely], seeds[likely])
        hit = weight >= confidence
        ended = live[hit]
        found[ended], judge[ended], steps[ended] = True, weight[hit], step
        on_end(len(ended))
        live, slope, since = live[~hit], slope[~hit], since + 1
        if not live.size or step == most_steps:
            break
        own = true_class[live]
        if since > restart_steps:
            shaken = [shakes[index].standard_normal(coordinates) for index in live]
            at[live], since = domain.hold(origin[live] + RESTART_STD * np.array(shaken), own), 0
            mean[live], scale[live] = 0, 0
            continue
        slope = domain.pull_back(slope[:, :coordinates], own)
        mean[live] = MEMORY * mean[live] + (1 - MEMORY) * slope
        scale[live] = SCALE_MEMORY * scale[live] + (1 - SCALE_MEMORY) * np.square(slope).mean(axis=1, keepdims=True)
        size = np.sqrt(scale[live] / (1 - SCALE_MEMORY**since)) + STEEPEST
        at[live] = domain.hold(at[live] - step_std * mean[live] / (1 - MEMORY**since) / size, own)
    on_end(len(live))
    return Nearest(found, at, np.linalg.norm(at - origin, axis=1), judge, steps)
