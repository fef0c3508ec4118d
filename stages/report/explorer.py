"""The explorer: which directions it offers, the pictures along them, what all networks say, and where doubt begins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from failure_atlas.core.progress import Progress
from failure_atlas.judges.ensemble import load_judge
from failure_atlas.judges.verdicts import VERDICTS, give_verdicts
from failure_atlas.walks.crossing import LEVEL, TOLERANCE, find_crossings, space_grid
from failure_atlas.walks.starts import Starts, choose_starts
from failure_atlas.world.show import Shown, World, move_styles
from stages.common.artefacts.names import Names, read_names
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import read_samples
from stages.common.artefacts.ranking import read_ranking
from stages.common.artefacts.walks import choose_candidates
from stages.report.params import ReportParams
from stages.report.results import Results, embed

DIGITS = 4  # of probabilities
JUDGE = "the judge"  # among the networks: no name that a classifier may have


@dataclass(frozen=True)
class Move:
    """One direction from the mean style of one class.

    true_class: index.  step: one std in raw style units, with the sign that lowers the true class's score.
    """

    true_class: int
    dimension: int
    step: float

    @property
    def direction(self) -> int:
        """1 where the dimension rises, -1 where it falls."""
        return 1 if self.step > 0 else -1

    @property
    def key(self) -> str:
        """As the page's script calls it."""
        return f"{self.true_class}:{self.dimension}:{self.direction}"


def explore(results: Results, section: ReportParams, device: torch.device) -> dict[str, Any]:
    """Pictures and opinions along the leading directions of each class, for each classifier, as the page holds them."""
    generator = results.locate(f"{results.generator}/generator.safetensors")
    population = results.locate("sample_populations/population.zarr").parent
    loaded = {
        name: load_networks(generator, results.locate(f"{made_by}/{name}/classifier.safetensors"), device)
        for name, made_by in results.classifiers.items()
    }
    network = next(iter(loaded.values()))[0]
    samples = read_samples(population, network)
    judge = load_judge(results.locate("train_judges/judge.safetensors"), samples.class_names, device)
    first = samples.mean_noise[:1]  # one draw of each class's noise: a picture shows no more
    means = choose_starts(samples.styles, samples.true_class, samples.noise, first, [])
    shifts_std = np.concatenate([[0.0], space_grid(section.max_shift_std, section.step_std)])
    networks = {name: classifier for name, (_, classifier) in loaded.items()} | {JUDGE: judge}
    world = World(network.synthesize, networks, section.batch_size, device, len(samples.class_names))

    moves, words, crossings = {}, {}, {}
    for name in results.classifiers:
        ranking = read_ranking(results.locate(f"rank_dimensions/{name}/ranking.csv").parent)
        moves[name] = choose_moves(ranking, samples.class_names, network.style_dimensions, section.dimensions)
        words[name] = read_names(results.locate(f"name_directions/{name}/directions.csv").parent)
    # Two classifiers may share a direction: its pictures are made and kept once.
    shared = list(dict.fromkeys(move for by_class in moves.values() for own in by_class for move in own))
    with Progress("drawing directions", len(shared) * len(shifts_std), "img") as progress:
        frames = dict(zip(shared, trace_moves(world, means, shared, shifts_std, progress.advance), strict=True))
    for name, by_class in moves.items():
        own = [move for of_class in by_class for move in of_class]
        crossings[name] = locate_crossings(world, name, means, own, shifts_std, frames)
    return describe_explorer(shifts_std, samples.class_names, frames, moves, crossings, words, judge.confidence)


def choose_moves(ranking: pd.DataFrame, class_names: Sequence[str], dimensions: int, wanted: int) -> list[list[Move]]:
    """The first `wanted` directions of each class's own ranking, leaving out dimensions that cannot be moved.

    ranking: as rank_dimensions leaves it.  dimensions: D of the generator.
    Raises StageError if the ranking lacks a class or ranks another number of dimensions.
    """
    classes = np.arange(len(class_names))
    chosen = choose_candidates(ranking, "class", classes, class_names, dimensions).first_movable(wanted)
    return [
        [Move(label, int(own), float(by)) for own, by in zip(*each, strict=True) if by]
        for label, each in enumerate(zip(chosen.dimension, chosen.step, strict=True))
    ]


Advance = Callable[[int], object]


def trace_moves(
    world: World, means: Starts, moves: Sequence[Move], shifts_std: np.ndarray, advance: Advance = lambda _: None
) -> list[Shown]:
    """The frames of each move, in order; the networks see the unrounded image, the page shows it in bytes.

    means: one start of each class.  shifts_std: [F], 0 or more.  advance: told how many images have just been made.
    """
    if not moves:
        return []
    count = len(shifts_std)
    rows, shift_std = np.arange(len(moves)).repeat(count), np.tile(shifts_std, len(moves))
    styles, noise = _shift(means, moves, rows, shift_std)
    shown = world.show(styles, noise=noise, advance=advance)
    spans = [slice(first, first + count) for first in range(0, len(shown.images), count)]
    return [Shown(shown.images[span], {name: each[span] for name, each in shown.logits.items()}) for span in spans]


def _shift(
    means: Starts, moves: Sequence[Move], rows: np.ndarray, shift_std: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Styles [K, D] and noise [K] after some of the moves; rows: which [K].  shift_std: how far [K]."""
    true_class, dimension, step = (
        np.array([getattr(move, name) for move in moves])[rows] for name in ("true_class", "dimension", "step")
    )
    moved = move_styles(means.styles[true_class], dimension, step * shift_std)
    return moved, means.noise[true_class]


def locate_crossings(
    world: World,
    name: str,
    means: Starts,
    moves: Sequence[Move],
    shifts_std: np.ndarray,
    frames: Mapping[Move, Shown],
) -> dict[Move, float]:
    """How many std along each move the true class's softmax first falls to 0.50; moves that never get there are absent.

    name: of the classifier.  shifts_std: [F], from 0, those of the frames. The step in which it first falls is
    bisected; a class whose mean is in doubt already has no crossing.
    """
    traced = {move: frames[move].softmax(name)[:, move.true_class] for move in moves}
    walked = [move for move in moves if traced[move][0] > LEVEL]
    known = {shift: place for place, shift in enumerate(shifts_std.tolist())}

    def measure(rows: np.ndarray, shift_std: np.ndarray) -> np.ndarray:
        if rows.size and set(shift_std.tolist()) <= known.keys():  # what a frame shows
            return np.array([traced[walked[row]][known[far]] for row, far in zip(rows, shift_std, strict=True)])
        true_class = np.array([walked[row].true_class for row in rows], np.int64)
        styles, noise = _shift(means, walked, rows, shift_std)
        return world.show(styles, [name], noise=noise, keep_images=False).score(true_class, name)

    start = np.array([traced[move][0] for move in walked])
    found = find_crossings(measure, start, shifts_std[1:], level=LEVEL, tolerance=TOLERANCE)
    return {walked[row]: float(found.position[row]) for row in np.flatnonzero(found.reached)}


def describe_explorer(
    shifts_std: np.ndarray,
    class_names: Sequence[str],
    frames: Mapping[Move, Shown],
    moves: Mapping[str, Sequence[Sequence[Move]]],
    crossings: Mapping[str, Mapping[Move, float]],
    words: Mapping[str, Names],
    confidence: float,
) -> dict[str, Any]:
    """All that the page's script needs, as JSON.

    shifts_std: [F].  frames: of every move.  moves: by classifier, then class.  crossings, words: by classifier.
    Pictures and the judge's opinions stand once, under the move's key; each classifier lists its own moves by class.
    """

    def describe(name: str, rank: int, move: Move) -> dict[str, Any]:
        softmax, opinion = frames[move].softmax(name), frames[move].softmax(JUDGE)
        predicted = softmax.argmax(axis=1)
        meant = np.full(len(softmax), move.true_class)
        verdicts = np.array(VERDICTS, object)[give_verdicts(opinion, meant, predicted, confidence)]
        crossing = crossings[name].get(move)
        return {
            "move": move.key,
            "rank": rank,
            "dimension": move.dimension,
            "direction": move.direction,
            "name": words[name].look_up(class_names[move.true_class], move.dimension, move.direction),
            "crossing_std": None if crossing is None else round(crossing, DIGITS),
            "in_doubt_at_start": bool(softmax[0, move.true_class] <= LEVEL),
            "probabilities": np.round(softmax, DIGITS).tolist(),
            "predicted": predicted.tolist(),
            "verdicts": verdicts.tolist(),
        }

    return {
        "class_names": list(class_names),
        "shifts_std": [round(float(shift), DIGITS) for shift in shifts_std],
        "level": LEVEL,
        "confidence": confidence,
        "moves": {
            move.key: {
                "sprite": embed(lay_out(each.images), "image/png"),
                "judge": np.round(each.softmax(JUDGE), DIGITS).tolist(),
                "judge_class": each.predicted(JUDGE).tolist(),
            }
            for move, each in frames.items()
        },
        "classifiers": {
            name: [[describe(name, rank, move) for rank, move in enumerate(own, start=1)] for own in by_class]
            for name, by_class in moves.items()
        },
    }


def lay_out(images: np.ndarray) -> bytes:
    """One PNG with the images [F, channels, H, W] uint8 side by side; channels: 1 or 3."""
    strip = np.concatenate(list(images), axis=2)
    pixels = np.moveaxis(strip, 0, -1) if strip.shape[0] == 3 else strip[0]
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", optimize=True)
    return file.getvalue()
