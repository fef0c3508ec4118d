"""What the numbers rest on: counts, intervals, seeds, params, and the SHA-256 of every file read."""

from collections.abc import Iterator, Mapping
from typing import Any

from stages.common.params import format_params
from stages.report.figures import show_figure
from stages.report.page import Block, Group, Listing, PageSection, Table, Text
from stages.report.results import Results
from stages.report.wording import TEXTS, list_metrics

COUNTS = {"images": "Images", "corruption": "Corruption", "training": "Generator and population", "samples": "Samples"}


def show_basis(results: Results, params: Mapping[str, Any]) -> PageSection:
    """Counts, seeds, params, digests; call it last, when all files have been read."""
    counts: list[Block] = [list_metrics(words, key, results.read_metrics) for key, words in COUNTS.items()]
    counts.append(show_figure(results, "corrupt_images", "severities"))
    counts.append(show_figure(results, "measure_attributes", "attribute_errors"))
    seeds = [[key, str(seed)] for section, held in params.items() for key, seed in _find_seeds(section, held)]
    listings = [Listing(str(section), format_params(held).rstrip()) for section, held in params.items()]
    digests, columns = sorted(results.digests.items()), ["file below the folder of results", "SHA-256"]
    groups = [
        Group("Data", counts, folded=False),
        Group("Seeds of all stages", [Table("Seeds", ["param", "seed"], seeds)]),
        Group("Params of all stages", listings),
        Group(
            f"Files and their hashes ({len(digests)})",
            [Table("SHA-256 of every file that this page was made from", columns, digests)],
        ),
    ]
    texts = [Text(TEXTS["statistics"]), Text(TEXTS["origins"])]
    return PageSection("basis", "What the numbers rest on", texts, groups)


def tell_black_boxes(results: Results) -> str:
    """Which classifiers under test give no gradients, as a sentence for the top of the page; empty if all do."""
    metrics = {name: results.read_metrics(f"rank_dimensions/{name}").content for name in results.classifiers}
    opaque = [name for name in metrics if metrics[name].get("classifier_gives_gradients") is False]
    if not opaque:
        return ""
    those = "is a black box" if len(opaque) == 1 else "are black boxes"
    return f" Without gradients: {', '.join(opaque)}, which {those}, ranked by finite differences."


def tell_images(results: Results) -> str:
    """What was noticed about all images when they were read, as sentences for the top of the page; else empty."""
    warnings = results.read_metrics("prepare_images").content.get("warnings", [])
    return "".join(f" Noticed in the images: {warning}." for warning in warnings)


def _find_seeds(name: str, held: Any) -> Iterator[tuple[str, int]]:
    items = held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else []
    for key, value in items:
        if key == "seed":
            yield f"{name}.seed", value
        else:
            yield from _find_seeds(f"{name}.{key}", value)
