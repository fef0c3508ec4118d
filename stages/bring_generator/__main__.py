"""Bring one generator: read, convert, prove, write."""

import dataclasses
import logging
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from failure_atlas.brought_generators.convert import convert, save_converted
from failure_atlas.brought_generators.proof import NotProvenError, Proof, prove
from failure_atlas.brought_generators.published import Affine, Published, read_published
from failure_atlas.core.arrays import read_array
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import hash_file, is_file, require, write_csv, write_json
from failure_atlas.core.weights import save_tensors
from failure_atlas.stylegan2.generator import NO_SNAPSHOT, Generator
from stages.bring_generator.params import BringGeneratorParams
from stages.common.artefacts.images import read_class_names
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section


def main(
    entry: Annotated[str, typer.Argument(help="Which entry of the section bring_generator.")],
    file: Annotated[Path, typer.Option(help="The file of StyleGAN2-ADA (.pkl) or stylegan2-pytorch (.pt).")],
    images: Annotated[Path, typer.Option(help="The images store of corrupt_images, for its classes and their size.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Convert a published StyleGAN2 to one of this project, and prove from the file itself that it is the same.

    Nothing that the file carries is run. Leaves generator.safetensors, which later stages read, metrics.json with the
    largest differences of the proof, and in place of what a training leaves an empty log and no discriminator.
    """
    section = load_section(params, BringGeneratorParams, "bring_generator", entry)
    key, names = f"bring_generator.{entry}", read_class_names(require(images, "corrupt_images"))
    _check_hash(file, section.sha256, key)
    held = _order_classes(read_published(file, f"{key}.file"), section.class_order, names, key)
    try:
        generator = convert(held, len(names), section.truncation)
        proof = prove(held, convert(held, len(names)))
    except (ValueError, NotProvenError) as error:
        raise StageError(
            f"{key}: {file} holds {error}; the images show {len(names)} classes: bring a generator of these, and leave "
            "truncation at 1 where its file has no average"
        ) from error
    _check_images(generator, read_array(images, "test_images")[:1].shape[1:], key)
    if proof.dead:
        logging.warning("warning: no style that was moved changes anything in %s", ", ".join(proof.dead))
    source = {"file": section.file, "sha256": section.sha256, "form": held.form, "truncation": section.truncation}
    save_converted(out / "generator.safetensors", generator, source)
    save_tensors(out / "snapshot.safetensors", {}, {"kind": NO_SNAPSHOT, "source": source})
    write_csv(out / "training_log.csv", pd.DataFrame({"kimg": []}))
    write_json(out / "metrics.json", source | _describe(held, generator) | {"proof": _tell(proof)})


def _check_hash(file: Path, expected: str, key: str) -> None:
    if not is_file(file):
        raise StageError(f"{key}.file: no file {file}; put the generator's file there")
    if (found := hash_file(file)) != expected:
        raise StageError(
            f"{file}: expected SHA-256 {expected}, found {found}; restore the file, or set {key}.sha256 if the change "
            "is wanted"
        )


def _order_classes(held: Published, order: list[str] | None, names: list[str], key: str) -> Published:
    """The generator with its classes in the order of the data's."""
    if order is None:
        return held
    if held.embedding is None:
        raise StageError(f"{key}.class_order: got {', '.join(order)}, but the generator knows no classes; leave it out")
    if sorted(order) != sorted(names) or len(order) != held.num_classes:
        raise StageError(
            f"{key}.class_order: got {', '.join(order)}; allowed: each of the data's classes once, as many as the "
            f"generator's {held.num_classes}: {', '.join(names)}"
        )
    columns = [order.index(name) for name in names]
    return dataclasses.replace(held, embedding=Affine(held.embedding.weight[:, columns], held.embedding.bias))


def _check_images(generator: Generator, shape: tuple[int, ...], key: str) -> None:
    made = (generator.architecture.image_channels, *[generator.architecture.size_px] * 2)
    if tuple(shape) != made:
        raise StageError(
            f"{key}: makes images of {made[0]} channels and {made[1]} px, the data's have {shape[0]} and {shape[1]}; "
            f"set prepare_images.channels: {made[0]} and prepare_images.size_px: {made[1]}"
        )


def _describe(held: Published, generator: Generator) -> dict[str, object]:
    return {
        "conditional": held.embedding is not None,
        "classes": generator.num_classes,
        "size_px": generator.architecture.size_px,
        "image_channels": generator.architecture.image_channels,
        "clamp": held.clamp,
        "style_dimensions": generator.style_dimensions,
        "generator_parameters": sum(each.numel() for each in generator.parameters()),
        "training_images": None,  # which the file does not say
        "kimg": None,
    }


def _tell(proof: Proof) -> dict[str, object]:
    return {
        "samples": proof.samples,
        "largest_image_difference": proof.image,
        "largest_style_difference": proof.style,
        "largest_layer_difference": proof.layer,
        "idle_layers": list(proof.dead),
    }


if __name__ == "__main__":
    run_stage(main, "bring_generator")
