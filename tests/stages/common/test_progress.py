"""Progress in a terminal and elsewhere."""

import os
import sys
import termios
from collections.abc import Callable
from threading import Thread

import pytest

from failure_atlas.core import progress
from failure_atlas.core.progress import Progress


def test_elsewhere_lines_are_sparse_and_hold_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Progress("walks", 1000, "walk", done=200) as shown:
        for _ in range(40):  # two walks a second, a line every 15 seconds at most
            now[0] += 1.0
            shown.advance(2)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "walks: 230/1,000 walk, 2.0 walk/s, 385 s left",
        "walks: 260/1,000 walk, 2.0 walk/s, 370 s left",
        "walks: 280/1,000 walk, 2.0 walk/s, 360 s left",
    ]


def stop_halfway(shown: Progress) -> None:
    shown.advance(2)
    raise RuntimeError("stop")


@pytest.mark.parametrize(
    ("total", "done", "work", "left"),
    [(2000, 0, 2000, "0"), (5, 5, 0, "0"), (0, 0, 0, "0"), (5, 2, 0, "?"), (5, 0, 7, "0")],
)
def test_short_work_has_one_line_at_the_end_and_a_failure_none(
    capsys: pytest.CaptureFixture[str], total: int, done: int, work: int, left: str
) -> None:
    with Progress("training", total, "img", done=done) as shown:
        shown.advance(work, "loss 0.5")
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith(f"training: {done + work:,}/{total:,} img, ")
    assert line.endswith(f" img/s, {left} s left, loss 0.5")
    assert not captured.out
    with pytest.raises(RuntimeError, match="stop"), Progress("training", 5, "img") as shown:
        stop_halfway(shown)
    assert not capsys.readouterr().err


def test_in_a_terminal_a_bar_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        with Progress("training", 2000, "img", done=500) as shown:
            shown.advance(500, "loss 0.5")
            shown.advance(1000)

    text = run_in_terminal(monkeypatch, work)
    last = text.replace("\n", "\r").strip("\r").split("\r")[-1]
    assert last.startswith("training: 100%|")
    assert "2.00k/2.00k [" in last
    assert "img/s" in last
    assert "loss 0.5" in last


def run_in_terminal(monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> str:
    """Run some work whose stderr is a pseudo-terminal; what it showed there."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    shown = bytearray()

    def read() -> None:
        try:
            while part := os.read(ours, 4096):
                shown.extend(part)
        except OSError:  # how Linux says that the other end was closed
            pass

    reader = Thread(target=read)
    reader.start()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        work()
    reader.join(timeout=10)
    os.close(ours)
    return shown.decode()
