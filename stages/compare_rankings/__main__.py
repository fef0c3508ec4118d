"""Compare rankings: read, rank in every way, measure on fresh samples, test for influence, write."""

import logging
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from failure_atlas.core.arrays import read_array
from failure_atlas.core.device import choose_device
from failure_atlas.core.files import require, write_csv, write_json
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.drawing.style import save_figure
from failure_atlas.judges.ensemble import ask, load_judge
from stages.common.artefacts.names import read_names
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.population import read_samples
from stages.common.artefacts.ranking import SCORE_BY, read_ranking
from stages.common.command import (
    ClassifierOption,
    GeneratorOption,
    NamesOption,
    OutOption,
    ParamsOption,
    PopulationOption,
    run_stage,
)
from stages.common.params import load_section
from stages.compare_rankings.attfind import count_passes, find_effects
from stages.compare_rankings.checks import check_agreement
from stages.compare_rankings.figures import draw_comparison, draw_influence
from stages.compare_rankings.gradients import PROBABILITY, average_gradients
from stages.compare_rankings.influence import bound_directions
from stages.compare_rankings.methods import FULL
from stages.compare_rankings.outputs import Reader
from stages.compare_rankings.paired import draw_resamples
from stages.compare_rankings.params import CompareRankingsParams
from stages.compare_rankings.principal import find_principal, map_directions
from stages.compare_rankings.rankers import ATTFIND, GRADIENTS, SMALL, build_methods, is_measured_everywhere
from stages.compare_rankings.ranking_pass import pass_gradients
from stages.compare_rankings.samples import draw_styles, take_balanced, weigh_classes
from stages.compare_rankings.shifts import judge_outcome, measure_shifts, select_cell
from stages.compare_rankings.slopes import choose_slopes
from stages.compare_rankings.stability import judge_influence
from stages.compare_rankings.summary import (
    choose_best,
    list_attfind_leads,
    summarize_comparison,
    tell_comparison,
    tell_slopes,
)
from stages.compare_rankings.tables import UNMOVED, tabulate_cells, tabulate_influence, tabulate_methods
from stages.compare_rankings.walks import LEVEL, collect_directions, walk_coarsely

BAND = 0.95  # share of random directions in the band of the figure


def main(
    generator: GeneratorOption,
    classifier: ClassifierOption,
    judge: Annotated[Path, typer.Option(help="The weights file of the judge ensemble.")],
    population: PopulationOption,
    names: NamesOption,
    out: OutOption,
    ranking: Annotated[
        Path | None, typer.Option(help="Result folder of rank_dimensions for this classifier, to check against.")
    ] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Compare rankings of style dimensions on samples that none of them saw, and test which dimensions are influential.

    With a classifier that gives no gradients, their place is taken by central differences on fewer samples.
    Leaves comparison.csv, shifts.csv, influence.csv, metrics.json and figures of the comparison and of the influence.
    """
    section = load_section(params, CompareRankingsParams, "compare_rankings")
    device = choose_device()
    network, under_test = load_networks(generator, classifier, device)
    whole = read_samples(population, network)
    ensemble = load_judge(require(judge, "train_judges"), whole.class_names, device)
    words = read_names(names)
    dimensions = network.style_dimensions
    std = whole.std
    slopes = choose_slopes(params, section, under_test, std, len(whole.styles), network.num_classes)
    published = read_ranking(ranking) if ranking is not None else None

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(section.seed, "compare_rankings", name)

    # What the rankings see: one set of samples, of which the cheaper ones take the first of every class.
    rows = take_balanced(whole.true_class, section.samples)
    styles, true_class = whole.styles[rows], whole.true_class[rows]
    ranked = take_balanced(true_class, slopes.samples)
    started = time.monotonic()
    with Progress("slopes" if slopes.told else "gradients", len(ranked), "samples") as progress:
        gradients = pass_gradients(
            network.synthesize,
            under_test,
            styles[ranked],
            true_class[ranked],
            std,
            few=slopes.few or len(ranked),
            split_halves=section.split_halves,
            replicates=section.bootstrap_replicates,
            random=stream("halves"),
            batch_size=slopes.batch_size,
            device=device,
            on_batch=progress.advance,
            differentiate=slopes.differentiate,
        )
    logging.info("gradients of %d samples: %.1f s", len(ranked), time.monotonic() - started)
    agreement = {}
    if ranking is not None and published is not None:
        same = len(ranked) == len(whole.styles) and not slopes.told and SCORE_BY not in published
        agreement = check_agreement(ranking / "ranking.csv", published, gradients.scores["paper"], whole=same)
    started = time.monotonic()
    tried = take_balanced(true_class, section.attfind_samples)
    with Progress("AttFind", count_passes(len(tried), dimensions), "img") as progress:
        effects = find_effects(
            network,
            under_test,
            styles[tried],
            true_class[tried],
            weigh_classes(true_class[tried], np.ones((1, len(tried))))[0],
            np.stack([whole.styles.min(axis=0), whole.styles.max(axis=0)]),
            batch_size=section.batch_size,
            on_batch=progress.advance,
        )
    logging.info("AttFind on %d samples: %.1f s", len(tried), time.monotonic() - started)
    count = max(*section.top_k, section.walk_dimensions)
    w = read_array(population / "population.zarr", "w")[rows]
    varying = np.where(std > 0, std, 1)
    principal = {
        "pca_w": map_directions(network, find_principal(w, count)) / varying,
        "pca_s": find_principal(styles / varying, count),
    }
    methods = build_methods(
        gradients,
        effects,
        principal,
        samples=len(ranked),
        passes=slopes.passes,
        few=slopes.few,
        attfind_samples=len(tried),
        count=count,
        random_draws=section.random_draws,
        random=stream("random dimensions"),
    )

    # The best of each kind is chosen on samples of their own: on those of the comparison, luck would choose.
    reader = Reader(network.synthesize, under_test, lambda images: ask(ensemble, images), section.batch_size, device)
    headline = (section.headline_k, section.headline_shift_std)
    rivals = [method for method in methods if method.name in (*GRADIENTS, *ATTFIND)]
    held_out = section.held_out_samples
    seen, seen_class = draw_styles(network, held_out, stream("choice"))
    fresh, fresh_class = draw_styles(network, held_out, stream("held out"))
    every = [(k, shift) for k in section.top_k for shift in section.shifts_std]
    grid = {method.label: every if is_measured_everywhere(method) else [headline] for method in methods}
    total = held_out * (len(rivals) + sum(map(len, grid.values())))
    with Progress("moving held-out samples", total, "img") as progress:
        alone = {method.label: [headline] for method in rivals}
        choice = select_cell(
            measure_shifts(reader, rivals, alone, seen, seen_class, std, on_cell=progress.advance), headline
        )
        outcomes = measure_shifts(
            reader,
            methods,
            grid,
            fresh,
            fresh_class,
            std,
            judged=headline,
            confidence=ensemble.confidence,
            on_cell=progress.advance,
        )
    unmoved = judge_outcome(reader.classifier(fresh), fresh_class)
    cheapest = FULL if slopes.few is None else SMALL
    best, best_full, reference = (
        choose_best((m.label for m in rivals if m.name in names and m.budget == budget), choice)
        for names, budget in ((GRADIENTS, cheapest), (GRADIENTS, FULL), (ATTFIND, FULL))
    )

    starts = np.stack([whole.styles[whole.true_class == index].mean(axis=0) for index in range(network.num_classes)])
    start_class = np.arange(network.num_classes)
    sure = judge_outcome(reader.classifier(starts), start_class).probability > LEVEL
    steps, columns = collect_directions(methods, section.walk_dimensions)
    with Progress("walking from class means", int(sure.sum()) * len(steps), "walks") as progress:
        walks = walk_coarsely(
            reader.classifier,
            reader.opinion,
            starts[sure],
            start_class[sure],
            steps * std,
            max_shift_std=section.max_shift_std,
            confidence=ensemble.confidence,
            on_end=progress.advance,
        )

    second, second_class = draw_styles(network, len(ranked) // 2, stream("second population"))
    with Progress("gradients of a second population", len(second), "samples") as progress:
        other = average_gradients(
            network.synthesize,
            under_test,
            second,
            second_class,
            {PROBABILITY: weigh_classes(second_class, np.ones((1, len(second))))},
            batch_size=slopes.batch_size,
            device=device,
            on_batch=progress.advance,
            differentiate=slopes.differentiate,
        )[PROBABILITY][0]
    effect, error = gradients.mean * std, gradients.moments.global_standard_error() * std
    influence = judge_influence(
        effect,
        (gradients.halves[0] * std, gradients.halves[1] * std),
        gradients.replicates * std,
        other * std,
        error,
        fdr=section.fdr,
        samples=len(ranked),
    )

    resamples = draw_resamples(held_out, stream("resamples"))
    own_cell = select_cell(outcomes, headline)
    own_walks = {label: walks.select(places) for label, places in columns.items()}
    comparison = tabulate_methods(methods, own_cell, own_walks, reference, resamples, section.max_shift_std)
    shifts = tabulate_cells(methods, outcomes, unmoved)
    table = tabulate_influence(network.style_layout(), words, influence.columns)
    metrics = {
        "samples": len(ranked),
        **slopes.told,
        "style_dimensions": dimensions,
        **summarize_comparison(
            methods, own_cell, unmoved, best, best_full, reference, resamples, section.attfind_margin
        ),
        "attfind_leads": list_attfind_leads(outcomes, GRADIENTS, ATTFIND[0], resamples),
        **influence.metrics,
        **agreement,
        "starts": len(starts),
        "starts_in_doubt": int((~sure).sum()),
    }
    logging.info(tell_comparison(metrics))

    write_csv(out / "comparison.csv", comparison)
    write_csv(out / "shifts.csv", shifts)
    write_csv(out / "influence.csv", table)
    lines = shifts[(shifts["method"] == UNMOVED) | (shifts["k"] == section.headline_k)].reset_index(drop=True)
    figure = draw_comparison(lines, comparison, *headline, note=tell_slopes(slopes.told))
    save_figure(figure, out / "figures" / "comparison.png", lines)
    figure = draw_influence(table, bound_directions(effect, BAND), BAND, note=tell_slopes(slopes.told))
    save_figure(figure, out / "figures" / "influence.png", table)
    write_json(out / "metrics.json", metrics)


if __name__ == "__main__":
    run_stage(main, "compare_rankings")
