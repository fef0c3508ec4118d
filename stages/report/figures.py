"""Figures on the page with their words: those of other stages, and those that are drawn here.

A stage that trains draws nothing. What shows its result is drawn here, from the tables that it left.
"""

import tomllib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image, UnidentifiedImageError

from failure_atlas.core.errors import StageError
from failure_atlas.drawing import classifiers
from failure_atlas.drawing.style import save_figure
from stages.report.page import TEMPLATES, Picture
from stages.report.results import Results, embed

Embedded = tuple[str, int, int]  # data URI, width and height in px
WORDS: Mapping[str, Mapping[str, str]] = tomllib.loads((TEMPLATES / "figures.toml").read_text(encoding="utf-8"))
ALIKE = {"bring_classifiers": "train_classifiers"}  # stages whose figures have the words of another's
DRAWN: Mapping[str, Callable[[pd.DataFrame], Figure]] = {
    "severities": classifiers.draw_severities,
    "reliability": classifiers.draw_reliability,
    "confusion": classifiers.draw_confusion,
    "learning_curve": classifiers.draw_learning_curve,
    "usual_mistakes": classifiers.draw_changes,
}
OPTIONAL = ("learning_curve", "usual_mistakes")  # of those trained here, and of those that were brought
TEXT_COLUMNS = ("true_class", "predicted_class", "step", "change", "advice")


def show_figure(results: Results, place: str, stem: str, of: str = "", kind: str = "") -> Picture:
    """A stage's figure with its words and its CSV.

    place: the stage's folder.  of: what the figure is of, put behind its title, such as a classifier's name.  kind: its
    name among the words where that is not the file's.
    """
    picture = embed_figure(results, f"{place}/figures/{stem}.png")
    return _describe(results, picture, place, kind or stem, of, f"{place}/figures/{stem}.csv")


def embed_figure(results: Results, name: str) -> Embedded:
    """A PNG file of a stage for the page; StageError if it is none."""
    try:
        return _embed(results.read(name))
    except UnidentifiedImageError as error:
        stage = name.split("/")[0]
        raise StageError(f"{results.folder / name}: no PNG; make it again with: dvc repro {stage}") from error


def _embed(content: bytes) -> Embedded:
    """The same pixels as lossless WebP, which takes less than half of a PNG's room."""
    file = BytesIO()
    with Image.open(BytesIO(content), formats=["PNG"]) as image:
        image.convert("RGB").save(file, "WEBP", lossless=True, method=4, quality=80)
        return embed(file.getvalue(), "image/webp"), *image.size


def draw_tables(results: Results, place: str, out: Path, of: str = "") -> list[Picture]:
    """Draw a figure of each table that a training left; place: its folder.  out: the folder of all drawn figures."""
    pictures = []
    for stem, draw in DRAWN.items():
        source = f"{place}/tables/{stem}.csv"
        if stem not in OPTIONAL or results.has(source):
            table, path = results.read_table(source, text=TEXT_COLUMNS), out / place / f"{stem}.png"
            save_figure(draw(table), path, table)
            pictures.append(_describe(results, _embed(path.read_bytes()), place, stem, of, source))
    return pictures


def _describe(results: Results, picture: Embedded, place: str, kind: str, of: str, source: str) -> Picture:
    stage = place.split("/")[0]
    words = WORDS.get(f"{stage}/{kind}") or WORDS[f"{ALIKE[stage]}/{kind}"]
    title = f"{words['title']}: {of}" if of else words["title"]
    return Picture(
        title=title,
        caption=words["caption"],
        alternative=f"{title}. {words['alternative']}",
        uri=picture[0],
        width_px=picture[1],
        height_px=picture[2],
        download=results.offer(source),
    )
