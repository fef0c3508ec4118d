"""Accuracy against distance, and under a move along the leading directions, of generated and of real images."""

from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.core.seeds import numpy_stream
from failure_atlas.curves.shift import ask_shifted, build_move, space_shifts
from failure_atlas.inversion.corroboration import bin_accuracy, find_bins, place_in_bins, weigh_cases
from failure_atlas.statistics.bootstrap import draw_counts
from failure_atlas.statistics.estimates import NAN, Estimate, mean, percentile, read_estimate, subtract, wilson
from stages.corroborate.claims import score_distance
from stages.corroborate.inputs import Compared
from stages.corroborate.params import CorroborateParams


def compare_by_distance(compared: Compared, section: CorroborateParams) -> tuple[pd.DataFrame, dict[str, Any]]:
    """One row a bin of distance; bins hold equally many generated samples. And the mean difference of accuracies.

    Real images are weighted, see `weigh_cases`. Those beyond the last bin are in none.
    """
    made, real = (score_distance(compared, section, each) for each in (compared.deviations, compared.real_deviations))
    edges = find_bins(made, section.bins, section.tail_quantile)
    place = place_in_bins(made, edges)
    inside = place[:, None] == np.arange(section.bins)
    total, right = inside.sum(axis=0), (inside & compared.well[:, None]).sum(axis=0)
    low, high = wilson(right, total)
    images = len(np.unique(compared.image))
    stream = numpy_stream(section.seed, "corroborate", "bootstrap")
    counts = draw_counts(images, section.replicates, stream) if images else np.zeros((section.replicates, 0))
    found = bin_accuracy(
        place_in_bins(real, edges), compared.case, weigh_cases(compared.case, compared.error_rate), compared.image,
        section.bins, counts,
    )  # fmt: skip
    table = pd.DataFrame(
        {
            "distance_low": edges[:-1], "distance_high": edges[1:],
            "distance": [float(np.median(made[column])) if column.any() else NAN for column in inside.T],
            "generated": right / np.maximum(total, 1), "generated_low": low, "generated_high": high,
            "generated_n": total,
            "real": found.accuracy, "real_low": found.low, "real_high": found.high, "real_n": found.count,
            "real_cases": found.cases,
        }
    )  # fmt: skip
    known = np.isfinite(found.replicates).all(axis=0) & (found.count > 0)
    gap = Estimate(NAN, n=len(real))
    if known.any() and 0 < compared.case.sum() < len(compared.case):
        apart = (found.accuracy - table["generated"].to_numpy())[known].mean()
        bounds = percentile(found.replicates[:, known].mean(axis=1) - table["generated"].to_numpy()[known].mean())
        gap = Estimate(float(apart), *bounds, len(real))
    return table, {"accuracy_gap": gap.as_dict()}


def compare_by_shift(compared: Compared, section: CorroborateParams) -> tuple[pd.DataFrame, dict[str, Any]]:
    """One row a shift along the leading directions together: accuracy of as many generated as real images.

    Real images are those of the random sample that the classifier gets right, and their reconstructions, too; generated
    ones the first of the population that it gets right. `shift_gap`: mean accuracy over all shifts, real less
    generated.
    """
    shifts = space_shifts(section.max_shift_std, section.shift_step_std)
    leading = compared.order[: section.dimensions]
    move = build_move(leading, compared.direction, compared.std)
    found, controls = compared.real.found, np.flatnonzero(~compared.case)
    shown = compared.world.show(found.styles[controls], noise=found.noise[controls], keep_images=False)
    controls = controls[shown.predicted() == compared.real.true_class[controls]]
    some = np.flatnonzero(compared.well)[: len(controls)]
    sides = {
        "generated": (compared.samples.styles[some], compared.samples.true_class[some], compared.samples.noise[some]),
        "real": (found.styles[controls], compared.real.true_class[controls], found.noise[controls]),
    }
    columns: dict[str, Any] = {"shift_std": shifts}
    areas = {}
    for side, (styles, true_class, noise) in sides.items():
        (right,) = ask_shifted(compared.world, styles, move, true_class, shifts, noise=noise)
        low, high = wilson(right.sum(axis=1), np.full(len(shifts), len(styles)))
        share = right.sum(axis=1) / len(styles) if len(styles) else np.full(len(shifts), NAN)
        columns |= {side: share, f"{side}_low": low, f"{side}_high": high, f"{side}_n": len(styles)}
        areas[side] = read_estimate(mean(right.mean(axis=0))) if len(styles) else Estimate(NAN, n=0)
    return pd.DataFrame(columns), {"shift_gap": subtract(areas["real"], areas["generated"]).as_dict()}
