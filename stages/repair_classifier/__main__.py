"""Repair a classifier: read, draw, choose shares, train all mixtures, plant faults and repair them, write."""

import logging
import shutil
from pathlib import Path
from typing import Annotated

import typer

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.drawing.style import save_figure
from stages.common import command
from stages.common.classifier_params import TrainClassifierParams
from stages.common.classifiers import parse_named_paths
from stages.common.image_params import CorruptImagesParams
from stages.common.mode_params import FindModesParams
from stages.common.params import load_section
from stages.repair_classifier.figures import draw_gains, draw_modes, draw_planted
from stages.repair_classifier.inputs import HELD_OUT, RECIPE, list_sources, open_inputs, read_answers
from stages.repair_classifier.mixtures import choose, choose_best, train_arms
from stages.repair_classifier.params import RepairClassifierParams
from stages.repair_classifier.plants import draw_plants, try_plants
from stages.repair_classifier.results import summarize, tabulate_mixtures, tabulate_modes, tell
from stages.repair_classifier.trainings import Trainer


def main(
    name: Annotated[str, typer.Argument(help="The entry of train_classifiers that is repaired.")],
    classifier: command.ClassifierOption,
    generator: Annotated[
        list[str], typer.Option(help="NAME=FILE: weights of a generator; the first one's repair is kept.")
    ],
    judge: Annotated[list[str], typer.Option(help="NAME=FILE: the judge of each generator's failures.")],
    auditor: Annotated[Path, typer.Option(help="The auditor's weights file, of train_judges.")],
    population: command.PopulationOption,
    attributes: Annotated[Path, typer.Option(help="Result folder of measure_attributes for this population.")],
    modes: Annotated[Path, typer.Option(help="Result folder of find_modes for this classifier.")],
    images: Annotated[Path, typer.Option(help="The images store of prepare_images: to learn from, and held out.")],
    corrupted: Annotated[Path, typer.Option(help="The images store of corrupt_images: to learn from.")],
    test_images: Annotated[Path, typer.Option(help="An images store whose test images no network has seen.")],
    test_corrupted: Annotated[Path, typer.Option(help="The same, corrupted by the recipe.")],
    test_attributes: Annotated[Path, typer.Option(help="Result folder of measure_attributes for these.")],
    out: command.OutOption,
    params: command.ParamsOption = Path("study/params.yaml"),
    recipe: Annotated[Path, typer.Option(help="The params file of the classifier, its corruptions and modes.")] = Path(
        "params.yaml"
    ),
) -> None:
    """Train a classifier again with what was found, and with controls of equal budget; measure on unseen images.

    Leaves mixtures.csv, choice.csv, modes.csv, plants.csv, metrics.json, three figures, and the repaired network.
    """
    section = load_section(params, RepairClassifierParams, "repair_classifier")
    entry = load_section(recipe, TrainClassifierParams, "train_classifiers", name)
    search = load_section(recipe, FindModesParams, "find_modes")
    corruption = load_section(recipe, CorruptImagesParams, "corrupt_images")
    generators, judges = parse_named_paths(generator, "--generator"), parse_named_paths(judge, "--judge")
    if list(generators) != list(judges):
        raise StageError(
            f"--judge: got {', '.join(judges)}; allowed: one for each of {', '.join(generators)}, in order"
        )
    inputs = open_inputs(
        section, entry, corruption, search, params=params, recipe=recipe, generators=generators, judges=judges,
        auditor=auditor, population=population, attributes=attributes, modes=modes, images=images, corrupted=corrupted,
        test_images=test_images, test_corrupted=test_corrupted, test_attributes=test_attributes,
    )  # fmt: skip
    sources = list_sources(inputs, read_answers(classifier, inputs.pools), section.least_probability, params)
    plants = draw_plants(inputs, section, params)
    tests = {test: held.images for test, held in inputs.tests.items()}
    trainer = Trainer(entry, len(inputs.class_names), sources, tests, out / "unfinished")
    arms, tried = choose(trainer, inputs.tests[HELD_OUT].labels, list(generators), section)
    best = choose_best(arms, tried, list(generators))
    right, weights = train_arms(trainer, arms, best[next(iter(generators))], inputs, section)
    planted = try_plants(trainer, inputs, arms, plants, right[arms[0]][RECIPE], search, section)
    mixtures = tabulate_mixtures(right, arms, inputs)
    changes = tabulate_modes(right, best, arms[0], inputs)
    metrics = summarize(right, arms, best, changes, planted)
    for line in tell(metrics, name):
        logging.info(line)
    for title, table in (("mixtures", mixtures), ("choice", tried), ("modes", changes), ("plants", planted)):
        write_csv(out / f"{title}.csv", table)
    save_figure(draw_gains(mixtures, name), out / "figures" / "gains.png", mixtures)
    save_figure(draw_modes(changes, name), out / "figures" / "modes.png", changes)
    if len(planted):
        save_figure(draw_planted(planted), out / "figures" / "plants.png", planted)
    shutil.copyfile(weights, out / "classifier.safetensors")
    write_json(out / "metrics.json", metrics)
    shutil.rmtree(out / "unfinished")


if __name__ == "__main__":
    command.run_stage(main, "repair_classifier")
