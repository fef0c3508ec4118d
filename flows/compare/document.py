"""A short document of headings, sentences and tables, as Markdown or as one HTML page without a network."""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from pathlib import Path

from flows.errors import FlowError
from flows.metrics import markdown_table
from flows.project import write_atomically

NAME_JOINT = re.compile(r"(?<=[A-Za-z0-9])([._/])(?=[A-Za-z])")  # not in a number
INTERVAL = re.compile(r"\[(\S+), (\S+)\]")
MARKDOWN, HTML = ".md", ".html"
STYLE = """
:root { color-scheme: light dark; --line: #8886; --ink: #1a1a1a; --paper: #fff; --soft: #f3f5f7; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #16181b; --soft: #22262b; } }
body { margin: 0 auto; max-width: 70rem; padding: 1rem; color: var(--ink); background: var(--paper);
       font: 1rem/1.5 system-ui, sans-serif; }
h1, h2 { line-height: 1.2; } h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
h1, p, td { overflow-wrap: anywhere; }
.table { overflow-x: auto; margin: 1rem 0; } table { border-collapse: collapse; font-size: .9rem; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top;
         min-width: 5rem; }
td:nth-child(n+2) { min-width: 6rem; } td:first-child { min-width: 11rem; }
th { background: var(--soft); }
/* On a phone each row is a card, so that both sides stand below each other and nothing has to be scrolled to. */
@media (max-width: 40rem) {
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody { display: block; } tr { display: block; border-bottom: 1px solid var(--line); padding: .5rem 0; }
  td, td:nth-child(n+2) { display: flex; gap: .5rem; border: 0; padding: .1rem 0; min-width: 0; }
  td::before { content: attr(data-label); flex: 0 0 7rem; opacity: .7; }
  td:first-child { font-weight: 600; } td:first-child::before { content: none; }
  td > span { min-width: 0; } td:empty { display: none; }
}
@media print { body { max-width: none; } }
"""


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

    def say(self, sentence: str) -> None:
        """Add a paragraph."""
        self.parts.append(sentence)

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
        blocks += [
            part if isinstance(part, str) else markdown_table(part.header, map(_clean_row, part.rows)).rstrip("\n")
            for part in section.parts
        ]
    return "\n\n".join(blocks) + "\n"


def to_html(title: str, sections: Iterable[Section]) -> str:
    """The document as one HTML page that reads nothing else; light and dark, fit for a phone and for print."""
    body = [f"<h1>{html.escape(title)}</h1>"]
    for section in sections:
        body.append(f"<h2>{html.escape(section.title)}</h2>")
        body += [
            f"<p>{html.escape(part)}</p>" if isinstance(part, str) else _html_table(part, section.title)
            for part in section.parts
        ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


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
        raise FlowError(
            f"--out: cannot write {path} ({error.strerror}); free the disk or choose another place"
        ) from error


def _html_table(table: Table, title: str) -> str:
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in table.header)
    rows = "\n".join(
        "<tr>" + "".join(starmap(_html_cell, zip(table.header, row, strict=True))) + "</tr>" for row in table.rows
    )
    label = html.escape(title, quote=True)
    return (
        f'<div class="table" role="region" tabindex="0" aria-label="{label}"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _html_cell(label: str, text: str) -> str:
    """A cell that bears its column's name, for narrow screens. Names break where their parts meet, intervals never."""
    content = NAME_JOINT.sub(r"\1<wbr>", INTERVAL.sub("[\\1,\N{NO-BREAK SPACE}\\2]", html.escape(text, quote=False)))
    inner = f"<span>{content}</span>" if text else ""
    return f'<td data-label="{html.escape(label, quote=True)}">{inner}</td>'


def _clean_row(row: Sequence[str]) -> list[str]:
    return [_one_line(cell) for cell in row]


def _one_line(text: str) -> str:
    return " ".join(text.split())
