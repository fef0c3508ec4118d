"""What the lines that `dvc repro` prints tell, beyond its exit code."""

from collections.abc import Sequence

RESTORED = "is cached - skipping run"
NOT_STORED = "failed to transfer"  # DVC goes on and exits with 0 after this one, as on a full disk
_FAILURE = "ERROR: failed to reproduce"
_HINTS = (
    "To track the changes with git",
    "To enable auto staging",
    "git add ",
    "dvc config core.autostage",
    "Use `dvc push`",
    "Generating lock file",
    "Updating lock file",
    "Modifying stage",
    "> ",
    "Running stage",
)


def is_hint(line: str) -> bool:
    """Whether a line is DVC's advice or bookkeeping, of no use to who watches a run."""
    text = line.strip()
    return not text or text.startswith(_HINTS)


def find_error(lines: Sequence[str], code: int) -> str:
    """The one line that says why a stage failed: the stage's own last words, else DVC's.

    lines: all that `dvc repro` printed.  code: its exit code, used if it printed nothing.
    """
    failure = next((index for index, line in enumerate(lines) if line.startswith(_FAILURE)), len(lines))
    spoken = [line.strip() for line in lines[:failure] if not is_hint(line)]
    for line in reversed(spoken):
        if line.lower().startswith("error: "):
            return line[len("error: ") :]
    dvc = lines[failure].removeprefix("ERROR: ").strip() if failure < len(lines) else ""
    if spoken and ", exited with " in dvc:
        return f"{spoken[-1]} (exit code {dvc.rsplit(' ', 1)[1]})"
    return dvc or (spoken[-1] if spoken else f"dvc ended with exit code {code} and no message")


def was_restored(lines: Sequence[str]) -> bool:
    """Whether DVC took the outputs of an earlier run instead of running the stage."""
    return any(RESTORED in line for line in lines)


def find_lost_output(lines: Sequence[str]) -> str:
    """The line that says that an output did not reach the cache; empty if all did."""
    return next((line.strip().removeprefix("ERROR: ") for line in lines if NOT_STORED in line), "")
