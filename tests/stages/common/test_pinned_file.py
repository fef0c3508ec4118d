"""Files that params name with their hash."""

import hashlib
from pathlib import Path

import pytest
from pydantic import ValidationError

from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import PinnedFile, check_pinned


def test_the_right_file_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"held")
    assert check_pinned(PinnedFile(path=str(path), sha256=hashlib.sha256(b"held").hexdigest()), "a.b") == path


@pytest.mark.parametrize("content", [b"hel", b"hele", b""])
def test_a_cut_or_altered_file_is_named_with_both_hashes(tmp_path: Path, content: bytes) -> None:
    path, expected = tmp_path / "weights", hashlib.sha256(b"held").hexdigest()
    path.write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    with pytest.raises(StageError, match=rf"weights: expected SHA-256 {expected}, found {found}; .* set a\.b\.sha256"):
        check_pinned(PinnedFile(path=str(path), sha256=expected), "a.b")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"a\.b\.path: no file .*gone, expected SHA-256 0{64}; restore it, or"):
        check_pinned(PinnedFile(path=str(tmp_path / "gone"), sha256="0" * 64), "a.b")


def test_what_is_no_hash_is_refused() -> None:
    with pytest.raises(ValidationError, match="sha256"):
        PinnedFile(path="weights", sha256="abc")
