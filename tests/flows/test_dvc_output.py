"""What is read from DVC's lines."""

import pytest

from flows.console import is_hint
from flows.stage_run import find_error

STAGE_SPOKE = [
    "Running stage 'train':",
    "> python -m stages.train",
    "training: 5/10 img",
    "error: params.yaml: train.lr: got -1; allowed: greater than 0",
    "ERROR: failed to reproduce 'train': failed to run: python -m stages.train, exited with 1",
]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (STAGE_SPOKE, "params.yaml: train.lr: got -1; allowed: greater than 0"),
        (
            [
                "Running stage 'a':",
                "> x",
                "Traceback",
                "ValueError: bad",
                "ERROR: failed to reproduce 'a': failed to run: x, exited with 1",
            ],
            "ValueError: bad (exit code 1)",
        ),
        (
            ["Running stage 'a':", "> x", "ERROR: failed to reproduce 'a': failed to run: x, exited with -9"],
            "failed to reproduce 'a': failed to run: x, exited with -9",
        ),
        (
            ["", "ERROR: failed to reproduce 'a': missing data 'source': raw"],
            "failed to reproduce 'a': missing data 'source': raw",
        ),
        (["ERROR: unexpected error - no space left"], "unexpected error - no space left"),
        ([], "dvc ended with exit code 255 and no message"),
    ],
)
def test_error_is_the_last_word_of_the_stage(lines: list[str], expected: str) -> None:
    assert find_error(lines, 255) == expected


def test_hints_are_not_for_the_terminal() -> None:
    hints = [
        "",
        "\tgit add dvc.lock",
        "To track the changes with git, run:",
        "Updating lock file 'dvc.lock'",
        "> python x",
    ]
    assert all(map(is_hint, hints))
    assert not any(map(is_hint, STAGE_SPOKE[2:]))
