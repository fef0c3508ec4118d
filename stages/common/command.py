"""How a stage is started: command line, one-line errors, exit codes, and the run log."""

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

import stages.common.settings  # noqa: F401  listed in dvc.yaml by this; `stages` has imported it first
from failure_atlas.core.computing import describe_computing
from failure_atlas.core.errors import StageError
from failure_atlas.core.text import escape

RUN_LOG = Path("logs/stages.jsonl")

ParamsOption = Annotated[Path, typer.Option("--params", help="The params file to read this stage's section from.")]
GeneratorOption = Annotated[Path, typer.Option("--generator", help="The generator's weights file.")]
ClassifierOption = Annotated[Path, typer.Option("--classifier", help="The weights file of the classifier under test.")]
PopulationOption = Annotated[Path, typer.Option("--population", help="Result folder of sample_populations.")]
NamesOption = Annotated[Path, typer.Option("--names", help="Result folder of name_directions for this classifier.")]
InvertedOption = Annotated[Path, typer.Option("--inverted", help="Result folder of invert_images.")]
OutOption = Annotated[Path, typer.Option("--out", help="Folder that receives this stage's results.")]


def run_stage(main: Callable[..., None], name: str) -> None:
    """Run a stage's `main` as a command; name: as in dvc.yaml.

    Exit codes: 0 done, 1 a mistake named in one line on stderr, 2 wrong command line. The duration goes to
    logs/stages.jsonl, which DVC does not track, so that results hold no times.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Escaped("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings={"max_content_width": 110})
    app.command(help=main.__doc__)(main)
    started = time.monotonic()
    try:
        app(standalone_mode=True)
    except SystemExit as stop:
        if stop.code in (0, None) and not {"--help"} & set(sys.argv):
            _log_run(name, time.monotonic() - started)
        raise
    except StageError as error:
        print(f"error: {escape(str(error))}", file=sys.stderr)
        sys.exit(1)


class _Escaped(logging.Formatter):
    """A message may quote what a server, a file name or someone else's code says."""

    def format(self, record: logging.LogRecord) -> str:
        return escape(super().format(record), keep="\n\t")


def _log_run(name: str, seconds: float) -> None:
    entry = {
        "stage": name,
        "arguments": sys.argv[1:],
        "seconds": round(seconds, 2),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "process": os.getpid(),
        "computing": describe_computing(),
    }
    RUN_LOG.parent.mkdir(exist_ok=True)
    with RUN_LOG.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
