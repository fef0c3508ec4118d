"""Make the page: read all results, compute the explorer's pictures, write one HTML file."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from failure_atlas.core.device import choose_device
from failure_atlas.core.files import replacing
from failure_atlas.core.progress import Progress
from failure_atlas.judges.ensemble import load_judge
from failure_atlas.walks.crossing import space_grid
from failure_atlas.walks.starts import choose_starts
from failure_atlas.world.show import JUDGE, World
from stages.common.artefacts.names import read_names
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import read_samples
from stages.common.artefacts.ranking import read_ranking
from stages.common.classifiers import read_classifiers
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section, read_params
from stages.report.acceptance import show_verdicts
from stages.report.basis import show_basis, tell_images
from stages.report.black_box import tell_black_boxes
from stages.report.blocks import Explorer, PageSection, Text
from stages.report.claims import show_claims
from stages.report.comparison import show_comparison
from stages.report.distance import show_distances
from stages.report.explorer import describe_explorer
from stages.report.failures import show_failures
from stages.report.moves import choose_moves, locate_crossings, trace_moves
from stages.report.page import render_page
from stages.report.params import ReportParams
from stages.report.quality import show_quality
from stages.report.results import Results

TITLE = "On what does the classifier fail, and how far is it from failing?"


def main(
    results: Annotated[Path, typer.Option(help="Folder that holds the result folders of all stages.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Write report.html: verdicts, failures with an explorer, distances, comparisons, quality, claims, and the basis.

    The page opens from disk, asks nothing of the network, and holds every metrics.json as it is.
    """
    section = load_section(params, ReportParams, "report")
    classifiers = read_classifiers(params)
    under_test = list(classifiers)
    read = Results(results)
    sections = [
        show_verdicts(read, classifiers),
        show_failures(read, classifiers),
        PageSection("explorer", "Explorer: move an image until it fails", [Text(_explain(section)), Explorer()]),
        show_distances(read, under_test),
        show_comparison(read, under_test),
        show_quality(read, classifiers),
        show_claims(read),
    ]
    if read.has("acceptance/metrics.json"):
        read.read_metrics("acceptance")
    explorer = _explore(read, classifiers, section, choose_device())  # the only long work: after all else is known good
    sections.append(show_basis(read, read_params(params)))
    summary = (
        f"Classifiers under test: {', '.join(under_test)}. Images come from a generator of their world, so "
        "that they can be moved, one property at a time, until a classifier fails. Numbers in brackets are 95 % "
        f"intervals; n counts the samples.{tell_black_boxes(read, under_test)}{tell_images(read)}"
    )
    page = render_page(TITLE, summary, sections, read.metrics, explorer)
    with replacing(out / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    logging.info(
        "report.html: %.1f MB, %d files read, %d directions to explore",
        len(page.encode()) / 1e6, len(read.digests), len(explorer["moves"]),
    )  # fmt: skip


def _explore(
    read: Results, classifiers: Mapping[str, str], section: ReportParams, device: torch.device
) -> dict[str, Any]:
    """Pictures and opinions along the leading directions of each class, for each classifier."""
    generator = read.locate("train_stylegan2/generator.safetensors")
    population = read.locate("sample_populations/population.zarr").parent
    loaded = {
        name: load_networks(generator, read.locate(f"{made_by}/{name}/classifier.safetensors"), device)
        for name, made_by in classifiers.items()
    }
    network = next(iter(loaded.values()))[0]
    samples = read_samples(population, network)
    ensemble = load_judge(read.locate("train_judges/judge.safetensors"), samples.class_names, device)
    means = choose_starts(samples.styles, samples.true_class, len(samples.class_names), []).styles
    shifts_std = np.concatenate([[0.0], space_grid(section.max_shift_std, section.step_std)])

    moves, words, crossings = {}, {}, {}
    for name in classifiers:
        ranking = read_ranking(read.locate(f"rank_dimensions/{name}/ranking.csv").parent)
        moves[name] = choose_moves(ranking, samples.class_names, network.style_dimensions, section.dimensions)
        words[name] = read_names(read.locate(f"name_directions/{name}/directions.csv").parent)
    # Two classifiers may share a direction: its pictures are made and kept once.
    shared = list(dict.fromkeys(move for by_class in moves.values() for own in by_class for move in own))
    networks = {name: classifier for name, (_, classifier) in loaded.items()} | {JUDGE: ensemble}
    world = World(network.synthesize, networks, section.batch_size, device, len(samples.class_names))
    with Progress("drawing directions", len(shared) * len(shifts_std), "img") as progress:
        frames = trace_moves(world, means, shared, shifts_std, advance=progress.advance)
    traced = dict(zip(shared, frames, strict=True))
    for name, by_class in moves.items():
        own = [move for of_class in by_class for move in of_class]
        softmax = np.array([traced[move].softmax[name][:, move.true_class] for move in own])
        softmax = softmax.reshape(len(own), len(shifts_std))  # of no moves, too
        crossings[name] = locate_crossings(world, name, means, own, shifts_std, softmax)
    return describe_explorer(
        shifts_std,
        samples.class_names,
        traced,
        moves,
        crossings,
        words,
        ensemble.confidence,
    )


def _explain(section: ReportParams) -> str:
    return (
        "Pick a classifier, a class and one of the directions in which it fails first, then drag the slider: the mean "
        f"image of the class moves along that one style dimension, up to {section.max_shift_std:g} std. The bars show "
        "what the classifier and the judge say; the mark on the slider is where the classifier's softmax of the class "
        "falls to 0.50. Pictures and numbers were computed before; probabilities are of the image before rounding to "
        "256 grey levels."
    )


if __name__ == "__main__":
    run_stage(main, "report")
