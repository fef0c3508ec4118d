"""Archives of traffic signs: what is read, from the folder or a server, its tracks and classes, and each mistake."""

import zipfile

import numpy as np
import pandas as pd
import pytest

from failure_atlas.images import gtsrb
from failure_atlas.images.frame import BadImageError, Frame, frame_image
from failure_atlas.images.gtsrb import SIGNS, TEST, TEST_LIST, TRAINING, fetch_gtsrb, read_gtsrb
from failure_atlas.images.idx import md5
from stages.common.artefacts.images import read_class_names, read_images, read_tracks
from stages.prepare_images.__main__ import main
from tests.refusing import refused
from tests.stages.prepare_images.sign_archives import draw_sign, write_archives
from tests.stages.prepare_images.test_prepare_images import SECTION
from tests.stages.running import Stage, read_metrics

SHOWN = [SIGNS[label] for label in (1, 14, 42)]


@pytest.fixture
def archives(tmp_path, monkeypatch):
    """A function that writes archives, which then are the official ones, and returns what they hold."""

    def write(folder=tmp_path / "signs", **changes):
        pixels, sums = write_archives(folder, **changes)
        monkeypatch.setattr(gtsrb, "MD5", sums)
        monkeypatch.setenv("GTSRB_DIR", str(folder))
        return pixels

    return write


def trust(path, content):
    """Write an archive that then is the official one."""
    path.write_bytes(content)
    gtsrb.MD5[path.name] = md5(content)


@pytest.mark.parametrize("training", TRAINING)
def test_both_archives_of_training_images_are_read_by_class_track_and_frame(archives, tmp_path, training):
    pixels = archives(training=training)
    own = read_gtsrb(tmp_path / "signs")
    assert [image.label.name for image in own.images] == list(pixels)
    for image, held in zip(own.images, pixels.values(), strict=True):
        np.testing.assert_array_equal(image.read(), held)
    learned, shown = own.images[:36], own.images[36:]
    assert [(image.label.split, image.label.class_name) for image in learned] == [
        ("train", name) for name in SHOWN for _ in range(12)
    ]
    assert [image.track for image in learned] == [
        100_000 * label + track for label in (1, 14, 42) for track in range(4) for _ in range(3)
    ]
    assert [(image.label.split, image.label.class_name) for image in shown] == [("test", name) for name in SHOWN] * 3
    assert {image.track for image in shown} == {None}
    assert len(own.class_names) == len(set(SIGNS)) == 43


def test_all_training_images_are_preferred_to_a_part_of_them(archives, tmp_path):
    archives(training=TRAINING[1], tracks=1)
    whole, sums = write_archives(tmp_path / "signs")
    gtsrb.MD5.update(sums | {TRAINING[1]: gtsrb.MD5[TRAINING[1]]})
    assert [image.label.name for image in read_gtsrb(tmp_path / "signs").images] == list(whole)


@pytest.fixture(scope="module")
def stage(request, tmp_path_factory):
    changes = {"source": "gtsrb", "channels": 3, "fit": "stretch"}
    nowhere = tmp_path_factory.mktemp("nowhere")
    return Stage(request, main, "prepare_images", SECTION | changes, own_images=nowhere, downloads=nowhere / "none")


def test_the_stage_frames_them_and_keeps_the_tracks_with_equal_bytes(archives, tmp_path, run, hash_folder, stage):
    copy, _, _ = draw_sign(np.random.default_rng(1), 14)  # of a test image of another class: listed, and kept
    pixels = archives(**{"00001.ppm": copy, "00003_00002.ppm": copy})
    one, two = run("one"), run("two")
    assert hash_folder(one) == hash_folder(two)
    assert not stage.inputs["downloads"].exists()
    store, metrics = one / "images.zarr", read_metrics(one)
    train, test = read_images(store, "train"), read_images(store, "test")
    assert (train.images.shape, test.images.shape) == ((36, 3, 32, 32), (9, 3, 32, 32))
    assert read_class_names(store) == list(SIGNS)
    held = [frame_image(image, Frame(32, 3, "stretch")) for image in pixels.values()]
    np.testing.assert_array_equal(train.images[:10], held[:10])
    np.testing.assert_array_equal(test.images[2:], held[38:])
    assert train.labels.tolist() == [1] * 12 + [14] * 12 + [42] * 12
    assert read_tracks(store)[[0, 2, 3, 35]].tolist() == [100_000, 100_000, 100_001, 4_200_003]
    assert metrics["train_images_per_class"]["stop"] == 12
    assert metrics["images_by_change"] == {"converted_to_grey": 0, "converted_to_colour": 0, "padded": 0, "resized": 45}
    table = pd.read_csv(one / "problems.csv")
    assert (set(table["problem"]), set(table["action"]), len(table)) == ({"conflict"}, {"kept"}, 4)
    assert "test_tracks" not in {path.name for path in store.iterdir()}


def test_some_classes_are_kept_in_the_order_of_the_data(archives, run, refuse):
    archives(tracks=8)
    out = run("some", classes=["end of no overtaking by lorries", "30 km/h limit"])
    store = out / "images.zarr"
    assert read_class_names(store) == ["30 km/h limit", "end of no overtaking by lorries"]
    assert read_images(store, "train").labels.tolist() == [0] * 24 + [1] * 24
    assert set(read_tracks(store) // 100_000) == {1, 42}
    assert read_metrics(out)["test_images"] == 6
    assert pd.read_csv(out / "figures" / "samples.csv")["sample"].tolist() == list(range(0, 48, 2))  # not of one track
    refuse(r"prepare_images\.classes: got 'Stop'; allowed: 20 km/h limit, ", classes=["stop", "Stop"])
    refuse(r"prepare_images\.classes: got \['stop', 'stop'\]; allowed: each class at most once", classes=["stop"] * 2)


def test_of_images_of_many_sizes_none_is_left_at_its_own(refuse):
    refuse(r"fit is pad, but the images of source gtsrb are of 15 to 250 px; set stretch or resize", fit="pad")


def test_an_archive_that_is_missing_another_or_damaged_is_named(archives, tmp_path, refuse):
    archives()
    path = tmp_path / "signs" / TEST
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    refuse(rf"{TEST}: wrong checksum: MD5 is [0-9a-f]*, expected {gtsrb.MD5[TEST]}; the archive is damaged or another")
    (tmp_path / "signs" / TRAINING[0]).rename(path)
    refuse(rf"signs/{TRAINING[0]}: missing; prepare_images.source gtsrb needs {TRAINING[0]} or {TRAINING[1]}, {TEST}")


STRANGE = [
    ({"GT-final_test.csv": None}, rf"{TEST_LIST}: holds no GT-final_test\.csv with Filename and ClassId, .*KeyError"),
    ({"GT-final_test.csv": b"Filename,ClassId\n00000.ppm,1\n"}, r"separated by ';' \(KeyError: 'Filename'\)"),
    ({"GT-final_test.csv": b"Filename;ClassId\n00000.ppm;one\n"}, r"ValueError: invalid literal"),
    ({"GT-final_test.csv": b"Filename;ClassId\n00000.ppm;43\n"}, r"class 43 is out of range; allowed: 0 to 42"),
    ({"00003.ppm": None}, rf"{TRAINING[0]} holds 36 images, {TEST} 8 and {TEST_LIST} classes for 9, which do not fit"),
    ({"classes": (43,)}, r"_Training_Images\.zip holds 0 images"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), STRANGE)
def test_what_does_not_fit_is_told(archives, refuse, changes, message):
    if "classes" in changes:
        changes = changes | {
            "GT-final_test.csv": b"Filename;ClassId\n" + b"".join(b"%05d.ppm;1\n" % i for i in range(3))
        }
    archives(**changes)
    refuse(message)


def test_no_more_is_unpacked_than_the_official_archives_hold(archives, tmp_path, refuse, monkeypatch):
    archives()
    told = rf"{TRAINING[0]}: unpacks to 40 files of [0-9,]* bytes, the largest [0-9,]*; allowed: "
    for name, most in (("MOST_MEMBERS", 39), ("MOST_MEMBER_BYTES", 3000), ("MOST_ARCHIVE_BYTES", 30_000)):
        with monkeypatch.context() as patch:
            patch.setattr(gtsrb, name, most)
            refuse(told + rf".*{most:,}")
    trust(tmp_path / "signs" / TRAINING[0], b"no archive")
    refuse(rf"{TRAINING[0]}: no readable zip archive \(File is not a zip file\); get it again from https://")


def test_an_image_that_cannot_be_read_stops_the_stage_or_is_dropped(archives, tmp_path, run):
    archives(**{"00002.ppm": b"P6 9 9 255 cut", "00000_00001.ppm": b"\x89PNG"})
    told = r"^gtsrb: 4 of 45 images have a problem: 4 unreadable\. First: train image Final_Training/Images/00001/0000"
    refused(told, run)
    assert read_metrics(run(on_problem="drop"))["images_dropped"] == 4
    archives()
    path = tmp_path / "signs" / TEST
    with zipfile.ZipFile(path) as held:
        offset = held.getinfo("GTSRB/Final_Test/Images/00000.ppm").header_offset + 100
    content = bytearray(path.read_bytes())
    content[offset] ^= 255
    trust(path, bytes(content))
    image = next(image for image in read_gtsrb(path.parent).images if image.label.name.endswith("/00000.ppm"))
    with pytest.raises(BadImageError, match=r"^(BadZipFile|error): "):
        image.read()


def test_what_is_not_there_is_fetched_whole_also_after_a_broken_connection(archives, tmp_path, server, monkeypatch):
    held = archives(folder=tmp_path / "served", tracks=8)
    server.contents = {path.name: path.read_bytes() for path in (tmp_path / "served").iterdir()}
    monkeypatch.setattr(gtsrb, "ADDRESS", server.url.removesuffix("file"))
    server.plan = ["cut", "whole", 404]
    downloads = tmp_path / "downloads"
    told = rf"{TEST}: could not be downloaded .*HTTP 404 .*or set GTSRB_DIR to a folder that holds the file"
    refused(told, fetch_gtsrb, downloads)
    assert server.ranges == [None, "bytes=100000-", None]
    server.plan = ["other", "whole"]
    refused(rf"{TEST}: could not be downloaded .*wrong checksum", fetch_gtsrb, downloads)
    assert [path.name for path in (downloads / "gtsrb").iterdir()] == [TRAINING[0]]
    folder = fetch_gtsrb(downloads)
    assert [image.label.name for image in read_gtsrb(folder).images] == list(held)
    asked = len(server.ranges)
    fetch_gtsrb(downloads)
    assert len(server.ranges) == asked
