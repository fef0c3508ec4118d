"""IDX bytes: round trip of any shape, and each way in which a file can be wrong."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_atlas.core.errors import StageError
from failure_atlas.images.idx import check_md5, parse_idx, unpack
from tests.stages.prepare_images.idx_files import idx_bytes


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_parse_returns_what_was_written(shape):
    array = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    np.testing.assert_array_equal(parse_idx(idx_bytes(array), "file"), array)


def test_gzip_is_told_by_content_and_not_by_name(tmp_path):
    plain, packed = tmp_path / "a.gz", tmp_path / "b"
    plain.write_bytes(b"content")
    packed.write_bytes(gzip.compress(b"content"))
    assert unpack(plain) == unpack(packed) == b"content"


@pytest.mark.parametrize("keep", [5, 30, -1])
def test_cut_gzip_is_named(tmp_path, keep):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(np.random.default_rng(2).bytes(1000))[:keep])
    with pytest.raises(StageError, match=r"images\.gz: gzip file is cut or damaged .*get it again"):
        unpack(path)


def test_damaged_gzip_is_named(tmp_path):
    path = tmp_path / "images.gz"
    content = bytearray(gzip.compress(np.random.default_rng(2).bytes(1000)))
    content[500] ^= 1
    path.write_bytes(content)
    with pytest.raises(StageError, match="cut or damaged"):
        unpack(path)


def test_wrong_checksum_shows_expected_and_found():
    with pytest.raises(StageError, match=r"x: wrong checksum: .* is 900150983cd24fb0d6963f7d28e17f72, expected 00ff;"):
        check_md5(b"abc", "00ff", "x")
    check_md5(b"abc", "900150983cd24fb0d6963f7d28e17f72", "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\0\0\x08\3" + b"\x80\0\0\0" * 3, "header says 2147483648 x 2147483648 x 2147483648 = 9903520314283042199"),
        (b"\x89PNG....", "begins with 89504e47"),
        (b"\0\0\x0d\1\0\0\0\1\0\0\0\0", "no IDX file of unsigned bytes"),
        (b"\0\0\x08\3\0\0\0\1", "cut inside the header: 8 bytes, 16 needed"),
        (idx_bytes(np.zeros((2, 3), np.uint8))[:-1], "count mismatch: header says 2 x 3 = 6 bytes, 5 follow"),
        (idx_bytes(np.zeros((2, 3), np.uint8)) + b"\0", "count mismatch: header says 2 x 3 = 6 bytes, 7 follow"),
    ],
)
def test_wrong_content_is_named(content, message):
    with pytest.raises(StageError, match=f"^file: .*{message}"):
        parse_idx(content, "file")
