"""The tables and pictures of README and docs, anew from the run's results: `python -m stages.report.documents`.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; everything else on a page is written by hand. The
pictures are copies in docs/figures, because git holds no figures of a run.
"""

import json
import logging
import math
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import replacing, require
from failure_atlas.decisions.metrics import find_estimate
from stages.common.command import run_stage

BEGIN, END = "<!-- table: {} -->", "<!-- end -->"
PAGES = ("README.md", "docs/findings.md", "docs/generator.md", "docs/images.md")
BOTH = ("clean", "corrupted")
FIGURES = Path("docs/figures")
SHOWN = (  # at most ten: each run that is committed adds them to git once more
    "qualify_generator/figures/fig2_real_above_generated.png",
    "sample_populations/figures/fig3_spaces.png",
    "name_directions/corrupted/figures/fig4_well_against_mis.png",
    "name_directions/corrupted/figures/directions.png",
    "walk_corner_cases/corrupted/figures/fig5_degradation_class3.png",
    "walk_corner_cases/corrupted/figures/fig7_corner_cases.png",
    "judge_failures/corrupted/figures/contact_sheet.png",
    "compute_curves/figures/fig6a_classifiers.png",
    "compute_curves/figures/shift.png",
    "acceptance/figures/gates.png",
)
MISSING = "–"
SMALL = 1e-4  # below it a number, a p-value, is told by its size


@dataclass(frozen=True)
class Row:
    """A line of a table: words, and the metric of each column as "FOLDER: KEY", `{}` being the column's name."""

    words: str
    metric: str
    digits: int = 3
    bold: bool = False


@dataclass(frozen=True)
class Table:
    """Columns side by side, from the metrics below one folder; with_n: whether each value tells its count."""

    rows: Sequence[Row]
    columns: Sequence[str] = BOTH
    folder: str = "data"
    with_n: bool = True
    heads: Sequence[str] = field(default=())


def _verdicts(words: str, part: str, key: str) -> Row:
    return Row(words, f"judge_failures/{{}}: {part}{key}", 2)


DISTANCES = (
    ("well-classified samples", "from_samples"),
    ("the ten class means", "from_means"),
)
TABLES: dict[str, Table] = {
    "headline": Table(
        [
            Row("accuracy on real corrupted test images", "train_classifiers/{}: corrupted_test_accuracy"),
            Row("accuracy on generated images", "rank_dimensions/{}: population_accuracy"),
            Row("area under accuracy against distance, top 100 dimensions", "compute_curves: {}.area"),
            Row("true failures among claimed failures, by the judge", "judge_failures/{}: true_failure_share", 2),
            Row(
                "median distance of samples to failure, std, all dimensions jointly",
                "measure_robustness/{}: from_samples.joint.median_std",
                2,
            ),
        ]
    ),
    "accuracy": Table(
        [
            Row("accuracy on the clean test images", "train_classifiers/{}: clean_test_accuracy"),
            Row("accuracy on the corrupted test images", "train_classifiers/{}: corrupted_test_accuracy"),
            Row("accuracy on generated images", "rank_dimensions/{}: population_accuracy"),
            Row("area under accuracy against distance, top 100 dimensions", "compute_curves: {}.area"),
            Row("of the area lost, what the judge would not have lost", "compute_curves: {}.avoidable_area"),
            Row("area under accuracy against shift, top 10 dimensions, 0 to 5 std", "compute_curves: {}.shift_area"),
            Row("the same along random dimensions (n: draws)", "compute_curves: {}.random_shift_area"),
            Row("the same for the judge, along the top 10 dimensions", "compute_curves: {}.shift_ceiling_area"),
            Row(
                "halves of the population: share of the top 10 that agrees",
                "rank_dimensions/{}: split_half_top10_overlap",
                2,
            ),
        ]
    ),
    "trends": Table(
        [
            Row("against distance", "compute_curves: {}.trend_p_value", 2),
            Row("against the signed projection", "compute_curves: {}.projection_trend_p_value", 2),
            Row("against shift", "compute_curves: {}.shift_trend_p_value", 2),
        ]
    ),
    "failures": Table(
        [
            _verdicts("true failures among claimed failures", "", "true_failure_share"),
            _verdicts("label changed", "", "label_changed_share"),
            _verdicts("unreadable", "", "unreadable_share"),
            _verdicts("still right", "", "still_right_share"),
            _verdicts("true failures among the misclassified samples alone", "population.", "true_failure_share"),
            _verdicts("corner cases, at 0.50: true failures", "corner_cases.", "true_failure_share"),
            _verdicts(
                "corner cases, at 0.50: the judge reads the class that was meant", "corner_cases.", "label_kept_share"
            ),
            _verdicts(
                "corner cases farther out in S than 99 % of the population", "corner_cases.", "far_out_in_s_share"
            ),
            _verdicts(
                "real test images that the classifier gets wrong: true failures, by the judge",
                "real_images.",
                "true_failure_share",
            ),
            _verdicts("false alarms of the judge among these: label changed", "", "judge_false_alarm_share"),
            Row("walks on which the search finds a true failure", "walk_corner_cases/{}: true_failure_walks", 2),
            _verdicts("of these, the auditor confirms", "", "confirmed_true_failure_share"),
            _verdicts(
                "of these, the auditor is as sure as the judge has to be", "", "strictly_confirmed_true_failure_share"
            ),
        ]
    ),
    "distances": Table(
        [
            Row(
                "walks from class means along one dimension that reach 0.50 within 5 std",
                "walk_corner_cases/{}: reached_within_5_std",
                2,
            ),
            Row("the same within 20 std", "walk_corner_cases/{}: reached_within_20_std", 2),
            *(
                Row(f"median distance of {start}, {how}, std", f"measure_robustness/{{}}: {part}.{key}.median_std", 2)
                for start, part in DISTANCES
                for how, key in (
                    ("best single dimension of ten", "single"),
                    ("all dimensions jointly down the gradient", "joint"),
                    ("the smallest set that a greedy search finds", "set"),
                )
            ),
            Row("median size of that set, from samples", "measure_robustness/{}: from_samples.set.median_size", 0),
            Row(
                "joint walks from samples: true failures 1 std beyond 0.50",
                "measure_robustness/{}: from_samples.beyond.true_failure_share",
                2,
            ),
            Row(
                "there, images that the classifier gets wrong",
                "measure_robustness/{}: from_samples.beyond.misclassified",
                2,
            ),
            Row("style dimensions that are influential at all", "compare_rankings/{}: influential_dimensions", 0),
        ]
    ),
    "generator": Table(
        [
            Row("Fréchet distance over the real-data floor", "qualify_generator: frechet_ratio", 2),
            Row("precision", "qualify_generator: precision"),
            Row("precision of real images", "qualify_generator: precision_real"),
            Row("recall", "qualify_generator: recall"),
            Row("recall of real images", "qualify_generator: recall_real"),
            Row("the judge agrees with the label", "qualify_generator: label_consistency"),
            Row("the judge agrees with the label of real images", "qualify_generator: judge_accuracy_real"),
            Row("largest change of a severity's share", "qualify_generator: severity_share_gap"),
            Row("nearer to a training image than 99 % of test images are", "qualify_generator: copies_share"),
            Row("style dimensions that change nothing", "sample_populations: dead_dimensions", 0),
        ],
        columns=("",),
        heads=("default run",),
    ),
    "study": Table(
        [
            Row(
                "area against distance, Spearman with accuracy on real images",
                "validate_externally: spearman.distance area",
                2,
            ),
            Row("area against shift", "validate_externally: spearman.shift area", 2),
            Row("accuracy on the population", "validate_externally: spearman.population accuracy", 2),
        ],
        columns=("",),
        folder="study/data",
        heads=("eighteen classifiers",),
    ),
    "generators": Table(
        [
            Row("overlap of the names of the top 10", "compare_generators/{}: top10_name_share_overlap", 2),
            Row("the same by chance", "compare_generators/{}: top10_name_share_overlap_by_chance", 2),
        ],
        folder="study/data",
    ),
    "clothes": Table(
        [
            Row("accuracy on the clean test images", "train_classifiers/{}: clean_test_accuracy"),
            Row("accuracy on the corrupted test images", "train_classifiers/{}: corrupted_test_accuracy"),
            Row("accuracy on generated images", "rank_dimensions/{}: population_accuracy"),
            Row("area under accuracy against distance, top 100 dimensions", "compute_curves: {}.area"),
            Row("of the area lost, what the judge would not have lost", "compute_curves: {}.avoidable_area"),
            Row("true failures among claimed failures", "judge_failures/{}: true_failure_share", 2),
            Row("single-dimension walks that reach 0.50 within 5 std", "walk_corner_cases/{}: reached_within_5_std", 2),
        ],
        folder="docs/fashion_mnist/metrics",
    ),
}


def render_table(table: Table, root: Path) -> list[str]:
    """The lines of a table in Markdown; root: of the project.  Raises StageError if a metric is missing."""
    heads = table.heads or tuple(f"`{name}`" for name in table.columns)
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for row in table.rows:
        cells = [render_cell(row, root / table.folder, name, with_n=table.with_n) for name in table.columns]
        lines.append(f"| {row.words} | {' | '.join(cells)} |")
    return lines


def render_cell(row: Row, folder: Path, name: str, *, with_n: bool) -> str:
    """`value [low, high] of n`, with the parts that the metric has."""
    where, _, key = row.metric.format(name).partition(": ")
    path = require(folder / where / "metrics.json", where.partition("/")[0])
    try:
        found = find_estimate(json.loads(path.read_text(encoding="utf-8")), key)
    except (KeyError, TypeError) as error:
        raise StageError(
            f"{path}: holds no number {key} ({error}); correct TABLES in stages/report/documents.py"
        ) from error

    def tell(value: float) -> str:
        if math.isnan(value):
            return MISSING
        return f"{value:.0e}" if 0 < abs(value) < SMALL else f"{value:.{row.digits}f}"

    text = tell(found.value)
    if found.has_interval:
        text += f" [{tell(found.low)}, {tell(found.high)}]"
    return f"{text} of {found.n:,}" if with_n and found.n is not None else text


def render_claims(root: Path) -> list[str]:
    """The paper's claims and what was found, from claims.csv."""
    table = pd.read_csv(require(root / "data/check_claims/claims.csv", "check_claims"), dtype=str)
    lines = ["| paper | claim | here |", "|---|---|---|"]
    for _, claim in table.iterrows():
        verdict = claim["verdict"].replace("_", " ")
        told = verdict if verdict == "holds" else f"**{verdict}**"
        lines.append(f"| {claim['source']} | {claim['claim']} | {told} |")
    return lines


def render_page(text: str, root: Path, page: str) -> str:
    """A page with all its tables written anew; StageError for a name that there is no table of."""
    makers: dict[str, Callable[[], list[str]]] = {
        name: partial(render_table, table, root) for name, table in TABLES.items()
    }
    makers["claims"] = partial(render_claims, root)

    def replace(found: re.Match[str]) -> str:
        name = found[1]
        if name not in makers:
            raise StageError(f"{page}: table '{name}': allowed: {', '.join(sorted(makers))}")
        return "\n".join([BEGIN.format(name), "", *makers[name](), "", END])

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
