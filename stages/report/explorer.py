"""What the explorer in the page knows: pictures and probabilities along each direction, computed before."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from failure_atlas.judges.verdicts import VERDICTS, give_verdicts
from failure_atlas.walks.crossing import LEVEL
from stages.common.artefacts.names import Names
from stages.report.moves import Frames, Move
from stages.report.results import embed

DIGITS = 4  # of probabilities


def describe_explorer(
    shifts_std: np.ndarray,
    class_names: Sequence[str],
    frames: Mapping[Move, Frames],
    moves: Mapping[str, Sequence[Sequence[Move]]],
    crossings: Mapping[str, Mapping[Move, float]],
    words: Mapping[str, Names],
    confidence: float,
) -> dict[str, Any]:
    """All that the page's script needs, as JSON.

    shifts_std: [F].  frames: of every move.  moves: by classifier, then class.  crossings, words: by classifier.
    Pictures and the judge's opinions stand once, under the move's key; each classifier lists its own moves by class.
    """
    return {
        "class_names": list(class_names),
        "shifts_std": [round(float(shift), DIGITS) for shift in shifts_std],
        "level": LEVEL,
        "confidence": confidence,
        "moves": {
            _key(move): {
                "sprite": embed(lay_out(each.images), "image/png"),
                "judge": _round(each.judge),
                "judge_class": each.judge.argmax(axis=1).tolist(),
            }
            for move, each in frames.items()
        },
        "classifiers": {
            name: [
                [
                    _describe(move, rank, class_names, frames[move], name, crossings[name], words[name], confidence)
                    for rank, move in enumerate(own, start=1)
                ]
                for own in by_class
            ]
            for name, by_class in moves.items()
        },
    }


def _describe(
    move: Move,
    rank: int,
    class_names: Sequence[str],
    frames: Frames,
    name: str,
    crossings: Mapping[Move, float],
    words: Names,
    confidence: float,
) -> dict[str, Any]:
    softmax = frames.softmax[name]
    predicted = softmax.argmax(axis=1)
    meant = np.full(len(softmax), move.true_class)
    verdicts = np.array(VERDICTS, object)[give_verdicts(frames.judge, meant, predicted, confidence)]
    crossing = crossings.get(move)
    return {
        "move": _key(move),
        "rank": rank,
        "dimension": move.dimension,
        "direction": move.direction,
        "name": words.look_up(class_names[move.true_class], move.dimension, move.direction),
        "crossing_std": None if crossing is None else round(crossing, DIGITS),
        "in_doubt_at_start": bool(softmax[0, move.true_class] <= LEVEL),
        "probabilities": _round(softmax),
        "predicted": predicted.tolist(),
        "verdicts": verdicts.tolist(),
    }


def lay_out(images: np.ndarray) -> bytes:
    """One PNG with the images [F, channels, H, W] uint8 side by side; channels: 1 or 3."""
    strip = np.concatenate(list(images), axis=2)
    pixels = np.moveaxis(strip, 0, -1) if strip.shape[0] == 3 else strip[0]
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", optimize=True)
    return file.getvalue()


def _key(move: Move) -> str:
    return f"{move.true_class}:{move.dimension}:{move.direction}"


def _round(probabilities: np.ndarray) -> list[list[float]]:
    rounded: list[list[float]] = np.round(probabilities, DIGITS).tolist()
    return rounded
