"""Samples moved along several dimensions at once (paper 2.4), and who still sees their class."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from failure_atlas.core.errors import StageError
from failure_atlas.world.show import CLASSIFIER, JUDGE, World

ALL = "all"  # the scope of all samples, beside the classes' names
WAYS = ("top", "class", "random")
TOP, OWN_CLASS, RANDOM = range(3)


@dataclass(frozen=True)
class Order:
    """What a ranking says of D dimensions.

    dimensions: int64 [D], the most influential first.  direction: int64 [D], by dimension: -1, 0 or 1, the move that
    lowers the score.
    """

    dimensions: np.ndarray
    direction: np.ndarray


@dataclass(frozen=True)
class Shifted:
    """Who is right after each shift of the same N samples, moved in each of WAYS.

    shifts_std: [T], from 0.  classifier, judge: bool [3, T, N].  draw: int64 [N], the random set that a sample is moved
    along.  dimensions: how many are moved together.
    """

    shifts_std: np.ndarray
    classifier: np.ndarray
    judge: np.ndarray
    draw: np.ndarray
    dimensions: int


def read_order(table: pd.DataFrame, scope: str, style_dimensions: int) -> Order:
    """Take one scope out of a ranking table; StageError unless it holds every dimension once."""
    part = table[table["scope"] == scope].sort_values("rank", kind="stable")
    dimensions = part["dimension"].to_numpy(np.int64)
    if not np.array_equal(np.sort(dimensions), np.arange(style_dimensions)):
        raise StageError(
            f"ranking.csv: scope '{scope}' does not hold each of {style_dimensions} dimensions once; "
            "make it again with: dvc repro rank_dimensions"
        )
    direction = np.zeros(style_dimensions, np.int64)
    direction[dimensions] = part["direction"].to_numpy(np.int64)
    return Order(dimensions, direction)


def draw_sets(
    style_dimensions: int, k: int, draws: int, stream: Callable[..., np.random.Generator]
) -> list[np.ndarray]:
    """Sets of k different dimensions, sorted, all with equal chance whatever their rank: `draws` times int64 [k].

    stream: the generator of the named draw, whose names are what they are drawn for, k and its number.
    """
    streams = (stream("random dimensions", k, draw) for draw in range(draws))
    return [np.sort(each.choice(style_dimensions, size=k, replace=False)) for each in streams]


def space_shifts(max_shift_std: float, step_std: float) -> np.ndarray:
    """Shifts from 0 in equal steps up to `max_shift_std`, in std: [T]."""
    return np.arange(int(np.floor(max_shift_std / step_std + 1e-9)) + 1) * step_std


def build_move(dimensions: np.ndarray, direction: np.ndarray, std: np.ndarray) -> np.ndarray:
    """The change of s that moves each of `dimensions` by one std in its direction and leaves the others: [D] float32.

    dimensions: int64 [K].  direction: [D], -1, 0 or 1.  std: [D].
    """
    move = np.zeros(len(std), dtype=np.float32)
    move[dimensions] = direction[dimensions] * std[dimensions]
    return move


def ask_shifted(
    world: World,
    styles: np.ndarray,
    moves: np.ndarray,
    true_class: np.ndarray,
    shifts_std: np.ndarray,
    advance: Callable[[int], object] = lambda _: None,
    noise: np.ndarray | None = None,
) -> np.ndarray:
    """Whether each of the M networks of a world sees each sample's class after each shift: bool [M, T, N].

    styles: [N, D] float32.  moves: the change of s for a shift of one std, [D], or [N, D]: one for each sample.
    true_class: [N].  shifts_std: [T].  advance: told the number of images after each batch.  noise: int64 [N], see
    `World.show`; a sample keeps its own on the way.
    """
    steps = []
    for shift in shifts_std:
        moved = styles + np.float32(shift) * moves
        shown = world.show(moved, noise=noise, keep_images=False, advance=advance)
        steps.append([shown.predicted(name) == true_class for name in world.networks])
    return np.array(steps, bool).reshape(len(shifts_std), len(world.networks), len(styles)).swapaxes(0, 1)


def shift_samples(
    world: World,
    styles: np.ndarray,
    true_class: np.ndarray,
    std: np.ndarray,
    orders: Mapping[str, Order],
    random_sets: Sequence[np.ndarray],
    shifts_std: np.ndarray,
    advance: Callable[[int], object] = lambda _: None,
    noise: np.ndarray | None = None,
) -> Shifted:
    """Move every sample along several dimensions together, each against the gradient's sign, and ask who is right.

    `top` moves along the global ranking's dimensions, `class` along those of the sample's own class. `random` moves
    along random dimensions, each also against its global gradient's sign, so that only the choice of dimensions
    differs; every sample takes part in one draw, so that all three ways rest on all samples.

    world: with a CLASSIFIER and a JUDGE.  styles: [N, D] float32, balanced in every run of samples.  true_class: [N]
    int64.  std: [D].  orders: `all` and each class's name in the order of the labels -> its ranking.  random_sets: sets
    of as many dimensions as are moved.  shifts_std: [T], from 0.  advance: told of N (1 + 3 (T - 1)) images in all.
    noise: int64 [N], of `ask_shifted`.
    """
    k = len(random_sets[0])
    moves = {scope: build_move(order.dimensions[:k], order.direction, std) for scope, order in orders.items()}
    own = np.stack([move for scope, move in moves.items() if scope != ALL])[true_class]
    draw = np.empty(len(styles), np.int64)
    control = np.zeros_like(styles)
    for place, rows in enumerate(np.array_split(np.arange(len(styles)), len(random_sets))):
        draw[rows] = place
        control[rows] = build_move(random_sets[place], orders[ALL].direction, std)

    def ask(move: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        return ask_shifted(world, styles, move, true_class, shifts, advance, noise)

    unmoved = ask(moves[ALL], shifts_std[:1])  # where all three start from
    right = np.stack(
        [np.concatenate([unmoved, ask(move, shifts_std[1:])], axis=1) for move in (moves[ALL], own, control)], axis=1
    )
    by_network = dict(zip(world.networks, right, strict=True))
    return Shifted(shifts_std, by_network[CLASSIFIER], by_network[JUDGE], draw, k)
