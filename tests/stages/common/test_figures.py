"""Figures: a PNG and a CSV, equal bytes, and the sheet of images against its slow twin."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from failure_atlas.drawing.style import new_figure, save_figure, shorten, show_image, tile

TABLE = pd.DataFrame({"x": [0, 1, 2], "y": [0.1, 1 / 3, 2.0]})


def draw():
    figure, axes = new_figure(1, 2, width=3, height=1.5)
    axes[0, 0].plot(TABLE["x"], TABLE["y"], label="line")
    axes[0, 0].legend()
    show_image(axes[0, 1], np.linspace(0, 1, 64).reshape(1, 8, 8), "grey")
    return figure


def test_a_figure_is_a_png_and_a_csv_with_equal_bytes(tmp_path):
    for name in ("one", "two"):
        save_figure(draw(), tmp_path / "figures" / f"{name}.png", TABLE)
    folder = tmp_path / "figures"
    assert sorted(path.name for path in folder.iterdir()) == ["one.csv", "one.png", "two.csv", "two.png"]
    assert (folder / "one.png").read_bytes() == (folder / "two.png").read_bytes()
    assert (folder / "one.csv").read_text(encoding="utf-8") == "x,y\n0,0.1\n1,0.333333\n2,2\n"
    image = (folder / "one.png").read_bytes()
    assert image.startswith(b"\x89PNG")
    assert b"Software" not in image
    assert b"tEXt" not in image
    assert plt.imread(folder / "one.png").shape[:2] == (150, 300)
    assert not plt.get_fignums()  # none is left open


@pytest.mark.parametrize(("channels", "shape"), [(1, (4, 5)), (3, (4, 5, 3))])
@pytest.mark.parametrize(("kind", "white"), [(np.uint8, 255), (np.float32, 1)])
def test_images_are_shown_on_one_scale(channels, shape, kind, white):
    """A dim image must look dim: the scale is that of the data type, not that of the image."""
    figure, axes = new_figure(1, 1, width=1, height=1)
    assert axes.shape == (1, 1)
    show_image(axes[0, 0], np.zeros((channels, 4, 5), kind), "title")
    (shown,) = axes[0, 0].images
    assert (shown.get_array().shape, shown.get_clim()) == (shape, (0, white))
    assert not axes[0, 0].axison
    assert axes[0, 0].get_title() == "title"
    plt.close(figure)


def tile_slowly(images, columns, gap):
    """Row by row, image beside image, white between."""
    white = 255 if images.dtype == np.uint8 else 1.0
    n, channels, height, width = images.shape
    rows = []
    for first in range(0, n, columns):
        row = list(images[first : first + columns])
        row += [np.full_like(images[0], white)] * (columns - len(row))
        separated = [part for image in row for part in (np.full((channels, height, gap), white), image)][1:]
        rows.append(np.concatenate(separated, axis=2))
    line = np.full((channels, gap, columns * (width + gap) - gap), white)
    return np.concatenate([part for row in rows for part in (line, row)][1:], axis=1).astype(images.dtype)


@settings(max_examples=50)
@given(
    n=st.integers(1, 12), channels=st.sampled_from([1, 3]), height=st.integers(1, 5), width=st.integers(1, 5),
    columns=st.integers(1, 7), gap=st.integers(0, 3), kind=st.sampled_from([np.uint8, np.float32]),
)  # fmt: skip
def test_a_sheet_equals_its_slow_twin(n, channels, height, width, columns, gap, kind):
    images = np.random.default_rng(n).integers(0, 2, (n, channels, height, width)).astype(kind)
    sheet = tile(images, columns, gap)
    assert sheet.dtype == images.dtype
    np.testing.assert_array_equal(sheet, tile_slowly(images, columns, gap))


def test_logarithmic_axes_bear_plain_numbers_and_dollars_stay_dollars(tmp_path):
    figure, axes = new_figure(1, 2, width=4, height=3)
    axes[0, 0].plot([1, 10, 500], [0.0003, 0.02, 2])
    axes[0, 0].set(xscale="log", yscale="log", title="between $5 and $6_note$ and $\\no_such{command$")
    axes[0, 1].plot([1, 30], [1, 2])
    axes[0, 1].set_xscale("log")
    axes[0, 1].set_xticks([1, 30], ["one", "thirty"])
    save_figure(figure, tmp_path / "log.png", pd.DataFrame({"x": [1]}))
    assert {"0.001", "0.01", "0.1", "1"} <= {label.get_text() for label in axes[0, 0].get_yticklabels()}
    assert [label.get_text() for label in axes[0, 1].get_xticklabels()] == ["one", "thirty"]
    assert not any(text.get_parse_math() for text in (axes[0, 0].title, *axes[0, 0].get_yticklabels()))


def test_long_names_are_cut_and_those_that_legends_leave_out_are_shown():
    assert shorten("ankle boot") == "ankle boot"
    assert shorten("ankle boot", 8) == "ankle\N{HORIZONTAL ELLIPSIS}ot"
    assert [len(shorten("a" * 30, characters)) for characters in (5, 6, 8, 20)] == [5, 6, 8, 20]
    figure, axes = new_figure(1, 1, width=3, height=2)
    axes[0, 0].plot([0, 1], label=shorten("_ground"))
    assert [text.get_text().strip() for text in axes[0, 0].legend().get_texts()] == ["_ground"]
    plt.close(figure)
