"""Compare two generators: read, share out the influence, hold it against chance, write."""

import logging
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from failure_atlas.core.files import write_csv, write_json
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.drawing.style import save_figure
from failure_atlas.statistics.estimates import proportion
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section
from stages.compare_generators.comparison import compare_layers, compare_names
from stages.compare_generators.figures import draw_shares
from stages.compare_generators.inputs import check_pair, read_named
from stages.compare_generators.params import CompareGeneratorsParams

NAMES = ("first", "second")


def main(
    first: Annotated[Path, typer.Option(help="Result folder of name_directions of the first generator.")],
    second: Annotated[Path, typer.Option(help="The same of the second generator.")],
    ranking_first: Annotated[Path, typer.Option(help="Result folder of rank_dimensions of the first generator.")],
    ranking_second: Annotated[Path, typer.Option(help="The same of the second generator.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Compare what two generators say of one classifier; their dimensions are not aligned, names and layers are.

    Leaves comparison.csv (the share of each name and layer), metrics.json and the figure shares.
    """
    section = load_section(params, CompareGeneratorsParams, "compare_generators")
    pair = (read_named(first, ranking_first), read_named(second, ranking_second))
    check_pair(pair, max(section.top))
    metrics, layers = compare_layers(pair, section.replicates, numpy_stream(section.seed, "layers"))
    metrics |= {f"{name}_population_accuracy": proportion(each.well) for name, each in zip(NAMES, pair, strict=True)}
    tables = []
    for top in section.top:
        compared, table = compare_names(pair, top, section.replicates, numpy_stream(section.seed, "names", top))
        metrics |= {f"top{top}_{key}": value for key, value in compared.items()}
        tables.append(table)
        overlap, chance = compared["name_share_overlap"], compared["name_share_overlap_by_chance"]
        text = "names of the top %d dimensions: overlap %.2f, by chance %.2f (p = %.3g)"
        logging.info(text, top, overlap["value"], chance["value"], chance["p_value"])
    table = pd.concat([*tables, layers], ignore_index=True)

    write_csv(out / "comparison.csv", table)
    save_figure(draw_shares(table), out / "figures" / "shares.png", table)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage(main, "compare_generators")
