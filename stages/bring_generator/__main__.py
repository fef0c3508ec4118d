"""Bring one generator: read, convert, prove, write."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from failure_atlas.brought.checkpoint import read_network
from failure_atlas.brought.code import confined
from failure_atlas.brought.folder import check_brought, check_numbers, check_unwritten, hash_files
from failure_atlas.brought.generator import BroughtGenerator, save_module
from failure_atlas.brought_generators.convert import convert, save_converted
from failure_atlas.brought_generators.proof import NotProvenError, Proof, prove
from failure_atlas.brought_generators.published import Affine, read_published
from failure_atlas.core.arrays import read_array
from failure_atlas.core.device import choose_device
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import hash_file, is_file, require, write_csv, write_json
from failure_atlas.core.weights import save_tensors
from failure_atlas.stylegan2.generator import NO_SNAPSHOT, Generator
from stages.bring_generator.checks import count_classes, examine
from stages.bring_generator.params import BringGeneratorParams
from stages.common.artefacts.images import read_class_names
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section


def main(
    entry: Annotated[str, typer.Argument(help="Which entry of the section bring_generator.")],
    folder: Annotated[Path, typer.Option(help="Where its file lies, or a folder of its name with its module.")],
    images: Annotated[Path, typer.Option(help="The images store of corrupt_images, for its classes and their size.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Bring a generator: convert a published StyleGAN2 and prove that it is the same, or check a module of one's own.

    Nothing that a file carries is run; a module is. Leaves generator.safetensors, which later stages read, metrics.json
    with what was checked, and in place of what a training leaves an empty log and no discriminator.
    """
    section = load_section(params, BringGeneratorParams, "bring_generator", entry)
    names = read_class_names(require(images, "corrupt_images"))
    shape = read_array(images, "test_images")[:1].shape[1:]
    bring = _bring_module if section.file is None else _bring_file
    source, metrics = bring(section, folder, entry, names, shape, out / "generator.safetensors")
    save_tensors(out / "snapshot.safetensors", {}, {"kind": NO_SNAPSHOT, "source": source})
    write_csv(out / "training_log.csv", pd.DataFrame({"kimg": []}))
    write_json(out / "metrics.json", source | metrics)


def _bring_file(
    section: BringGeneratorParams, folder: Path, entry: str, names: list[str], shape: tuple[int, ...], out: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write what a published file becomes; what it was made of, and metrics."""
    file, key = folder / str(section.file), f"bring_generator.{entry}"
    _check_hash(file, str(section.sha256), key)
    held = read_published(file, f"{key}.file")
    if section.class_order is not None:
        labels = _order_labels(section.class_order, names, held.num_classes, key)
        if held.embedding is not None:
            held = dataclasses.replace(held, embedding=Affine(held.embedding.weight[:, labels], held.embedding.bias))
    try:
        generator = convert(held, len(names), section.truncation)
        proof = prove(held, convert(held, len(names)))
    except (ValueError, NotProvenError) as error:
        raise StageError(
            f"{key}: {file} holds {error}; the images show {len(names)} classes: bring a generator of these, and leave "
            "truncation at 1 where its file has no average"
        ) from error
    made = generator.architecture.image_channels, *[generator.architecture.size_px] * 2
    _check_images(made, shape, key)
    _tell_idle(proof.dead)
    source = {"file": section.file, "sha256": section.sha256, "form": held.form, "truncation": section.truncation}
    save_converted(out, generator, source)
    return source, _describe(generator, shape) | {"clamp": held.clamp, "proof": _tell(proof)}


def _bring_module(
    section: BringGeneratorParams, folder: Path, entry: str, names: list[str], shape: tuple[int, ...], out: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write a module as it was checked; what it was made of, and metrics."""
    own, key = folder / entry, f"bring_generator.{entry}"
    check_brought(section.code, own, key)
    hashes = hash_files(own)
    with confined(key):
        network = read_network(section.code, own, key).requires_grad_(False)
        check_numbers(network, key)
        known = count_classes(network, names, key)
        labels = list(range(len(names))) if known else [0] * len(names)
        if section.class_order is not None:
            labels = _order_labels(section.class_order, names, known, key)
        form, checks = examine(network.to(choose_device()), labels, key, conditional=known > 0)
    check_unwritten(own, hashes)
    _check_images(form.image_shape, shape, key)
    _tell_idle(checks.idle)
    generator = BroughtGenerator(network, form)
    save_module(out, generator, section.code, own, hashes)
    source = {"load": section.load, "form": "module", "files": hashes}
    return source, _describe(generator, shape) | {"checks": dataclasses.asdict(checks)}


def _check_hash(file: Path, expected: str, key: str) -> None:
    if not is_file(file):
        raise StageError(f"{key}.file: no file {file}; put the generator's file there")
    if (found := hash_file(file)) != expected:
        raise StageError(
            f"{file}: expected SHA-256 {expected}, found {found}; restore the file, or set {key}.sha256 if the change "
            "is wanted"
        )


def _order_labels(order: list[str], names: list[str], known: int, key: str) -> list[int]:
    """The generator's own label of each of the data's classes; known: how many it knows."""
    if not known:
        raise StageError(f"{key}.class_order: got {', '.join(order)}, but the generator knows no classes; leave it out")
    if sorted(order) != sorted(names) or len(order) != known:
        raise StageError(
            f"{key}.class_order: got {', '.join(order)}; allowed: each of the data's classes once, as many as the "
            f"generator's {known}: {', '.join(names)}"
        )
    return [order.index(name) for name in names]


def _check_images(made: Sequence[int], shape: tuple[int, ...], key: str) -> None:
    if tuple(shape) != tuple(made):
        sides = " x ".join(map(str, dict.fromkeys(made[1:])))
        raise StageError(
            f"{key}: makes images of {made[0]} channels and {sides} px, the data's have {shape[0]} and {shape[1]}; "
            f"set prepare_images.channels: {made[0]} and prepare_images.size_px: {sides}"
        )


def _tell_idle(layers: Sequence[str]) -> None:
    if layers:
        logging.warning("warning: no style that was moved changes anything in %s", ", ".join(layers))


def _describe(generator: Generator, shape: tuple[int, ...]) -> dict[str, object]:
    return {
        "conditional": generator.conditional,
        "classes": generator.num_classes,
        "size_px": shape[1],
        "image_channels": shape[0],
        "style_dimensions": generator.style_dimensions,
        "generator_parameters": sum(each.numel() for each in generator.parameters()),
        "training_images": None,  # which nothing says
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
