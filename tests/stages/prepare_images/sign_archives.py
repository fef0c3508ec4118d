"""Archives of the official form of GTSRB, of signs that the tests draw themselves."""

import hashlib
import io
import zipfile

import numpy as np
from PIL import Image, ImageDraw

from failure_atlas.images.gtsrb import MD5, TEST, TEST_LIST, TRAINING

HEAD = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"
FOLDERS = dict(zip(TRAINING, ("GTSRB/Final_Training/Images", "GTSRB/Training"), strict=True))


def draw_sign(stream, label):
    """A sign of a class, with a border, not square: PPM bytes and pixels."""
    width, height = stream.integers(15, 60, 2).tolist()
    picture = Image.fromarray(stream.integers(0, 256, (height, width, 3), np.uint8))
    box = 5, 5, width - 6, height - 6
    ImageDraw.Draw(picture).ellipse(
        (box[0], box[1], max(box[0], box[2]), max(box[1], box[3])), fill=(5 * label, 40, 200)
    )
    content = io.BytesIO()
    picture.save(content, "PPM")
    row = ";".join(map(str, (width, height, *box, label)))
    return content.getvalue(), np.asarray(picture), row


def write_archives(folder, training=TRAINING[0], classes=(1, 14, 42), tracks=4, frames=3, tests=3, **changes):
    """Write the three archives; changes: what stands in them in place of what is drawn, by name, None: nothing.

    Returns the pixels by the name of the image inside GTSRB/, in the order in which they are to be read, and the
    checksums of the archives.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stream, pixels = np.random.default_rng(11), {}
    members = {training: {"GTSRB/Readme-Images.txt": b"notes"}, TEST: {}, TEST_LIST: {}}
    for label in classes:
        place, rows = f"{FOLDERS[training]}/{label:05d}", HEAD
        for track in range(tracks):
            for frame in range(frames):
                name = f"{track:05d}_{frame:05d}.ppm"
                content, image, row = draw_sign(stream, label)
                members[training][f"{place}/{name}"], rows = content, f"{rows}{name};{row}\n"
                pixels[f"{place}/{name}".removeprefix("GTSRB/")] = image
        members[training][f"{place}/GT-{label:05d}.csv"] = rows.encode()
    rows = HEAD
    for number in range(tests * len(classes)):
        name, label = f"{number:05d}.ppm", classes[number % len(classes)]
        content, pixels[f"Final_Test/Images/{name}"], row = draw_sign(stream, label)
        members[TEST][f"GTSRB/Final_Test/Images/{name}"], rows = content, f"{rows}{name};{row}\n"
    members[TEST_LIST]["GT-final_test.csv"] = rows.encode()
    sums = {}
    for archive, held in members.items():
        with zipfile.ZipFile(folder / archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in reversed(held.items()):  # archives hold their files in any order
                if changes.get(name.rsplit("/", 1)[-1], content) is not None:
                    packed.writestr(name, changes.get(name.rsplit("/", 1)[-1], content))
        sums[archive] = hashlib.md5((folder / archive).read_bytes(), usedforsecurity=False).hexdigest()
    return pixels, MD5 | sums
