"""The command `failure-atlas`."""

import signal
import sys
from collections.abc import Callable
from inspect import getdoc
from io import TextIOWrapper
from types import FrameType

import typer

from flows.case_command import case
from flows.compare_command import compare
from flows.console import say
from flows.environment import prepare_environment
from flows.errors import FlowError
from flows.evidence.reading import show
from flows.evidence_commands import evidence, key, verify
from flows.gates_command import gates
from flows.image_command import image
from flows.run_commands import doctor, metrics, reevaluate, reproduce, serve
from flows.world_command import world

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]},
)


@app.callback(
    help="On what kind of input does an image classifier fail, how far is it from failing, and what proves it?"
)
def describe() -> None:
    """Hold the commands; a single one would otherwise lose its name."""


def describe_command(command: Callable[..., None]) -> str:
    """The help of a command: its docstring, with its examples line by line."""
    return (getdoc(command) or "").replace("\n\nExamples:", "\n\n\b\nExamples:")


for each in (reproduce, world, metrics, gates, compare, image, case, evidence, verify, key, reevaluate, serve, doctor):
    app.command(help=describe_command(each))(each)


def main() -> None:
    """Run the command line; a mistake is told in one line and ends with exit code 1."""
    signal.signal(signal.SIGTERM, _end)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file may have any bytes for its name
    prepare_environment()
    try:
        app()
    except FlowError as error:
        say(show(f"error: {error}"))
        sys.exit(1)
    except UnicodeEncodeError as error:  # DVC takes no such name, and says only that it cannot be encoded
        say(f"error: {show(error.object)}: a name that is not UTF-8, and DVC takes no other; rename it")
        sys.exit(1)


def _end(number: int, _frame: FrameType | None) -> None:
    """End by unwinding, so that everything started here is ended too."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
