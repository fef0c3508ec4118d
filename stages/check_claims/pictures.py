"""The figures of this project in which a claim can be looked at."""

from collections.abc import Mapping

_RELIABILITY = "report/figures/train_classifiers/{name}/reliability.png"
_SPACES = "sample_populations/figures/fig3_spaces.png"
_HISTOGRAMS = "name_directions/{name}/figures/fig4_well_against_mis.png"
_CURVES = "compute_curves/figures/fig6a_classifiers.png"
_SHIFT = "compute_curves/figures/shift.png"

FIGURES: Mapping[str, str] = {
    "corrupted_accuracy": _RELIABILITY,
    "corruption_impact": _RELIABILITY,
    "corrupted_training": _RELIABILITY,
    "s_separates_better_than_w": _SPACES,
    "w_separates_better_than_z": _SPACES,
    "top_histograms_differ": _HISTOGRAMS,
    "random_histograms_agree": _HISTOGRAMS,
    "ranking_is_stable": "name_directions/{name}/figures/ranking.png",
    "ranking_tells_influence": _SHIFT,
    "top_dimensions_bring_avoidable_failures": _SHIFT,
    "one_dimension_reaches_half": "walk_corner_cases/{name}/figures/fig7_corner_cases.png",
    "monotone_in_top_dimensions_own_class": _CURVES,
    "not_monotone_in_all_dimensions_own_class": _CURVES,
    "monotone_in_top_dimensions_all": _CURVES,
    "not_monotone_in_all_dimensions_all": _CURVES,
    "top_dimensions_are_steeper_than_all": _CURVES,
    "top_dimensions_are_steeper_than_random": _CURVES,
    "distance_curves_compare_classifiers": "compute_curves/figures/paired_difference.png",
    "shift_curves_compare_classifiers": "compute_curves/figures/paired_difference.png",
}


def find_figures(claim: str, names: tuple[str, ...]) -> list[str]:
    """Paths below the folder of all results, one for each classifier where each has its own; names: of classifiers."""
    return list(dict.fromkeys(FIGURES[claim].format(name=name) for name in names))
