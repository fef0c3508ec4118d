"""How much each style dimension changes the image, and which ones change nothing."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from failure_atlas.stylegan2.generator import Generator

GREY_LEVEL = 1 / 255
PROBED_SAMPLES = 16


def measure_effects(
    generator: Generator,
    styles: np.ndarray,
    std: np.ndarray,
    *,
    noise: np.ndarray | None = None,
    batch_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> pd.DataFrame:
    """Move one dimension at a time by one standard deviation and compare the images.

    styles: float32 [N, D], the samples to move.  std: [D].  noise: int64 [N], see `World.show`.  advance: told the
    number of images made after each batch.
    Returns one row per dimension: std; `effect`, the root mean square change of a pixel in [0, 1] over all samples; and
    `dead`, whether no pixel of any sample changed by half a grey level.
    """
    samples, dimensions = styles.shape
    device = generator.constant.device
    start, step = torch.from_numpy(styles).to(device), torch.from_numpy(std.astype(np.float32)).to(device)
    effect, largest = np.zeros(dimensions), np.zeros(dimensions)
    at_once = max(1, batch_size // samples)
    with torch.no_grad():
        before = generator.synthesize(start, noise)
        for first in range(0, dimensions, at_once):
            moved = torch.arange(first, min(first + at_once, dimensions), device=device)
            batch = start.repeat(len(moved), 1).view(len(moved), samples, dimensions)
            batch[torch.arange(len(moved)), :, moved] += step[moved, None]
            seeds = None if noise is None else np.tile(noise, len(moved))
            images = generator.synthesize(batch.flatten(0, 1), seeds).view(len(moved), *before.shape)
            change = (images - before).abs().flatten(1)
            effect[first : first + len(moved)] = change.square().mean(dim=1).sqrt().cpu().numpy()
            largest[first : first + len(moved)] = change.amax(dim=1).cpu().numpy()
            advance(len(moved) * samples)
    return pd.DataFrame({"std": std, "effect": effect, "dead": largest < GREY_LEVEL / 2})


def summarize_effects(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Per layer, in the order of s: dimensions, how many are dead, and the median effect.

    table: columns layer, effect and dead, one row per dimension.
    """
    return {
        str(layer): {
            "dimensions": len(rows),
            "dead": int(rows["dead"].sum()),
            "median_effect": float(rows["effect"].median()),
        }
        for layer, rows in table.groupby("layer", sort=False)
    }
