"""Find modes: read, search one half, estimate on the other, hold against real images, draw, write."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.drawing.style import save_figure
from stages.common import command
from stages.common.classifiers import expand_paths, read_classifiers
from stages.common.mode_params import FindModesParams
from stages.common.params import load_section
from stages.find_modes.atlas import tabulate_map
from stages.find_modes.figures import draw_map, draw_modes, draw_pictures
from stages.find_modes.findings import find, summarize, tabulate_modes, tabulate_others
from stages.find_modes.inputs import open_evidence


def main(
    name: Annotated[str, typer.Argument(help="The classifier's name, as params.yaml has it.")],
    classifier: command.ClassifierOption,
    population: command.PopulationOption,
    attributes: Annotated[Path, typer.Option(help="Result folder of measure_attributes.")],
    images: Annotated[Path, typer.Option(help="The images store of corrupt_images, for its test images.")],
    ranked: Annotated[str, typer.Option(help="Result folders of rank_dimensions, with {name} for each classifier.")],
    names: command.NamesOption,
    judged: Annotated[Path, typer.Option(help="Result folder of judge_failures for this classifier.")],
    failures: Annotated[Path, typer.Option(help="Result folder of find_failures for this classifier.")],
    out: command.OutOption,
    params: command.ParamsOption = Path("params.yaml"),
    real_attributes: Annotated[
        Path | None, typer.Option(help="Result folder of measure_attributes of these images, if it is another one.")
    ] = None,
    second: Annotated[
        tuple[Path, Path, Path] | None,
        typer.Option(
            metavar="POPULATION ATTRIBUTES RANKED",
            help="Another generator's result folders of sample_populations, measure_attributes and rank_dimensions.",
        ),
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="The params file whose classifiers are under test.")] = None,
) -> None:
    """Say in words on what kind of input a classifier fails: a class, or any, and up to three conditions.

    One half of the population is searched, the other tells the rates; real test images corroborate or contradict.
    Leaves modes.csv, others.csv, metrics.json and the figures modes, map and mode_1, mode_2, ...
    """
    section = load_section(params, FindModesParams, "find_modes")
    folders = expand_paths(ranked, under_test := read_classifiers(recipe or params), "--ranked")
    if name not in under_test:
        raise StageError(f"NAME: got '{name}'; allowed: {', '.join(under_test)}")
    evidence = open_evidence(
        section, params, classifier=classifier, population=population, attributes=attributes, images=images,
        ranking=folders[name], names=names, judged=judged, failures=failures,
        others={other: folder for other, folder in folders.items() if other != name},
        second=second, real_attributes=real_attributes or attributes,
    )  # fmt: skip
    found = find(evidence, section)
    table, mapped = tabulate_modes(found, evidence, section), tabulate_map(found, evidence, section.map_bins)
    metrics = summarize(table, found, evidence, mapped)
    for row in table.to_dict("records"):
        told = name, row["sentence"], 100 * row["rate"], row["n"], row["verdict"]
        logging.info("%s %s: %.0f%% of %d wrong there; real images: %s", *told)
    write_csv(out / "modes.csv", table)
    write_csv(out / "others.csv", tabulate_others(found, evidence))
    save_figure(draw_modes(table, metrics, name), out / "figures" / "modes.png", table)
    if len(mapped):  # two attributes are needed that are no counts
        save_figure(draw_map(mapped, evidence, name), out / "figures" / "map.png", mapped)
    for place in range(len(table)):
        figure = draw_pictures(place, found, evidence, section.pictures)
        save_figure(figure, out / "figures" / f"mode_{place + 1}.png", table.iloc[[place]])
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    command.run_stage(main, "find_modes")
