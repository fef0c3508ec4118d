"""The tables and pictures of README and docs, anew from the run's results: `python -m stages.report.documents`.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; templates/documents.toml says what it holds. All else
on a page is written by hand. The pictures are copies in docs/figures, because git holds no figures of a run.
"""

import logging
import math
import re
import shutil
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from failure_atlas.assurance.clauses import support_clauses
from failure_atlas.attributes.registry import ATTRIBUTES, COLOUR, FIGURE, STROKE
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import read_json, replacing, require
from failure_atlas.decisions.metrics import find_estimate
from stages.common.command import run_stage

BEGIN, END = "<!-- table: {} -->", "<!-- end -->"
PAGES = (
    "README.md",
    "docs/atlas.md",
    "docs/attributes.md",
    "docs/case.md",
    "docs/findings.md",
    "docs/generator.md",
    "docs/real_images.md",
    "docs/repair.md",
    "docs/traffic-signs.md",
)
# The tables that are not of metrics alone.
CLAIMS, VOCABULARY, MODES, CLAUSES = "claims", "attributes", "modes", "clauses"
SIGNS_MODES, SIGNS = "modes_of_signs", "docs/traffic_signs/metrics"
BOTH = ("clean", "corrupted")
DIGITS = 3
MISSING = "–"
SMALL = 1e-4  # below it a number, a p-value, is told by its size
FIGURES = Path("docs/figures")
SHOWN = (  # at most ten: each run that is committed adds them to git once more
    "qualify_generator/figures/fig2_real_above_generated.png",
    "name_directions/corrupted/figures/fig4_well_against_mis.png",
    "walk_corner_cases/corrupted/figures/fig5_degradation_class3.png",
    "walk_corner_cases/corrupted/figures/fig7_corner_cases.png",
    "find_failures/corrupted/figures/failures.png",
    "find_failures/corrupted/figures/real_images.png",
    "compute_curves/figures/fig6a_classifiers.png",
    "corroborate/corrupted/figures/corroboration.png",
    "find_modes/corrupted/figures/modes.png",
    "../study/data/repair_classifier/figures/gains.png",
)
SOURCE = Path("stages/report/templates/documents.toml")
TABLES: dict[str, dict[str, Any]] = tomllib.loads((Path(__file__).parents[2] / SOURCE).read_text(encoding="utf-8"))


def render_table(name: str, root: Path) -> list[str]:
    """The lines of a table in Markdown; root: of the project.  Raises StageError if a metric is missing."""
    table = TABLES[name]
    columns, folder = table.get("columns", BOTH), root / table.get("folder", "data")
    heads = table.get("heads", [f"`{column}`" for column in columns])
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for words, metric, *digits in table["rows"]:
        cells = [render_cell(folder, metric.format(column), *digits) for column in columns]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return lines


def render_cell(folder: Path, metric: str, digits: int = DIGITS) -> str:
    """`value [low, high] of n`, with the parts that the metric has; metric: "FOLDER: KEY" below the folder."""
    where, _, key = metric.partition(": ")
    path = folder / where / "metrics.json"
    try:
        found = find_estimate(read_json(path, where.partition("/")[0]), key)
    except (KeyError, TypeError) as error:
        raise StageError(f"{path}: holds no number {key} ({error}); correct {SOURCE}") from error

    def tell(value: float) -> str:
        if math.isnan(value):
            return MISSING
        return f"{value:.0e}" if 0 < abs(value) < SMALL else f"{value:.{digits}f}"

    interval = f" [{tell(found.low)}, {tell(found.high)}]" if found.has_interval else ""
    return f"{tell(found.value)}{interval}" + (f" of {found.n:,}" if found.n is not None else "")


def render_claims(root: Path) -> list[str]:
    """The paper's claims and what was found, from claims.csv."""
    table = pd.read_csv(require(root / "data/check_claims/claims.csv", "check_claims"), dtype=str)
    lines = ["| paper | claim | here | corrected for their number |", "|---|---|---|---|"]
    for _, claim in table.fillna("").iterrows():
        verdicts = (claim["verdict"], claim["corrected_verdict"])
        first, second = (verdict if verdict == "holds" else f"**{verdict}**" for verdict in verdicts)
        versions = f": {claim['versions']}" if claim["versions"] else ""
        lines.append(f"| {claim['source']} | {claim['claim']} | {first}{versions} | {second} |")
    return lines


def render_attributes(root: Path) -> list[str]:
    """Every attribute with its unit, the world that it needs, its words for a direction, and the errors of the run."""
    worlds = {FIGURE: "figures", STROKE: "strokes", COLOUR: "colours", "": "any"}
    lines = ["| attribute | unit | world | more, less | error | largest |", "|---" * 6 + "|"]
    held = read_json(root / "data/measure_attributes/metrics.json", "measure_attributes")
    for attribute in ATTRIBUTES:
        words = f"{attribute.more}, {attribute.less}" if attribute.more else MISSING
        cells = [f"`{attribute.name}`", attribute.unit, worlds[attribute.needs], words]
        for kind in ("error", "largest_error"):
            found = held.get(kind, {}).get(attribute.name, {}).get("value")
            cells.append(MISSING if found is None else f"{found:.2g}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def render_modes(root: Path, folder: str = "study/data") -> list[str]:
    """Every kind of input on which a classifier fails: rates of generated images, of real ones, of a second generator.

    folder: of the run, from the root; the study's has MNIST's 10,000 as real images, and a second generator.
    """
    run = root / folder / "find_modes"
    tables = {name: pd.read_csv(require(run / name / "modes.csv", "find_modes")) for name in BOTH}
    second = all("second_rate" in table for table in tables.values())
    heads = ["classifier", "kind of input", "share of the domain", "misread there", "elsewhere"]
    heads += ["of real images", "verdict"] + ["of the second generator's", "verdict"] * second
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, table in tables.items():
        for row in table.to_dict("records"):

            def tell(key: str, n: str = "n", row: dict[Any, Any] = row) -> str:
                if not row[n]:
                    return f"{MISSING} of 0"
                return f"{row[key]:.2f} [{row[f'{key}_low']:.2f}, {row[f'{key}_high']:.2f}] of {int(row[n]):,}"

            cells = [f"`{name}`", row["sentence"], f"{row['share']:.3f}", tell("rate"), f"{row['rate_elsewhere']:.3f}"]
            cells += [tell("real_rate", "n_real"), row["verdict"]]
            cells += [tell("second_rate", "n_second"), row["second_verdict"]] if second else []
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def render_clauses(root: Path) -> list[str]:
    """Every clause with what supports it in the default run, and what of it nothing here supports."""
    heads = ("clause", "about", "here", "by", "what is not shown", "source")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for each in support_clauses(read_json(root / "data/acceptance/gates.json", "acceptance")["criteria"]):
        clause = each.clause
        by = "; ".join(filter(None, [each.criteria, clause.artefacts])) or MISSING
        cells = [f"{clause.standard} {clause.clause}", clause.asks, each.state, by, clause.missing or MISSING]
        lines.append(f"| {' | '.join([*cells, clause.source])} |")
    return lines


def render_page(text: str, root: Path, page: str) -> str:
    """A page with all its tables written anew; StageError for a name that there is no table of."""

    def replace(found: re.Match[str]) -> str:
        name = found[1]
        others: dict[str, Callable[[Path], list[str]]] = {
            CLAIMS: render_claims, VOCABULARY: render_attributes, MODES: render_modes, CLAUSES: render_clauses,
            SIGNS_MODES: partial(render_modes, folder=SIGNS),
        }  # fmt: skip
        if name not in {*TABLES, *others}:
            raise StageError(f"{page}: table '{name}': allowed: {', '.join(sorted([*TABLES, *others]))}")
        lines = others[name](root) if name in others else render_table(name, root)
        return "\n".join([BEGIN.format(name), "", *lines, "", END])

    return re.sub(BEGIN.format("([^\n]*?)") + f".*?{END}", replace, text, flags=re.DOTALL)


def copy_pictures(root: Path) -> None:
    """Bring docs/figures up to date with the run, as far as its figures are there."""
    for shown in SHOWN:
        source, target = root / "data" / shown, root / FIGURES / Path(shown).name
        if not source.is_file():
            logging.info("%s is not there, so that %s stays: dvc pull, or make repro", source, target)
        elif not target.is_file() or target.read_bytes() != source.read_bytes():
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)
            print(target.relative_to(root))


def main(root: Annotated[Path, typer.Option(help="The project.")] = Path()) -> None:
    """Write the tables of README and docs anew from the metrics of the run and the study; copy the pictures."""
    for page in PAGES:
        path = root / page
        old = path.read_text(encoding="utf-8")
        new = render_page(old, root, page)
        if new != old:
            with replacing(path) as temporary:
                temporary.write_text(new, encoding="utf-8")
            print(page)
    copy_pictures(root)


if __name__ == "__main__":
    run_stage(main, "report")
