"""One walk, followed with a line: for use from a notebook; `failure_atlas.drawing.walk` draws it."""

import numpy as np

from failure_atlas.world.show import Shown, World


def trace_walk(world: World, start: np.ndarray, dimension: int, amounts: np.ndarray) -> Shown:
    """What is seen along one style dimension: an image for each amount, and what every network says of it.

    start: [D], in raw style units.  dimension: which of the D is moved.  amounts: [K], what is added to it.
    """
    styles = np.repeat(np.asarray(start, np.float32)[None], len(amounts), axis=0)
    styles[:, dimension] += np.asarray(amounts, np.float32)
    return world.show(styles)
