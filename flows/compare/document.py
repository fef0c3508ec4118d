"""A short document of headings, sentences and tables, as Markdown or as one HTML page without a network."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from flows.errors import FlowError
from flows.metrics import markdown_table
from flows.project import write_atomically

NAME_JOINT = re.compile(r"(?<=[A-Za-z0-9])([._/])(?=[A-Za-z])")  # not in a number
INTERVAL = re.compile(r"\[(\S+), (\S+)\]")
MARKDOWN, HTML = ".md", ".html"


@dataclass
class Table:
    """A header and rows of text."""

    header: Sequence[str]
    rows: list[Sequence[str]]


@dataclass
class Section:
    """A heading with sentences and tables, in the order in which they were added."""

    title: str
    parts: list[str | Table] = field(default_factory=list)

    def say(self, *sentences: str) -> None:
        """Add paragraphs."""
        self.parts += sentences

    def show(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table, unless it has no rows."""
        kept = list(rows)
        if kept:
            self.parts.append(Table(header, kept))


def to_markdown(title: str, sections: Iterable[Section]) -> str:
    """The document in Markdown."""
    blocks = [f"# {_one_line(title)}"]
    for section in sections:
        blocks.append(f"## {_one_line(section.title)}")
        for part in section.parts:
            if isinstance(part, str):
                blocks.append(part)
            else:
                rows = [[_one_line(cell) for cell in row] for row in part.rows]
                blocks.append(markdown_table(part.header, rows).rstrip("\n"))
    return "\n\n".join(blocks) + "\n"


def to_html(title: str, sections: Iterable[Section]) -> str:
    """The document as one HTML page that reads nothing else; light and dark, fit for a phone and for print."""
    environment = Environment(
        loader=PackageLoader("flows.compare", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["breakable"] = _break_names
    return environment.get_template("page.html").render(title=title, sections=sections)


def require_suffix(path: Path) -> None:
    """FlowError unless the file's name says Markdown or HTML, in a folder that is there."""
    if path.suffix not in (MARKDOWN, HTML):
        raise FlowError(f"--out: got '{path}'; allowed: a name that ends in {MARKDOWN} or {HTML}")
    if not path.parent.is_dir():
        raise FlowError(f"--out: got '{path}'; there is no folder {path.parent}, make it first")


def write_document(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Write the document in the form that its name says, whole or not at all."""
    text = (to_markdown if path.suffix == MARKDOWN else to_html)(title, sections)
    try:
        write_atomically(path, text)
    except OSError as error:
        told = f"cannot write {path} ({error.strerror}); free the disk or choose another place"
        raise FlowError(f"--out: {told}") from error


def _break_names(text: str) -> Markup:
    """Names may break where their parts meet, intervals never."""
    return Markup(NAME_JOINT.sub(r"\1<wbr>", INTERVAL.sub("[\\1,\N{NO-BREAK SPACE}\\2]", str(escape(text)))))  # noqa: S704 - escaped


def _one_line(text: str) -> str:
    return " ".join(text.split())
