"""Whether what generated images say of a classifier holds of real ones, and how these were found in its world."""

from stages.report.figures import show_figure
from stages.report.page import Badge, Block, Table, Text
from stages.report.results import Results
from stages.report.wording import TEXTS, UNKNOWN, name_bounds, tell_metric, tell_row

INVERTED = "invert_images"
SIDES = ("generated", "real")
CLAIMS = {
    "distance": "errors lie farther from the centre of their class",
    "distance, auditor agrees": "the same, of images on which the auditor keeps its answer",
    "projection": "errors lie farther along the leading directions together",
}
COLUMNS = ("claim", "dimension", "name", "verdict", *name_bounds(*SIDES), "generated_n", "real_n")
CHANCE = 0.5
TONES = {"corroborated": "good", "contradicted": "bad", "too few real images": "open"}


def show_real(results: Results, name: str) -> list[Block]:
    """Each claim on generated and on real images with its verdict, figures, and the nearest failures of real images."""
    place = f"corroborate/{name}"
    metrics, inverted = results.read_metrics(place), results.read_metrics(INVERTED)
    told = {
        "name": name,
        "kept": tell_metric(inverted, f"{name}_kept_share"),
        "fresh": tell_metric(inverted, f"under_fresh_noise.{name}_kept_share"),
        "failed": tell_metric(inverted, "failed_share"),
        **{key: int(metrics.number(key)) for key in ("cases", "controls", "cases_left_out")},
        **{key: int(metrics.number(f"directions.{key}")) for key in ("corroborated", "contradicted", "decidable")},
    }
    blocks: list[Block] = [Text(TEXTS["real"].format(**told)), _list_claims(results, place, name)]
    blocks.append(show_figure(results, place, "corroboration", name))
    if results.has(f"find_failures/{name}/figures/real_images.png"):  # a run may have found none
        blocks.append(show_figure(results, f"find_failures/{name}", "real_images", name))
    return blocks


def _list_claims(results: Results, place: str, name: str) -> Table:
    file = f"{place}/claims.csv"
    rows: list[list[str | Badge]] = []
    for row in results.read_table(file, COLUMNS).to_dict("records"):
        how = "farther" if row["generated"] >= CHANCE else "less far"
        claim = CLAIMS.get(str(row["claim"]), f"errors lie {how} along {row['dimension']} ({row['name']})")
        sides = [tell_row(row, side, int(row[f"{side}_n"])) if row[f"{side}_n"] else UNKNOWN for side in SIDES]
        verdict = str(row["verdict"])
        rows.append([claim, *sides, Badge(verdict, TONES[verdict]) if verdict in TONES else verdict])
    columns = ["claim", "generated images: area under the ROC curve", "real images", "verdict"]
    return Table(f"What real images say to it: {name}", columns, rows, results.offer(file))
