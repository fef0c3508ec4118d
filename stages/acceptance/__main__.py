"""Hold a run against its acceptance criteria: read what was measured, decide, write."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from failure_atlas.core.files import write_csv, write_json
from failure_atlas.decisions.acceptance import count_verdicts, decide_all
from failure_atlas.drawing.style import save_figure
from stages.acceptance.figures import draw_verdicts, tabulate_verdicts
from stages.acceptance.params import AcceptanceParams
from stages.common.artefacts.metrics import name_folders, read_measures
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section


def main(
    results: Annotated[
        list[Path], typer.Option(help="Result folder of a stage; once for each that criteria may name.")
    ],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Say of each acceptance criterion whether the run passes, fails, or whether that cannot be assessed.

    Leaves gates.json (each verdict with what was found), metrics.json (how many of each), gates.csv and a figure. A
    criterion that fails does not fail this stage; `failure-atlas gates` turns the verdicts into an exit code.
    """
    section = load_section(params, AcceptanceParams, "acceptance")
    verdicts = decide_all(section.criteria, read_measures(section.criteria, name_folders(results), params))
    for verdict in verdicts:
        logging.info("%s: %s, %s", verdict.criterion.id, verdict.verdict, verdict.because)
    table = tabulate_verdicts(verdicts)
    write_json(out / "gates.json", {"criteria": [verdict.as_dict() for verdict in verdicts]})
    write_csv(out / "gates.csv", table)
    write_json(out / "metrics.json", count_verdicts(verdicts))
    save_figure(draw_verdicts(verdicts), out / "figures" / "gates.png", table)


if __name__ == "__main__":
    run_stage(main, "acceptance")
