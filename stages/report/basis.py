"""What the numbers rest on: counts, intervals, seeds, params, and the SHA-256 of every file read."""

from collections.abc import Iterator, Mapping
from typing import Any

from stages.common.params import format_params
from stages.report.blocks import Block, Group, Listing, PageSection, Table, Text
from stages.report.pictures import show_figure
from stages.report.results import Results
from stages.report.wording import list_metrics, tell_number

STATISTICS = (
    "Intervals are for 95 %. Shares carry Wilson score intervals; means over independent repeats Student intervals; "
    "areas and medians bootstrap intervals, or those of Brookmeyer and Crowley where some walks never arrive, as their "
    "stage says. An interval tells what chance in drawing samples does, given this generator, this training and these "
    "seeds; it does not tell how another training would come out."
)
ORIGINS = (
    "Probabilities of the judge are calibrated on real test images. Generated samples are drawn with fixed seeds, with "
    "classes in equal shares; the generator's noise inputs are fixed. The same inputs, params and machine give the "
    "same page, byte by byte."
)


def show_basis(results: Results, params: Mapping[str, Any]) -> PageSection:
    """Counts, seeds, params, digests; call it last, when all files have been read."""
    counts: list[Block] = [
        list_metrics("Images", [(f"{split} images", f"{split}_images") for split in ("train", "test")],
                     results.read_metrics("prepare_images")),
        _count_corrupted(results),
        list_metrics("Generator and population",
                     [("real training images of this run", "training_images"),
                      ("thousand images seen in training", "kimg"),
                      ("parameters of the generator", "generator_parameters"),
                      ("style dimensions", "style_dimensions")], results.read_metrics("train_stylegan2")),
        list_metrics("Samples", [("generated samples", "samples"), ("classes", "classes"),
                                 ("style dimensions that change nothing", "dead_dimensions")],
                     results.read_metrics("sample_populations")),
        show_figure(results, "corrupt_images", "severities"),
    ]  # fmt: skip
    seeds = Table(
        "Seeds",
        ["param", "seed"],
        [[key, str(seed)] for section, held in params.items() for key, seed in _find_seeds(section, held)],
    )
    listings = [Listing(str(section), format_params(held).rstrip()) for section, held in params.items()]
    digests = Table(
        "SHA-256 of every file that this page was made from",
        ["file below the folder of results", "SHA-256"],
        [[name, digest] for name, digest in sorted(results.digests.items())],
    )
    return PageSection(
        "basis",
        "What the numbers rest on",
        [Text(STATISTICS), Text(ORIGINS)],
        [
            Group("Data", counts),
            Group("Seeds of all stages", [seeds], folded=True),
            Group("Params of all stages", listings, folded=True),
            Group(f"Files and their hashes ({len(results.digests)})", [digests], folded=True),
        ],
    )


def tell_images(results: Results) -> str:
    """What was noticed about all images when they were read, as sentences for the top of the page; else empty."""
    warnings = results.read_metrics("prepare_images").content.get("warnings", [])
    return "".join(f" Noticed in the images: {warning}." for warning in warnings)


def _count_corrupted(results: Results) -> Table:
    metrics = results.read_metrics("corrupt_images")
    rows = [
        [f"{kind} {split} images", tell_number(metrics.number(f"{split}_{kind}_images"))]
        for split in ("train", "test")
        for kind in ("clean", "corrupted")
    ]
    return Table("Corruption", ["", "images"], rows)


def _find_seeds(name: str, held: Any) -> Iterator[tuple[str, int]]:
    items = held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else []
    for key, value in items:
        if key == "seed":
            yield f"{name}.seed", value
        else:
            yield from _find_seeds(f"{name}.{key}", value)
