"""What lies at the ends of walks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from failure_atlas.stylegan2.generator import StyleLayer
from failure_atlas.walks.probe import Probe, move_styles
from failure_atlas.walks.starts import Starts
from failure_atlas.walks.walks import Walks
from stages.common.artefacts.names import Names
from stages.common.artefacts.walks import tabulate_walks


@dataclass(frozen=True)
class Ends:
    """Of M walks, in their order.

    styles: [M, D] float32.  images: [M, channels, H, W] uint8.  true_class: [M] int64.  table: see `tabulate_walks`.
    """

    styles: np.ndarray
    images: np.ndarray
    true_class: np.ndarray
    table: pd.DataFrame


def look_at_ends(
    probe: Probe,
    walks: Walks,
    starts: Starts,
    start_softmax: np.ndarray,
    layout: Sequence[StyleLayer],
    words: Names,
    class_names: Sequence[str],
) -> Ends:
    """Make the image at each walk's end and tell what the classifier says; start_softmax: [S, C]."""
    styles = move_styles(starts.styles[walks.start], walks.dimension, walks.step * walks.shift_std)
    images, softmax = probe.show(styles)
    table = tabulate_walks(walks, starts, start_softmax, softmax, layout, words, class_names)
    return Ends(styles, images, starts.true_class[walks.start], table)
