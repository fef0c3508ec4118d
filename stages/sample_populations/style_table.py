"""What each style dimension is: its layer, channel, resolution and kind."""

from collections.abc import Sequence

import pandas as pd

from stages.train_stylegan2.generator import StyleLayer

COLUMNS = ("dimension", "layer", "channel", "resolution_px", "kind")


def tabulate_styles(layout: Sequence[StyleLayer]) -> pd.DataFrame:
    """One row per style dimension, in the order of s; kind is `conv` or `torgb`."""
    rows = [
        (layer.offset + channel, layer.name, channel, layer.resolution_px, layer.kind)
        for layer in layout
        for channel in range(layer.channels)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))
