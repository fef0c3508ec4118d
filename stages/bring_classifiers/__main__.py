"""Bring one classifier: read, check, measure on both test sets, write."""

import logging
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from failure_atlas.brought.checkpoint import save_brought, save_refused
from failure_atlas.brought.code import tell
from failure_atlas.brought.params import BringClassifierParams
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import write_csv, write_json
from stages.bring_classifiers.measuring import build_checked, measure, read_data
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section, read_params


def main(
    entry: Annotated[str, typer.Argument(help="Which entry of the section bring_classifiers.")],
    folder: Annotated[Path, typer.Option(help="The folder with the classifier's files.")],
    images: Annotated[Path, typer.Option(help="The images store of prepare_images.")],
    corrupted: Annotated[Path, typer.Option(help="The images store of corrupt_images.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Adapt a classifier made elsewhere to the images, check that it can be analysed, and measure it on both test sets.

    What cannot be analysed stops with what to change; what may be meant becomes a warning in metrics.json. An entry
    that is not under test (`classifiers`) stops nothing: what is wrong with it is its result.
    """
    section = load_section(params, BringClassifierParams, "bring_classifiers", entry)
    data, weights = read_data(images, corrupted), out / "classifier.safetensors"
    try:
        rebuild, hashes, warnings = build_checked(section, folder, f"bring_classifiers.{entry}", data)
        metrics, doubts, tables = measure(rebuild, section, data, params, entry)
    except Exception as error:
        if entry in read_params(params).get("classifiers", {entry: ""}):
            raise
        refused = str(error) if isinstance(error, StageError) else tell(error)
        logging.warning("warning: %s is not under test, and refused: %s", entry, refused)
        save_refused(weights, entry, refused)
        metrics = {"form": section.form, "refused": refused}
        tables = {"refused": pd.DataFrame({"refused": [refused]})}
    else:
        metrics |= {"files": hashes, "warnings": [*warnings, *doubts]}
        for warning in metrics["warnings"]:
            logging.warning("warning: %s", warning)
        save_brought(weights, rebuild(), section, folder, entry, hashes)
    for name, table in tables.items():
        write_csv(out / "tables" / f"{name}.csv", table)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage(main, "bring_classifiers")
