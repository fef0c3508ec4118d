"""What the numbers rest on: counts, intervals, params with their seeds, and the SHA-256 of every file read."""

from collections.abc import Mapping
from typing import Any

from stages.common.params import format_params
from stages.report.figures import show_figure
from stages.report.page import Block, Group, Listing, PageSection, Table, Text
from stages.report.results import Results
from stages.report.wording import TEXTS, list_metrics

COUNTS = {"images": "Images", "corruption": "Corruption", "training": "Generator and population", "samples": "Samples"}


def show_basis(results: Results, params: Mapping[str, Any]) -> PageSection:
    """Counts, params, digests; call it last, when all files have been read."""
    counts: list[Block] = [list_metrics(words, key, results.read_metrics) for key, words in COUNTS.items()]
    counts.append(show_figure(results, "corrupt_images", "severities"))
    counts.append(show_figure(results, "measure_attributes", "attribute_errors"))
    listings = [Listing(str(section), format_params(held).rstrip()) for section, held in params.items()]
    digests, columns = sorted(results.digests.items()), ["file below the folder of results", "SHA-256"]
    groups = [
        Group("Data", counts),
        Group("Params and seeds of all stages", listings),
        Group(
            f"Files and their hashes ({len(digests)})",
            [Table("SHA-256 of every file that this page was made from", columns, digests)],
        ),
    ]
    texts = [Text(TEXTS["statistics"]), Text(TEXTS["origins"])]
    told = TEXTS["inside_basis"].format(files=len(digests))
    return PageSection("basis", "What the numbers rest on", texts, groups, told)


def tell_black_boxes(results: Results) -> str:
    """Which classifiers under test give no gradients, as a sentence for the top of the page; empty if all do."""
    metrics = {name: results.read_metrics(f"rank_dimensions/{name}").content for name in results.classifiers}
    opaque = [name for name in metrics if metrics[name].get("classifier_gives_gradients") is False]
    if not opaque:
        return ""
    those = "is a black box" if len(opaque) == 1 else "are black boxes"
    return f"Without gradients: {', '.join(opaque)}, which {those}, ranked by finite differences."


def tell_images(results: Results) -> str:
    """What was noticed about all images when they were read, as sentences for the top of the page; else empty."""
    warnings = results.read_metrics("prepare_images").content.get("warnings", [])
    return " ".join(f"Noticed in the images: {warning}." for warning in warnings)
