"""The way to a corner case in equal steps (figure 5)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from failure_atlas.walks.probe import Probe, move_styles

PROGRESS = (0.0, 0.25, 0.5, 0.75, 1.0)  # fractions of the shift at which a walk ended


def trace_walks(
    probe: Probe, start_styles: np.ndarray, corner_cases: pd.DataFrame, true_class: int, class_names: Sequence[str]
) -> tuple[np.ndarray, pd.DataFrame]:
    """Images and outputs on the way of M walks of one class.

    start_styles: [M, D] float32, where each walk of the table began.
    Returns images [P, M, channels, H, W] uint8 and a table of P * M rows, progress by progress.
    """
    dimension, shift = corner_cases["dimension"].to_numpy(), corner_cases["shift"].to_numpy(float)
    move = corner_cases["direction"].to_numpy() * shift
    styles = np.concatenate([move_styles(start_styles, dimension, share * move) for share in PROGRESS])
    images, softmax = probe.show(styles)
    copied = corner_cases[["class", "rank", "dimension", "layer", "kind", "direction", "name", "reached"]]
    table = pd.concat([copied] * len(PROGRESS), ignore_index=True)
    table["progress"] = np.repeat(PROGRESS, len(corner_cases))
    table["shift_std"] = np.outer(PROGRESS, corner_cases["shift_std"]).ravel()
    table["probability"] = softmax[:, true_class]
    table["predicted_class"] = np.array(class_names)[softmax.argmax(axis=1)]
    return images.reshape(len(PROGRESS), len(corner_cases), *images.shape[1:]), table
