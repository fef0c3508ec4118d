"""What distances before the neutral eye depend on, and what they mean.

How kernel distance and Frechet ratio change with the number of samples, for real training images and for the released
generator; and how far from real test images real ones lie whose corruptions were changed by hand: a yardstick for bars.
In colour also whether the finest detail is as strong and has as many colours as that of real images.
From MNIST's 60,000 and 10,000 images if MNIST_DIR is set, else from those of the default run (`make repro`).
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks import PARAMS, ParamsOption, print_table, run_benchmark
from failure_atlas.core.device import choose_device
from failure_atlas.core.files import require
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.corruptions.corruptions import corrupt, draw_severities, open_streams
from failure_atlas.corruptions.registry import choose_steps
from failure_atlas.images.frame import Frame
from failure_atlas.images.image_set import ImageSet
from failure_atlas.images.own_images import frame_own
from failure_atlas.images.sources import FOLDER_VARIABLE
from failure_atlas.populations.sampling import draw_styles
from failure_atlas.quality.extractors import NEUTRAL, measure_frechet
from failure_atlas.quality.kernel import measure_kernel_distance
from failure_atlas.quality.manifold import count_classes, draw_matched
from failure_atlas.quality.neutral import load_neutral
from failure_atlas.statistics.estimates import Estimate
from failure_atlas.stylegan2.state import SNAPSHOT, load_released_generator
from failure_atlas.world.show import World
from stages.common.artefacts.images import read_images
from stages.common.image_params import CorruptImagesParams, PrepareImagesParams
from stages.common.params import load_section
from stages.prepare_images.preparation import read_published

COUNTS = (250, 500, 1_000, 2_000, 5_000, 10_000)
CHANGED = 2_000  # images of each yardstick
UNCHANGED = "as they are"


def main(
    params: ParamsOption = PARAMS,
    snapshot: Annotated[Path, typer.Option(help="The generator: a snapshot of this world.")] = SNAPSHOT,
    most: Annotated[int, typer.Option(min=COUNTS[0], help="Images of each set; 7 s for 1,000 on two cores.")] = 10_000,
) -> None:
    """Measure the released generator and real images before the neutral eye, in sets of several sizes."""
    parts = read_clean(params)
    counts = count_classes(parts[1].labels, parts[0].labels, most, 10)
    train, test = (choose(each, draw_matched(each.labels, counts, 1, numpy_stream(1, "sets"))[0]) for each in parts)
    # Each training image stands beside a test image of its class, so that any first n are matched, too.
    places = np.empty(len(test.labels), int)
    places[np.argsort(test.labels, kind="stable")] = np.argsort(train.labels, kind="stable")
    train, labels = choose(train, places), test.labels
    generator, device = load_released_generator(snapshot), choose_device()
    world = World(generator.synthesize, {NEUTRAL: load_neutral(device)}, device=device)
    shown, clean = corrupt_by(params, test, "test")
    drawn, n = draw_styles(generator, test.labels, numpy_stream(1, "latents"), 250), len(test.labels)
    few, in_colour = choose(train, np.arange(min(CHANGED, n))), shown.shape[1] > 1
    changes = {name: corrupt_by(params, few, "train", by)[0] for name, by in name_changes(params).items()}
    if in_colour:
        changes["finest detail without its least colour"] = drop_colour(changes[UNCHANGED])
    with Progress("looking", 3 * n + len(changes) * len(few.labels), "img") as progress:

        def look(images: np.ndarray) -> np.ndarray:
            return world.look(images, advance=progress.advance).logits[NEUTRAL]

        real, other = look(shown), look(corrupt_by(params, train, "train")[0])
        shown_made = world.show(drawn.styles, noise=drawn.noise, keep_images=True, advance=progress.advance)
        made = shown_made.logits[NEUTRAL]
        changed = {name: look(images) for name, images in changes.items()}

    def compare(features: np.ndarray) -> Estimate:
        of = labels[: len(features)]
        return measure_kernel_distance(features, real[: len(features)], (of, of))

    told = [[name, compare(each).tell()] for name, each in changed.items()]
    told.append(["clean test images against corrupted ones", measure_kernel_distance(real[clean], real[~clean]).tell()])
    print_table("Kernel distance, times 1,000, of real images to real test images", ["", "[95 %]"], told, [])
    heads, rows = ["n", "KID, real", "KID, generated", "Frechet", "floor", "ratio"], []
    for rows_of in (slice(each) for each in COUNTS if each <= n):
        kernels = [compare(each[rows_of]) for each in (other, made)]
        found = [*kernels, *measure_frechet(made[rows_of], other[rows_of], real[rows_of])]
        rows.append([f"{rows_of.stop:,}", *(replace(each, n=None).tell() for each in found)])
    print_table("Before the neutral eye, by the number of images of each set", heads, rows, [])
    if in_colour:
        sets = {"real": shown[~clean], "real, left clean": shown[clean], "generated": shown_made.images}
        for conv in generator.convs:  # nothing below wants its noise any more
            torch.nn.init.zeros_(conv.noise_strength)
        sets["generated without noise"] = world.show(drawn.styles[:CHANGED], [], keep_images=True).images
        told = [[name, *measure_detail(each)] for name, each in sets.items()]
        print_table("Finest detail: standard deviation, share of its least colour", ["", "of 255", "share"], told, [])


def read_clean(params: Path) -> tuple[ImageSet, ImageSet]:
    """Training and test images before they are corrupted, in random order."""
    if FOLDER_VARIABLE in os.environ:
        section = load_section(params, PrepareImagesParams, "prepare_images").model_copy(update={"source": "mnist"})
        frame = Frame(section.size_px, section.channels, section.fit)
        framed = frame_own(read_published(section, Path()), frame, whole=True)[0]
        parts = framed.select("train"), framed.select("test")
    else:
        store = require(Path("data/prepare_images/images.zarr"), "prepare_images")
        parts = read_images(store, "train"), read_images(store, "test")
    train, test = (choose(each, numpy_stream(1, "order").permutation(len(each.labels))) for each in parts)
    return train, test


def split_detail(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images [N, C, H, W] without their finest detail, and that detail, [N, C, H W]; its colours.

    The finest detail is what a pixel has beyond the mean of its four neighbours. Its colours are principal components
    over the pixels of an image: variances [N, C], least first, and directions [N, C, C], in columns.
    """
    held = np.pad(images.astype(float), ((0, 0), (0, 0), (1, 1), (1, 1)), "edge")
    inner, ends = slice(1, -1), (slice(None, -2), slice(2, None))
    around = [held[:, :, inner, end] for end in ends] + [held[:, :, end, inner] for end in ends]
    smooth = np.mean(around, axis=0).reshape(*images.shape[:2], -1)
    detail = images.reshape(smooth.shape) - smooth
    return smooth, detail, *np.linalg.eigh(np.stack([np.cov(each) for each in detail]))


def measure_detail(images: np.ndarray) -> tuple[str, str]:
    """Of the finest detail: the median standard deviation, and the mean share of its variance in its least colour.

    That share is 1 / C where each channel has noise of its own.
    """
    variances = split_detail(images)[2]
    whole = variances.sum(axis=1)
    return f"{np.median(np.sqrt(whole / images.shape[1])):.1f}", f"{(variances[:, 0] / whole.clip(1e-12)).mean():.3f}"


def drop_colour(images: np.ndarray) -> np.ndarray:
    """The images with the least colour of their finest detail taken out, uint8 [N, C, H, W]."""
    smooth, detail, _, directions = split_detail(images)
    least = directions[:, :, :1]
    kept = smooth + detail - least @ (least.transpose(0, 2, 1) @ detail)
    return kept.round().clip(0, 255).astype(np.uint8).reshape(images.shape)


def name_changes(params: Path) -> dict[str, list[int]]:
    """By how many severities each step of the recipe is stronger."""
    recipe = load_section(params, CorruptImagesParams, "corrupt_images").recipe
    alone = {f"{name} one severity stronger": [int(each == name) for each in recipe] for name in recipe}
    return {UNCHANGED: [0] * len(recipe), "all corruptions one severity stronger": [1] * len(recipe), **alone}


def choose(images: ImageSet, rows: np.ndarray) -> ImageSet:
    return ImageSet(images.images[rows], images.labels[rows])


def corrupt_by(params: Path, images: ImageSet, split: str, by: Sequence[int] = (0,)) -> tuple[np.ndarray, np.ndarray]:
    """The images after the recipe, its steps stronger by so many severities, and which are left clean."""
    section = load_section(params, CorruptImagesParams, "corrupt_images")
    steps, stream = choose_steps(section.recipe, section.table), numpy_stream(1, split)
    drawn = draw_severities(len(images.labels), section.clean_fraction, section.severities, stream, steps=len(steps))
    stronger = np.where(drawn, np.minimum(drawn + np.array(by, np.uint8)[:, None], 5), 0)
    return corrupt(images.images, stronger, steps, open_streams(1, split)), (drawn == 0).all(axis=0)


if __name__ == "__main__":
    run_benchmark(main)
