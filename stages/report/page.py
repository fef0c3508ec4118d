"""What a page is made of, and the one HTML file that needs nothing else."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
STYLE_AND_SCRIPT = {"style": "css", "script": "js"}


@dataclass(frozen=True)
class Badge:
    """A verdict in a cell; tone: good | bad | open, shown as a colour and a sign beside the words."""

    text: str
    tone: str


@dataclass(frozen=True)
class Download:
    """A file inside the page; uri: a data URI.  words: what it holds.  form: what kind of file it is."""

    name: str
    uri: str
    words: str = "Numbers"
    form: str = "CSV"


class Block:
    """What stands in a section or group; the template chooses by its kind."""

    @property
    def kind(self) -> str:
        """Such as `text`."""
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Text(Block):
    """One paragraph."""

    text: str


@dataclass(frozen=True)
class Table(Block):
    """A table with a caption; the first cell of a row names it.  wide: columns that hold sentences."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Badge]]
    download: Download | None = None
    wide: Sequence[str] = ()


@dataclass(frozen=True)
class Picture(Block):
    """A figure as a data URI, what it shows for those who do not see it, and its numbers."""

    title: str
    caption: str
    alternative: str
    uri: str
    width_px: int
    height_px: int
    download: Download


@dataclass(frozen=True)
class Listing(Block):
    """A text with its line breaks, such as a section of params."""

    title: str
    text: str


class Explorer(Block):
    """Where the explorer stands."""


@dataclass(frozen=True)
class Strip:
    """The pictures of a mode; uri: empty where they stand on the page already, under the same id."""

    id: str
    alternative: str
    uri: str
    width_px: int
    height_px: int


@dataclass(frozen=True)
class Card:
    """A mode; facts: what is told of it, by what it is.  order: what cards are sorted by, by name, largest first."""

    rank: int
    sentence: str
    rate: str
    told_rate: str
    told_real: str
    badge: Badge
    strip: Strip
    facts: Mapping[str, str]
    order: Mapping[str, float]


@dataclass(frozen=True)
class Modes(Block):
    """The modes of a classifier as cards that can be sorted."""

    name: str
    cards: Sequence[Card]
    downloads: Sequence[Download]


@dataclass(frozen=True)
class Answer:
    """A classifier on the first screen; badge: its verdict.  counted: how many criteria pass.  none: if no mode is."""

    name: str
    badge: Badge
    counted: str
    modes: Sequence[Card]
    none: str
    how_far: str
    proof: Sequence[str]


@dataclass(frozen=True)
class Group:
    """Blocks under a heading of their own; folded: closed until somebody opens it."""

    title: str
    blocks: Sequence[Block]
    folded: bool = True


@dataclass(frozen=True)
class PageSection:
    """A part of the page; id: as links name it.  told: one line on what is inside, where it is folded."""

    id: str
    title: str
    blocks: Sequence[Block]
    groups: Sequence[Group] = ()
    told: str = ""
    folded: bool = True


def render_page(
    title: str,
    noticed: str,
    answers: Sequence[Answer],
    sections: Sequence[PageSection],
    metrics: Mapping[str, Any],
    explorer: Mapping[str, Any],
) -> str:
    """The page as text; metrics: content of every metrics.json by its path below the folder of results.

    noticed: what is to be known of the classifiers and images before all else; may be empty.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["tie"] = tie
    own = {name: (TEMPLATES / f"page.{ending}").read_text("utf-8") for name, ending in STYLE_AND_SCRIPT.items()}
    return environment.get_template("page.html").render(
        title=title,
        noticed=noticed,
        answers=answers,
        sections=sections,
        metrics=write_script(metrics),
        explorer=write_script(explorer),
        **{name: Markup(text) for name, text in own.items()},  # noqa: S704 - our own files
    )


def tie(text: str) -> str:
    """Spaces inside an interval, and before a unit, that do not break a line."""
    return re.sub(r"(?<=\d) (?=%|std)|(?<=[\d?]) (?=\[)|(?<=,) (?=[-\d?.]+\])", "\u00a0", text)


def write_script(content: Mapping[str, Any]) -> Markup:
    """JSON that may stand inside a script element: whatever a name holds, it cannot end the element."""
    text = json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - JSON without a < is no markup
