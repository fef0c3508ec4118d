"""Check the paper's claims: read what was measured, decide, write."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import write_csv, write_json
from failure_atlas.decisions.claims import MULTIPLICITY, Sources, check_claims, count_verdicts, list_sources
from failure_atlas.drawing.style import save_figure
from failure_atlas.statistics.estimates import VERDICTS
from stages.check_claims.figures import draw_claims, tabulate_claims
from stages.check_claims.params import CheckClaimsParams
from stages.common.artefacts.metrics import read_areas, read_metrics
from stages.common.classifiers import parse_named_paths
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section


def main(
    curves: Annotated[Path, typer.Option(help="Result folder of compute_curves.")],
    ranked: Annotated[list[str], typer.Option(help="NAME=FOLDER: result folder of rank_dimensions.")],
    populations: Annotated[Path, typer.Option(help="Result folder of sample_populations.")],
    walks: Annotated[list[str], typer.Option(help="NAME=FOLDER: result folder of walk_corner_cases.")],
    classifiers: Annotated[list[str], typer.Option(help="NAME=FOLDER: result folder of train_classifiers.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Say of each claim of the paper whether it holds, fails, or is not decided by what this run measured.

    Leaves claims.json (evidence and rule of each), claims.csv, metrics.json (how many of each) and a figure.
    """
    section = load_section(params, CheckClaimsParams, "check_claims")
    given = {
        "compute_curves": {"": curves},
        "sample_populations": {"": populations},
        "rank_dimensions": _parse(ranked, "--ranked", section, params),
        "walk_corner_cases": _parse(walks, "--walks", section, params),
        "train_classifiers": _parse(classifiers, "--classifiers", section, params),
    }
    read = [read_metrics(given[stage][name], stage, name) for stage, name in list_sources(section)]
    claims = check_claims(Sources({metrics.name: metrics for metrics in read}, read_areas(curves)), section)
    counts = count_verdicts(claims)
    logging.info(
        "%d claims: %s; corrected for their number %s",
        *(len(claims), _tell_counts(counts), _tell_counts(counts["corrected"])),
    )

    table = tabulate_claims(claims)
    write_json(out / "claims.json", {"note": MULTIPLICITY, "claims": [claim.as_dict() for claim in claims]})
    write_csv(out / "claims.csv", table)
    save_figure(draw_claims(claims), out / "figures" / "claims.png", table)
    write_json(out / "metrics.json", counts)


def _tell_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[verdict.replace(' ', '_')]} {verdict}" for verdict in VERDICTS)


def _parse(values: Sequence[str], option: str, section: CheckClaimsParams, params: Path) -> dict[str, Path]:
    """The folders of the two classifiers that the claims speak of."""
    folders = parse_named_paths(values, option)
    wanted = {key: getattr(section, key) for key in ("trained_on_clean", "trained_on_corrupted")}
    for key, name in wanted.items():
        if name not in folders:
            raise StageError(f"{params}: check_claims.{key}: got '{name}'; allowed: {', '.join(folders)} ({option})")
    return {name: folders[name] for name in wanted.values()}


if __name__ == "__main__":
    run_stage(main, "check_claims")
