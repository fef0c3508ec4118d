"""IDX bytes, sources and their splits, downloads from a local server, and each mistake."""

import gzip
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_atlas.core.errors import StageError
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images import sources
from failure_atlas.images.download import download
from failure_atlas.images.idx import md5, parse_idx, unpack
from failure_atlas.images.image_set import ImageSet
from tests.refusing import refused
from tests.stages.prepare_images.conftest import CONTENT
from tests.stages.prepare_images.idx_files import idx_bytes, small_set, write_source


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_parse_returns_what_was_written(shape):
    array = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    np.testing.assert_array_equal(parse_idx(idx_bytes(array), "file"), array)


def test_gzip_is_told_by_content_and_cut_or_damaged_is_named(tmp_path):
    path = tmp_path / "images.gz"
    for content in (b"content", gzip.compress(b"content")):
        path.write_bytes(content)
        assert unpack(path) == b"content"
    whole = gzip.compress(np.random.default_rng(2).bytes(1000))
    for content in (whole[:5], whole[:30], whole[:-1], whole[:500] + bytes([whole[500] ^ 1]) + whole[501:]):
        path.write_bytes(content)
        refused(r"images\.gz: gzip file is cut or damaged .*get it again", unpack, path)


@pytest.mark.parametrize("head", [b"no IDX file", b"\0\0\x08\1\0\0\0\x10"])
def test_no_more_is_unpacked_than_the_header_says(tmp_path, head):
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(head + bytes(50_000_000)))
    assert len(unpack(path)) == ((1 << 20) + 1 if head[0] else 1024)
    path.write_bytes(b"\0\0\x08\2" + struct.pack(">II", 1 << 20, 1 << 20))
    told = r"bomb: its header says 1,099,511,627,788 bytes; allowed: at most 4,294,967,296"
    refused(told, unpack, path)


WRONG_CONTENT = [
    (b"", "begins with nothing"),
    (b"\0\0\x08\3" + b"\x80\0\0\0" * 3, "header says 2147483648 x 2147483648 x 2147483648 = 9903520314283042199"),
    (b"\x89PNG....", "begins with 89504e47"),
    (b"\0\0\x0d\1\0\0\0\1\0\0\0\0", "no IDX file of unsigned bytes"),
    (b"\0\0\x08\3\0\0\0\1", "cut inside the header: 8 bytes, 16 needed"),
    (idx_bytes(np.zeros((2, 3), np.uint8))[:-1], "count mismatch: header says 2 x 3 = 6 bytes, 5 follow"),
    (idx_bytes(np.zeros((2, 3), np.uint8)) + b"\0", "count mismatch: header says 2 x 3 = 6 bytes, more follow"),
]


@pytest.mark.parametrize(("content", "message"), WRONG_CONTENT)
def test_wrong_content_is_named(content, message):
    refused(f"^file: .*{message}", parse_idx, content, "file")


@pytest.mark.parametrize("packed", [True, False])
def test_idx_folder_holds_what_was_written(tmp_path, packed):
    arrays = small_set()
    train, test = sources.load_idx(write_source(tmp_path, arrays, packed=packed), tmp_path)
    np.testing.assert_array_equal(train.images, arrays["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(test.labels, arrays["t10k-labels-idx1-ubyte"])
    assert train.labels.dtype == np.int64


def test_a_file_that_is_missing_or_another_is_named_before_its_content_is_believed(tmp_path, monkeypatch):
    source, path = write_source(tmp_path, small_set(), packed=False), tmp_path / "train-labels-idx1-ubyte"
    whole = path.read_bytes()

    path.write_bytes(b"damaged")
    told = f"train-labels-idx1-ubyte: wrong checksum: .* {md5(b'damaged')}, expected {md5(whole)}"
    refused(told, sources.load_idx, source, tmp_path)
    path.unlink()
    told = r"train-labels-idx1-ubyte: missing, and so is train-labels-idx1-ubyte\.gz"
    refused(told, sources.load_idx, source, tmp_path)
    path.write_bytes(whole)
    monkeypatch.setitem(sources.KNOWN_FILES, md5(whole), "other train-labels-idx1-ubyte")
    told = "it is other train-labels-idx1-ubyte, needed: small train-labels-idx1-ubyte"
    refused(told, sources.load_idx, source, tmp_path)


def test_labels_that_do_not_fit_are_named(tmp_path):
    for name, labels, message in (
        ("train", [0] * 6, r"train-labels-idx1-ubyte has shape \[6\]; needed: \[7\]"),
        ("t10k", [0, 3, 1], "label 3 is out of range; allowed: 0 to 2"),
    ):
        arrays = small_set() | {f"{name}-labels-idx1-ubyte": np.array(labels, np.uint8)}
        refused(message, sources.load_idx, write_source(tmp_path, arrays, packed=True), tmp_path)


def test_only_missing_files_are_fetched_and_their_content_is_checked(tmp_path):
    server = tmp_path / "server"
    source = write_source(server, small_set(), packed=True)
    source = replace(source, mirrors=("http://one/", "http://two/"))
    asked = []

    def fetch(urls, target, check):
        asked.append(list(urls))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((server / target.name).read_bytes())
        check(target)
        bad = tmp_path / "bad.gz"
        bad.write_bytes(gzip.compress(idx_bytes(np.zeros(2, np.uint8))))
        refused(r"wrong checksum", check, bad)

    downloads = tmp_path / "downloads"
    folder = sources.fetch_idx(source, downloads, fetch)
    assert folder == downloads / "small"
    assert asked[0] == ["http://one/train-images-idx3-ubyte.gz", "http://two/train-images-idx3-ubyte.gz"]
    assert len(asked) == 4
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    sources.fetch_idx(source, downloads, fetch)
    assert len(asked) == 5
    assert len(sources.load_idx(source, folder)[0].labels) == 7


def test_split_is_stratified_whole_and_shuffled():
    labels = np.repeat(np.arange(4), [10, 20, 30, 1])
    whole = ImageSet(np.arange(61, dtype=np.uint8).reshape(-1, 1, 1), labels)
    train, test = sources.split_by_class(whole, 0.2, numpy_stream(1, "test"))
    assert np.bincount(test.labels).tolist() == [2, 4, 6]
    assert sorted([*train.images.ravel(), *test.images.ravel()]) == list(range(61))
    for part in (train, test):
        np.testing.assert_array_equal(labels[part.images.ravel()], part.labels)
        assert np.any(np.diff(part.labels) < 0)  # sorted by class before
    again, _ = sources.split_by_class(whole, 0.2, numpy_stream(1, "test"))
    other, _ = sources.split_by_class(whole, 0.2, numpy_stream(2, "test"))
    np.testing.assert_array_equal(again.images, train.images)
    assert not np.array_equal(other.images, train.images)


def test_mnist_5k_is_what_the_checksum_says():
    train, test = sources.load_mnist_5k(seed=1, test_fraction=0.2)
    assert (np.bincount(train.labels).tolist(), np.bincount(test.labels).tolist()) == ([400] * 10, [100] * 10)
    assert len({image.tobytes() for image in np.concatenate([train.images, test.images])}) == 5000


def test_the_images_of_mnist_5k_are_left_out_and_no_other():
    known = sources.load_mnist_5k(seed=1, test_fraction=0.2)[0]
    one_pixel_off = known.images[:3].copy()
    one_pixel_off[:, 0, 0] ^= 1
    mixed = ImageSet(np.concatenate([known.images[:5], one_pixel_off]), np.r_[known.labels[:5], [7, 8, 9]])
    left = sources.drop_mnist_5k(mixed)
    np.testing.assert_array_equal(left.images, one_pixel_off)
    assert left.labels.tolist() == [7, 8, 9]


def test_the_package_of_the_operating_system_is_found_and_named(tmp_path):
    source = replace(write_source(tmp_path / "small", small_set(), packed=True), package="dataset-small")
    assert sources.find_package(source, tmp_path) == tmp_path / "small"
    assert sources.find_package(replace(source, package=""), tmp_path) is None
    (tmp_path / "small" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert sources.find_package(source, tmp_path) is None
    hint = r"on Debian the package dataset-small holds the files \(in /usr/share/datasets/small, where"
    refused(rf"t10k-labels-idx1-ubyte: missing, .*{hint}", sources.load_idx, source, tmp_path / "small")

    def fail(*_):
        raise StageError("no connection")

    refused(rf"no connection; {hint}", sources.fetch_idx, source, tmp_path / "downloads", fail)


def check(path):
    if path.read_bytes() != CONTENT:
        raise StageError("wrong content")


def fetch(server, target, urls=None, attempts=5):
    download(urls or [server.url], target, check, attempts=attempts, timeout_seconds=5, pause_seconds=0)


PLANS = [
    (["whole"], [None]),
    (["cut", "cut", 503, "whole"], [None, "bytes=100000-", "bytes=200000-", "bytes=200000-"]),
    (["cut", "no ranges"], [None, "bytes=100000-"]),
    (["cut", "other", "whole"], [None, "bytes=100000-", None]),  # pieces that do not fit: from the start
]


@pytest.mark.parametrize(("plan", "ranges"), PLANS)
def test_the_file_is_whole_whatever_the_connection_does(server, tmp_path, plan, ranges):
    server.plan = plan
    fetch(server, tmp_path / "new" / "file")
    assert (tmp_path / "new" / "file").read_bytes() == CONTENT
    assert server.ranges == ranges
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


@pytest.mark.parametrize(("more", "ranges"), [(b"", [None, "bytes=100000-"]), (CONTENT, [None, "bytes=400000-", None])])
def test_next_run_goes_on_with_what_the_last_one_left_unless_it_is_too_long(server, tmp_path, more, ranges):
    server.plan = ["cut"]
    told = r"file: could not be downloaded .*100,000 of 300,000 bytes.*MNIST_DIR"
    refused(told, fetch, server, tmp_path / "file", attempts=1)
    (part,) = tmp_path.iterdir()
    part.write_bytes(part.read_bytes() + more)
    server.plan = ["whole"]
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == ranges


def test_the_second_mirror_serves_what_the_first_lacks_and_an_error_lists_each(server, tmp_path):
    target, urls = tmp_path / "file", [server.url, server.url + "2"]
    server.plan = [404, "other"]
    refused(r"file: HTTP 404 .*; .*file2: wrong content", fetch, server, target, urls)
    assert list(tmp_path.iterdir()) == []
    server.plan = [404, "whole"]
    fetch(server, target, urls)
    assert target.read_bytes() == CONTENT
    server.socket.close()
    refused("refused", fetch, server, target, attempts=2)
