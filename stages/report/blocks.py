"""What a page is made of: sections of texts, tables and figures, without any markup."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Badge:
    """A verdict in a cell; tone: good | bad | open, shown as a colour and a sign beside the words."""

    text: str
    tone: str


Cell = str | Badge


@dataclass(frozen=True)
class Download:
    """A file inside the page; uri: a data URI."""

    name: str
    uri: str


@dataclass(frozen=True)
class Text:
    """One paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first cell of a row names it.  wide: columns that hold sentences."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    download: Download | None = None
    wide: Sequence[str] = ()


@dataclass(frozen=True)
class Picture:
    """A figure: the PNG as a data URI, what it shows for those who do not see it, and its numbers."""

    kind: ClassVar[str] = "picture"
    title: str
    caption: str
    alternative: str
    uri: str
    width_px: int
    height_px: int
    download: Download


@dataclass(frozen=True)
class Listing:
    """A text with its line breaks, such as a section of params."""

    kind: ClassVar[str] = "listing"
    title: str
    text: str


@dataclass(frozen=True)
class Explorer:
    """Where the explorer stands."""

    kind: ClassVar[str] = "explorer"


Block = Text | Table | Picture | Listing | Explorer


@dataclass(frozen=True)
class Group:
    """Blocks under a heading of their own; folded: closed until somebody opens it."""

    title: str
    blocks: Sequence[Block]
    folded: bool = False


@dataclass(frozen=True)
class PageSection:
    """A part of the page with its place in the table of contents; id: as links name it."""

    id: str
    title: str
    blocks: Sequence[Block]
    groups: Sequence[Group] = ()
