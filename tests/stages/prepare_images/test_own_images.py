"""The three ways to keep images of one's own: what is read, and each mistake."""

import gzip
import os
import re
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from failure_atlas.images.frame import BadImageError, Frame
from failure_atlas.images.idx import read_mnist_format
from failure_atlas.images.image_folder import natural_order, read_image_folder, read_picture
from failure_atlas.images.npz import read_npz
from failure_atlas.images.own_images import check_class_names, frame_own, name_classes
from tests.refusing import refused
from tests.stages.prepare_images.idx_files import write_source

RANDOM = np.random.default_rng(7)
COLOUR = RANDOM.integers(0, 256, (6, 20, 30, 3), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def read_all(own):
    return [(image.label.split, image.label.class_name, image.read()) for image in own.images]


def test_npz_holds_what_was_saved(tmp_path):
    np.savez(tmp_path / "images.npz", images=COLOUR, labels=LABELS, class_names=np.array(["x", "y/z", "w w"]))
    own = read_npz(tmp_path, None)
    assert own.class_names == ("x", "y/z", "w w")
    assert not own.from_float
    assert own.images[4].label.name == "images.npz:images[4]"
    for (split, name, pixels), image, label in zip(read_all(own), COLOUR, LABELS, strict=True):
        assert (split, name) == ("", own.class_names[label])
        np.testing.assert_array_equal(pixels, image)
    assert read_npz(tmp_path, ["p", "q", "r"]).class_names == ("p", "q", "r")


def test_npz_with_a_split_in_one_file_or_in_two(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    np.savez(
        one / "images.npz",
        train_images=COLOUR[:4], train_labels=LABELS[:4] + 5, test_images=COLOUR[4:], test_labels=LABELS[4:] + 5,
    )  # fmt: skip
    np.savez(two / "train.npz", images=COLOUR[:4], labels=LABELS[:4] + 5)
    np.savez(two / "test.npz", images=COLOUR[4:], labels=LABELS[4:] + 5)
    first, second = read_npz(one, None), read_npz(two, None)
    assert first.class_names == second.class_names == ("5", "6", "7")
    assert [image.label.split for image in first.images] == ["train"] * 4 + ["test"] * 2
    for (a, b, x), (c, d, y) in zip(read_all(first), read_all(second), strict=True):
        assert (a, b) == (c, d)
        np.testing.assert_array_equal(x, y)


def test_npz_floats_are_rounded_to_bytes(tmp_path):
    levels = np.linspace(0, 1, 256).reshape(1, 16, 16)
    np.savez(tmp_path / "images.npz", images=np.concatenate([levels, levels]).astype(np.float32), labels=np.arange(2))
    own = read_npz(tmp_path, None)
    assert own.from_float
    np.testing.assert_array_equal(own.images[1].read().ravel(), np.arange(256))


NPZ_MISTAKES = [
    ({"images": COLOUR}, "holds no array 'labels'; it holds: images; needed: images and labels, or train_images"),
    ({"x": COLOUR}, "holds no array 'train_images'; it holds: x"),
    ({"images": COLOUR[0, 0], "labels": LABELS}, r"shape is \[30, 3\]; allowed: \[N, H, W\]"),
    ({"images": COLOUR.transpose(0, 3, 1, 2), "labels": LABELS}, r"channels last \(from \[N, C, H, W\]: "),
    ({"images": COLOUR, "labels": LABELS[:5]}, r"labels has shape \[5\]; needed: \[6\]"),
    ({"images": COLOUR, "labels": LABELS / 1}, "labels is of type float64; allowed: integers"),
    ({"images": COLOUR.astype(int), "labels": LABELS}, r"is of type int64; give uint8 in 0 to 255, or floats"),
    ({"images": COLOUR / 1, "labels": LABELS}, r"holds values from 0 to 255; give uint8"),
    ({"images": COLOUR * np.nan, "labels": LABELS}, r"holds values from nan to nan; give uint8"),
    ({"images": COLOUR[:0], "labels": LABELS[:0]}, "holds no images"),
    ({"images": COLOUR, "labels": LABELS.astype(np.uint64) + 2**63}, "labels holds 9[0-9]+; allowed: integers "),
    ({"images": COLOUR, "labels": LABELS * 0}, r"number of classes is 1 \(0\); allowed: 2 to 256"),
    ({"images": COLOUR, "labels": LABELS, "class_names": np.array(["a", "b"])}, "label 2 has no name: 2 cla"),
    ({"images": COLOUR, "labels": LABELS, "class_names": np.arange(3)}, "class_names is int64 of shape"),
    ({"images": COLOUR, "labels": LABELS.astype(object)}, "no readable .npz file .*without arrays of obj"),
    ({"images": COLOUR, "labels": LABELS - 1}, "label -1 is negative, which often marks images without a class"),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "message"), NPZ_MISTAKES)
def test_npz_mistakes(tmp_path, arrays, message):
    np.savez(tmp_path / "images.npz", **arrays)
    refused(message, read_npz, tmp_path, None)


def test_npz_damaged_too_large_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "images.npz"

    refused(r"holds none of them; prepare_images.source npz needs images.npz alone, or", read_npz, tmp_path, None)
    np.save(tmp_path / "array.npy", COLOUR)
    (tmp_path / "array.npy").rename(path)
    refused("holds one array without a name", read_npz, tmp_path, None)
    np.savez_compressed(path, images=COLOUR, labels=LABELS)
    path.write_bytes(path.read_bytes()[:-30])
    refused("no readable", read_npz, tmp_path, None)
    with zipfile.ZipFile(path, "w") as packed, packed.open("images.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (10**13,)})
    refused(r"no readable \.npz file of plain arrays \(Unable to allocate", read_npz, tmp_path, None)
    monkeypatch.setattr("failure_atlas.images.npz.MOST_BYTES", 10_000_000)
    np.savez_compressed(path, images=np.zeros((10, 1000, 1001), np.uint8), labels=np.zeros(10))
    refused(r"images\.npz: unpacks to 10,010,336 bytes; allowed: at most 10,000,000", read_npz, tmp_path, None)
    (tmp_path / "train.npz").touch()
    refused(r"holds images\.npz, train\.npz; ", read_npz, tmp_path, None)
    path.unlink()
    for name, names in (("train", ["a", "b", "c"]), ("test", ["a", "c", "b"])):
        np.savez(tmp_path / f"{name}.npz", images=COLOUR, labels=LABELS, class_names=np.array(names))
    refused(r"test.npz: its class_names differ from those in train.npz", read_npz, tmp_path, None)


def save_folder(folder, classes, suffix="png"):
    for name, rows in classes.items():
        (folder / name).mkdir(parents=True)
        for row in rows:
            Image.fromarray(COLOUR[row]).save(folder / name / f"img{row + 8}.{suffix}")


def test_folders_are_classes_in_natural_order(tmp_path):
    save_folder(tmp_path / "usual", {"train": [0], "bus": [1]})  # a class may be called train
    assert read_image_folder(tmp_path / "usual").class_names == ("bus", "train")
    shutil.rmtree(tmp_path / "usual")
    save_folder(tmp_path, {"class 10": [0, 1, 2], "class 9": [3], ".hidden": [4]})
    for name in ("README.md", *(f"class 9/{name}" for name in (".DS_Store", "Thumbs.db", "Desktop.ini", "thumbs.db"))):
        (tmp_path / name).write_text("x")
    (tmp_path / "class 9" / "@eaDir").mkdir()
    own = read_image_folder(tmp_path)
    assert own.class_names == ("class 9", "class 10")
    assert [image.label.name for image in own.images] == [
        "class 9/img11.png", "class 10/img8.png", "class 10/img9.png", "class 10/img10.png",
    ]  # fmt: skip
    assert {image.label.split for image in own.images} == {""}
    np.testing.assert_array_equal(own.images[2].read(), COLOUR[1])


SPLITS = ("Train Test ", "TRAIN testing Validation", "training test dev", "train test valid")


@pytest.mark.parametrize(("train", "test", "val"), [names.split(" ") for names in SPLITS])
@pytest.mark.parametrize("around", ["", "archive/digits"])
def test_the_usual_names_of_splits_are_known_and_val_is_left_out(tmp_path, train, test, val, around):
    for name, rows in ((train, [0, 1]), (test, [2, 3]), (val, [4, 5])):
        if name:
            save_folder(tmp_path / around / name, {"a": rows[:1], "b": rows[1:]})
    (tmp_path / "__MACOSX" / "archive").mkdir(parents=True)
    Image.fromarray(COLOUR[0]).save(tmp_path / around / "stray.png")
    own = read_image_folder(tmp_path)
    assert own.class_names == ("a", "b")
    place = tmp_path / around
    assert [(image.label.split, tmp_path / image.label.name) for image in own.images[1:]] == [
        ("train", place / train / "a/img8.png"), ("train", place / train / "b/img9.png"),
        ("test", place / test / "a/img10.png"), ("test", place / test / "b/img11.png"),
    ]  # fmt: skip
    assert own.images[0].label.name == (Path(around) / "stray.png").as_posix()
    told = f"{val} (2 files) is left out, neither learned from nor tested on; move its images to train or test to use"
    assert own.warnings == ((f"{told} them",) if val else ())
    save_folder(place / test, {"c": [2]})
    refused(rf"{test}/c: no such class among those of {train} \(a, b\)", read_image_folder, tmp_path)


LAYOUTS = [
    (["train/a", "Training/a", "test/a"], r"holds Training, test, train, which is no split .*; read are CLASS/\*"),
    (["train/a", "test/a", "extra"], r"holds extra, test, train, which is no split of train and test; move what"),
    (["train/a", "val/a"], r"holds train, val but not test; add it, rename val to test, or move the class folders"),
    (["val/a"], r"holds val but not train and test; add it, or move the class folders up"),
    (["train", "test"], r"train: number of classes is none; allowed: 2 to 256, .*found: 0 folders, 1 files"),
    (["a/train", "a/test", "b/train", "b/test"], r"/a: holds no file but the folders test, train; read are CLASS/"),
    (["a"], r"number of classes is 1 \(a\); allowed: 2 to 256, a folder for each \(found: 1 folders, 0 files\)"),
]  # fmt: skip


@pytest.mark.parametrize(("folders", "message"), LAYOUTS)
def test_other_layouts_are_told_with_what_was_found_and_what_is_read(tmp_path, folders, message):
    for name in folders:
        save_folder(tmp_path, {name: [0]})
    refused(message, read_image_folder, tmp_path)


@pytest.mark.parametrize("beside", ["val_images", "valid.npz"])
def test_npz_says_what_it_leaves_out(tmp_path, beside):
    arrays = {"train_images": COLOUR, "train_labels": LABELS, "test_images": COLOUR, "test_labels": LABELS}
    if beside == "valid.npz":
        np.savez(tmp_path / beside, images=COLOUR, labels=LABELS)
    else:
        arrays[beside] = COLOUR
    np.savez(tmp_path / "images.npz", **arrays)
    (warning,) = read_npz(tmp_path, None).warnings
    assert re.search(f"{beside} is left out, neither learned from nor tested on", warning)


RANGES = [
    (COLOUR[..., 0] / 255 * 4095, "png", "0 to 16"),
    (COLOUR[..., 0] / 255 * 65535, "png", None),
    (COLOUR // 16, "npz", "0 to 15"),
    (COLOUR // 16 + 200, "npz", "200 to 215"),
    ((COLOUR / 255 + 0.5).astype(np.uint8), "npz", "0 to 1"),
    (COLOUR / 255**2, "npz", "0 to 1"),
    (COLOUR // 4, "npz", None),
]


@pytest.mark.parametrize(("values", "kind", "range_told"), RANGES)
def test_a_set_that_uses_little_of_its_range_is_told(tmp_path, values, kind, range_told):
    if kind == "png":
        for number, image in enumerate(values):
            (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
            Image.fromarray(image.astype(np.uint16)).save(tmp_path / "ab"[number % 2] / f"{number}.png")
        own = read_image_folder(tmp_path)
    else:
        np.savez(tmp_path / "images.npz", images=values, labels=LABELS)
        own = read_npz(tmp_path, None)
    warnings = frame_own(own, Frame(32, 1, "resize"))[0].warnings
    assert [range_told in warning for warning in warnings] == ([True] if range_told else [])
    assert not warnings or "12-bit values in a 16-bit file: times 16; numbers from 0 to 1: times 255" in warnings[0]


@pytest.mark.parametrize("tops", [("",), ("train", "test")])
def test_pictures_beside_the_class_folders_are_told(tmp_path, tops):
    for top in tops:
        save_folder(tmp_path / top, {"a": [0, 2], "b": [1]})
        (tmp_path / top / "NOTES.txt").write_text("x")
        (tmp_path / top / "a/img8.png").rename(tmp_path / top / "Lost.PNG")
    framed, problems, _ = frame_own(read_image_folder(tmp_path), Frame(32, 1, "resize"))
    assert {label.class_name for label in framed.labels} == {"a", "b"}
    told = [(problem.image.name, problem.kind) for problem in problems if problem.kind == "misplaced"]
    assert told == [((Path(top) / "Lost.PNG").as_posix(), "misplaced") for top in sorted(tops)]


def test_folder_mistakes(tmp_path):
    refused("number of classes is none; allowed: 2 to 256", read_image_folder, tmp_path)
    for name, kind in ((b"a/caf\xe9.png", r"\.png"), (b"caf\xe9/1.png", "")):
        path = tmp_path / os.fsdecode(name)
        path.parent.mkdir()
        path.touch()
        refused(rf"/caf\\xe9{kind}: a name that is not UTF-8, and DVC takes no other", read_image_folder, tmp_path)
        shutil.rmtree(path.parent)
    (tmp_path / "test").mkdir()
    refused("holds test but not train; add it, or move the class folders up", read_image_folder, tmp_path)
    save_folder(tmp_path, {"a": [0]})
    refused("test: holds no file; put the images of the class there, or remove the fold", read_image_folder, tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    refused("link: a link to a folder, into which DVC does not look", read_image_folder, tmp_path)


def test_natural_order():
    names = ["b", "a10", "a9", "a", "10", "9", "09", "a9b2", "a9b10", "\N{SUPERSCRIPT TWO}"]
    expected = ["09", "9", "10", "a", "a9", "a9b2", "a9b10", "a10", "b", "\N{SUPERSCRIPT TWO}"]
    assert sorted(names, key=natural_order) == expected


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "jpg", "ppm"])
def test_pictures_of_each_format(tmp_path, suffix):
    slope = np.broadcast_to(np.arange(0, 240, 8, np.uint8)[None, :, None], (20, 30, 3))
    options = {"lossless": True} if suffix == "webp" else {"quality": 95} if suffix == "jpg" else {}
    Image.fromarray(np.ascontiguousarray(slope)).save(tmp_path / f"x.{suffix}", **options)
    read = read_picture(tmp_path / f"x.{suffix}").astype(int)
    assert read.shape == (20, 30, 3)
    assert np.abs(read - slope).max() <= (3 if suffix == "jpg" else 0)


def test_modes_of_pictures(tmp_path):
    grey = COLOUR[0, :, :, 0]
    path = tmp_path / "x.png"

    def again(picture, **options):
        picture.save(path, **options)
        return read_picture(path)

    np.testing.assert_array_equal(again(Image.fromarray(grey)), grey)
    np.testing.assert_array_equal(again(Image.fromarray(grey.astype(np.uint16) * 257)), grey)
    np.testing.assert_array_equal(again(Image.fromarray(grey > 100)), (grey > 100) * 255)
    assert again(Image.fromarray(COLOUR[0]).quantize(8)).shape == (20, 30, 3)
    clear = np.dstack([COLOUR[0], np.full((20, 30), 255, np.uint8)])
    clear[:10, :, 3] = 0
    read = again(Image.fromarray(clear))
    assert not read[:10].any()
    np.testing.assert_array_equal(read[10:], COLOUR[0][10:])
    assert again(Image.fromarray(clear).convert("LA")).shape == (20, 30)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    np.testing.assert_array_equal(again(Image.fromarray(grey), exif=exif), np.rot90(grey, -1))


def test_netpbm_is_read_with_any_number_of_levels_and_without_changed_line_ends(tmp_path):
    grey = COLOUR[0, :, :, 0]
    path = tmp_path / "x.pgm"
    path.write_bytes(b"P5\n30 20\n65535\n" + (grey.astype(">u2") * 257).tobytes())
    np.testing.assert_array_equal(read_picture(path), grey)
    path.write_bytes(b"P5 30 20 4095 " + (np.arange(600) * 4095 // 599).astype(">u2").tobytes())
    assert np.abs(read_picture(path).ravel() - np.linspace(0, 255, 600)).max() < 0.6
    path.write_bytes(b"P5\r30 20\r255\r" + grey.tobytes())  # one byte behind 255, as it has to be
    np.testing.assert_array_equal(read_picture(path), grey)
    path.write_bytes(b"P2\r\n2 2\r\n255\r\n1 2\r\n3 4\r\n")
    assert read_picture(path).tolist() == [[1, 2], [3, 4]]
    path = tmp_path / "x.ppm"
    Image.fromarray(COLOUR[0]).save(path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n", 3))
    with pytest.raises(BadImageError, match="its line ends are CR LF, as git or FTP write them into text"):
        read_picture(path)


def png_header(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + b"\0\0\0\0IDAT"


def test_pictures_that_cannot_be_read(tmp_path):
    picture = Image.fromarray(COLOUR[0])
    picture.save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    picture.save(tmp_path / "really_a.png", format="GIF")
    picture.save(tmp_path / "moving.webp", save_all=True, append_images=[Image.fromarray(COLOUR[1])], lossless=True)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "dangling.png").symlink_to(tmp_path / "gone.png")
    flipped = content[:60] + bytes([content[60] ^ 255]) + content[61:]
    for name, held, words in (
        ("cut.png", content[:-200], "OSError"), ("flipped.png", flipped, "Error"), ("nothing.jpg", b"", "no bytes"),
        ("text.png", b"no image", "UnidentifiedImageError"), ("notes.txt", b"notes", "no image file"),
        ("bomb.png", png_header(60_000, 60_000), "DecompressionBomb"),
        ("large.png", png_header(9_000, 8_000), "9000 x 8000 px"), ("folder.png", None, "no image file"),
        ("dangling.png", None, "no image file"), ("really_a.png", None, "Unid"), ("moving.webp", None, "2 pictures"),
    ):  # fmt: skip
        if held is not None:
            (tmp_path / name).write_bytes(held)
        with pytest.raises(BadImageError, match=words) as caught:
            read_picture(tmp_path / name)
        assert caught.value.kind == ("empty" if held == b"" else "unreadable"), name


def write_idx(folder, prefix="", tests="t10k", **changes):
    arrays = {
        f"{prefix}train-images-idx3-ubyte": COLOUR[:4, :, :, 0], f"{prefix}train-labels-idx1-ubyte": LABELS[:4],
        f"{prefix}{tests}-images-idx3-ubyte": COLOUR[4:, :, :, 0], f"{prefix}{tests}-labels-idx1-ubyte": LABELS[4:],
    }  # fmt: skip
    arrays |= {name: array for name, array in changes.items() if array is not None}
    write_source(folder, {name: array.astype(np.uint8, "C") for name, array in arrays.items()}, packed=False)


@pytest.mark.parametrize(("prefix", "tests"), [("", "t10k"), ("emnist-letters-", "test")])
def test_mnist_format_holds_what_was_written(tmp_path, prefix, tests):
    write_idx(tmp_path, prefix, tests)
    packed = tmp_path / f"{prefix}train-images-idx3-ubyte"
    (tmp_path / f"{packed.name}.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    (tmp_path / f"{packed.name}.gz.dvc").write_text("outs")
    own = read_mnist_format(tmp_path, ["a", "b", "c"])
    assert [image.label.split for image in own.images] == ["train"] * 4 + ["test"] * 2
    assert [name for _, name, _ in read_all(own)] == list("abcabc")
    np.testing.assert_array_equal(own.images[5].read(), COLOUR[5, :, :, 0])
    assert read_mnist_format(tmp_path, None).class_names == ("0", "1", "2")


IDX_MISTAKES = [
    ("train-labels-idx1-ubyte", np.zeros(3), r"train-labels-idx1-ubyte has shape \[3\]; needed: \[4\]"),
    ("t10k-labels-idx1-ubyte", np.array([-1, 0]).astype(np.uint8), "label 255 is what -1, which often marks"),
    ("t10k-labels-idx1-ubyte", LABELS[1:3], r"label 2 has no name: 2 class names .*prepare_images.class_names"),
    ("other-test-images", None, "t10k-images or test-images, found: other-test-images, t10k-images-idx3-ubyte;"),
    ("train-images-idx3-ubyte", None, "needed is one file whose name holds train-images, found: none"),
]


@pytest.mark.parametrize(("name", "array", "message"), IDX_MISTAKES)
def test_mnist_format_files_that_do_not_fit(tmp_path, name, array, message):
    write_idx(tmp_path, **{name: array})
    if array is None:  # one too many, or none
        other = tmp_path / name
        other.touch() if name.startswith("other") else other.unlink()
    refused(message, read_mnist_format, tmp_path, ["a", "b"] if "2 class names" in message else None)


WRONG_NAMES = [
    (["a"], r"number of classes is 1 \(a\); allowed: 2 to 256"),
    ([str(i) for i in range(257)], r"number of classes is 257 \(0, 1, 2\)"),
    (["a", ""], "class name ''; allowed: 1 to 60 printable characters"),
    (["a", " b"], "class name ' b'"),
    (["a", "b\nc"], r"class name 'b\\nc'"),
    (["a", "b" * 61], "class name 'bbb"),
    (["a", "b", "a"], "class name 'a' occurs twice"),
    (["a", "all"], "class name 'all' stands for no single class in tables; rename the class, for inst"),
    (["a", "NA"], "class name 'NA' is read from a table as an empty cell; rename the class, for"),
]


@pytest.mark.parametrize(("names", "message"), WRONG_NAMES)
def test_wrong_class_names(names, message):
    refused(f"^here: {message}", check_class_names, names, "here")


def test_classes_are_called_as_their_labels_or_as_wanted():
    check_class_names([str(i) for i in range(256)], "here")
    assert name_classes([7, 3], None, "here") == {3: "3", 7: "7"}
    assert name_classes([0, 2], ["a", "b", "c"], "here") == {0: "a", 1: "b", 2: "c"}
    refused("label -1 has no name", name_classes, [-1, 0], ["a", "b"], "here")


def test_framing_lists_problems_counts_changes_and_leaves_the_rest(tmp_path):
    images = np.concatenate([COLOUR, COLOUR[:1], np.zeros((1, 20, 30, 3), np.uint8)])
    np.savez(tmp_path / "images.npz", images=images, labels=np.r_[LABELS, 0, 1])
    framed, problems, changes = frame_own(read_npz(tmp_path, None), Frame(32, 1, "pad"))
    assert [(problem.image.name, problem.kind) for problem in problems] == [
        ("images.npz:images[7]", "empty"), ("images.npz:images[6]", "duplicate"),
    ]  # fmt: skip
    assert changes == {"converted_to_grey": 7, "converted_to_colour": 0, "padded": 7, "resized": 0}
    whole = framed.select("")
    assert (whole.images.shape, whole.labels.tolist()) == ((6, 1, 32, 32), LABELS.tolist())
    assert framed.select("train").images.shape == (0, 1, 32, 32)
