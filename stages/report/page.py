"""Sections, metrics and the explorer's content as one HTML page that needs nothing else."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from stages.report.blocks import PageSection

TEMPLATES = Path(__file__).parent / "templates"


def render_page(
    title: str, summary: str, sections: Sequence[PageSection], metrics: Mapping[str, Any], explorer: Mapping[str, Any]
) -> str:
    """The page as text; metrics: content of every metrics.json by its path below the folder of results."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html").render(
        title=title,
        summary=summary,
        sections=sections,
        style=_read("page.css"),
        script=_read("page.js"),
        metrics=write_script(metrics),
        explorer=write_script(explorer),
    )


def write_script(content: Mapping[str, Any]) -> Markup:
    """JSON that may stand inside a script element: whatever a name holds, it cannot end the element."""
    text = json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - JSON without a < is no markup


def _read(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704 - our own files
