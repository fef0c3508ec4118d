"""Compare two generators: read, share out the influence, hold it against chance, write."""

import logging
from pathlib import Path
from typing import Annotated, Any

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
from stages.compare_generators.inputs import check_views, read_view
from stages.compare_generators.params import CompareGeneratorsParams


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
    views = (read_view(first, ranking_first), read_view(second, ranking_second))
    check_views(*views, max(section.top))

    layers = compare_layers(*views, section.replicates, numpy_stream(section.seed, "layers"))
    names = {
        top: compare_names(*views, top, section.replicates, numpy_stream(section.seed, "names", top))
        for top in section.top
    }
    metrics: dict[str, Any] = {
        **layers.metrics,
        **{f"top{top}_{key}": value for top, comparison in names.items() for key, value in comparison.metrics.items()},
        "first_population_accuracy": proportion(views[0].well),
        "second_population_accuracy": proportion(views[1].well),
    }
    table = pd.concat([comparison.table for comparison in (*names.values(), layers)], ignore_index=True)
    for top in section.top:
        overlap, chance = (metrics[f"top{top}_name_share_overlap{suffix}"] for suffix in ("", "_by_chance"))
        logging.info(
            "names of the top %d dimensions: overlap %.2f, by chance %.2f (p = %.3g)",
            top,
            overlap["value"],
            chance["value"],
            chance["p_value"],
        )

    write_csv(out / "comparison.csv", table)
    save_figure(draw_shares(table), out / "figures" / "shares.png", table)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage(main, "compare_generators")
