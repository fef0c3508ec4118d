"""Make the page: read all results, draw what trainings left, compute the explorer's pictures, write one HTML file."""

import logging
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from failure_atlas.core.device import choose_device
from failure_atlas.core.files import replacing
from stages.common.classifier_params import complete_entries
from stages.common.classifiers import read_classifiers
from stages.common.command import OutOption, ParamsOption, run_stage
from stages.common.params import load_section, read_params
from stages.report.atlas import answer, draw_strips, show_atlas, summarise_all
from stages.report.basis import show_basis, tell_black_boxes, tell_images
from stages.report.explorer import explore
from stages.report.failures import show_failures
from stages.report.measures import show_comparison, show_distances, show_quality
from stages.report.page import Explorer, PageSection, Text, render_page
from stages.report.params import ReportParams
from stages.report.results import TRAINED, Results
from stages.report.verdicts import show_argument, show_claims, show_verdicts
from stages.report.wording import TEXTS

TITLE = "On what does the classifier fail, and how far is it from failing?"
EXPLORER = "Explorer: move an image until it fails"


def main(
    results: Annotated[Path, typer.Option(help="Folder that holds the result folders of all stages.")],
    out: OutOption,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Write report.html: what is found of each classifier on the first screen, then modes, explorer, and all evidence.

    The page opens from disk, asks nothing of the network, and holds every metrics.json as it is. Beside it stand the
    figures of judges and classifiers, drawn from the tables that their trainings left.
    """
    section = load_section(params, ReportParams, "report")
    read = Results(results, read_classifiers(params), read_params(params).get("generator", TRAINED))
    explained = TEXTS["explorer"].format(max_shift_std=section.max_shift_std)
    with TemporaryDirectory() as drawn:
        summaries = summarise_all(read)
        strips = [draw_strips(read, each) for each in summaries]
        sections = [
            show_atlas(read, summaries, strips),
            PageSection("explorer", EXPLORER, [Text(explained), Explorer()], folded=False),
            show_verdicts(read),
            show_argument(read, read_params(params)),
            show_failures(read),
            show_distances(read),
            show_comparison(read),
            show_quality(read, Path(drawn)),
            show_claims(read),
        ]
        explorer = explore(read, section, choose_device())  # the only long work: after all else is known good
        sections.append(show_basis(read, complete_entries(read_params(params), params)))
        answers = [answer(*each) for each in zip(summaries, strips, strict=True)]
        noticed = " ".join(filter(None, [tell_black_boxes(read), tell_images(read)]))
        page = render_page(TITLE, noticed, answers, sections, read.metrics, explorer)
        with replacing(out / "report.html") as temporary:
            temporary.write_text(page, encoding="utf-8")
        with replacing(out / "figures") as temporary:
            shutil.copytree(drawn, temporary)
    size, files, moves = len(page.encode()) / 1e6, len(read.digests), len(explorer["moves"])
    logging.info("report.html: %.1f MB, %d files read, %d directions to explore", size, files, moves)


if __name__ == "__main__":
    run_stage(main, "report")
