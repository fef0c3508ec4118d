"""`failure-atlas compare`: two runs side by side."""

from pathlib import Path
from typing import Annotated

import typer

from failure_atlas.core.text import escape


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="The old run: revision, experiment, bundle or workspace.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The new run.")] = "workspace",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write FILE.md or FILE.html instead.")] = None,
    renamed: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Classifier OLD of A against NEW of B, and no other; repeatable."),
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Also what moved within its interval.")] = False,
) -> None:
    """Compare two runs: what changed, what moved beyond its interval, which verdicts flipped, what a repair did.

    A (old) and B (new) are git revisions, DVC experiments, folders of evidence bundles, or the word `workspace`. All
    are read where they are: nothing is checked out. Tells failure modes that are gone, new or stay, the metrics with
    their intervals, flipped acceptance criteria, directions that entered or left the top ten, and changed inputs,
    params, code and (of bundles) environment.

    Examples:
      failure-atlas compare HEAD workspace             what the last run changed
      failure-atlas compare v1.0 HEAD --out diff.html  two commits, as a page
      failure-atlas compare HEAD my-experiment         an experiment of dvc exp run
      failure-atlas compare evidence/A evidence/B --all
      failure-atlas compare workspace workspace --renamed corrupted=repaired

    Exit code: 0 compared, whatever differs; 1 one side cannot be read; 2 wrong command line.
    """
    from flows.compare.document import require_suffix, to_markdown, write_document
    from flows.compare.sections import compare as compare_sources  # DVC takes a second to import: not for --help
    from flows.compare.sources import open_source

    if out is not None:
        require_suffix(out)
    sections = compare_sources(open_source(a), open_source(b), renamed=renamed or (), show_all=show_all)
    title = f"Comparison of A ({a}) with B ({b})"
    if out is None:
        print(escape(to_markdown(title, sections), keep="\n"), end="")
    else:
        write_document(out, title, sections)
