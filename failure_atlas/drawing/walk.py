"""One walk, drawn with a line: for use from a notebook."""

import numpy as np
from matplotlib import pyplot as plt  # not failure_atlas.drawing.style, which would take the notebook's own look
from matplotlib.figure import Figure

from failure_atlas.walks.crossing import LEVEL

MOST_IMAGES = 11


def draw_walk(shift_std: np.ndarray, images: np.ndarray, probability: np.ndarray, title: str = "") -> Figure:
    """The softmax of the true class against the shift, and above it images of the way, each over its shift.

    shift_std: [K], rising, K > 1.  images: uint8 [K, channels, H, W].  probability: [K].
    Of more than eleven images, eleven at equal steps are shown, the first and the last among them.
    """
    figure, (above, below) = plt.subplots(2, 1, sharex=True, height_ratios=[1, 4], figsize=(8, 4), layout="constrained")
    chosen = np.linspace(0, len(images) - 1, min(MOST_IMAGES, len(images))).round().astype(int)
    half = float(shift_std[-1] - shift_std[0]) / (len(chosen) - 1) / 2
    for index in chosen.tolist():
        centre, pixels = float(shift_std[index]), np.moveaxis(images[index], 0, -1)
        above.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(centre - half, centre + half, 0, 1), aspect="auto")
    above.set(xlim=(float(shift_std[0]) - half, float(shift_std[-1]) + half), ylim=(0, 1), title=title)
    above.set_axis_off()
    below.plot(shift_std, probability)
    below.axhline(LEVEL, color="grey", linestyle="--")
    below.set(xlabel="shift, in std", ylabel="softmax of the true class", ylim=(0, 1.02))
    return figure
