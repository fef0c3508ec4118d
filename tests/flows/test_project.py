"""A project on disk: one run at a time, files that are whole."""

from pathlib import Path

import pytest

from flows.project import append_line, hold_lock, read_lines, write_atomically


def test_same_process_may_take_it_again(tmp_path: Path) -> None:
    path = tmp_path / "flow.lock"
    with hold_lock(path):
        with hold_lock(path):
            pass
        assert "pid" in path.read_text(), "the inner one must not free it"
    assert path.read_text() == ""


def test_failed_write_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "accepted"
    write_atomically(path, "one\n")
    with pytest.raises(TypeError):
        write_atomically(path, b"bytes")
    assert [entry.name for entry in tmp_path.iterdir()] == ["accepted"]
    assert path.read_text() == "one\n"


def test_log_survives_a_cut_at_every_byte(tmp_path: Path) -> None:
    path, entry = tmp_path / "logs/reevaluate.jsonl", {"flow_run": "calm-fox", "began": "2026-01-02T03:00:00+00:00"}
    append_line(path, entry)
    whole = path.read_bytes()
    assert list(read_lines(path)) == [entry]
    for length in range(len(whole)):
        path.write_bytes(whole + whole[:length])
        append_line(path, entry)
        complete = length == len(whole) - 1  # all but the newline
        assert list(read_lines(path)) == [entry] * (3 if complete else 2)
