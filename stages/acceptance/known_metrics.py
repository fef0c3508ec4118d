"""Which metrics the stages write, so that a criterion that names none is refused before any of them runs.

`*` stands for a name that the data or the params give: a class, a corruption, a direction. A test holds the list to
the metrics of the default run.
"""

import json
from collections.abc import Collection
from itertools import combinations
from pathlib import Path
from typing import Any

RESULTS = Path("data")
PARTS = ("value", "low", "high", "n")
OF_RUN = ("qualify_generator", "train_judges", "compute_curves")  # the other stages have results of each classifier
Tree = dict[str, "Tree | None"]


def _tree(names: str, /, **groups: "Tree | None") -> Tree:
    """Names of numbers, separated by spaces, and of groups of such."""
    return dict.fromkeys(names.split()) | groups


def _any(held: "Tree | None" = None) -> Tree:
    return {"*": held}


def _within(name: str, limits: str = "1 2 3 5 10") -> str:
    return " ".join(f"{name}_within_{limit}_std" for limit in limits.split())


VERDICTS = "label_changed_share still_right_share true_failure_share unreadable_share"
READ = f"label_kept_share {VERDICTS}"
APART = f"{VERDICTS} readable_true_failure_share unreadable_true_failure_share"
FAR_OUT = "far_out_share far_out_in_realism_share"
SLOPES = "score_samples score_step_std"
EXAMINED = _tree(
    "parameters clean_test_accuracy corrupted_test_accuracy corrupted_half_test_accuracy clean_calibration_error "
    "corrupted_calibration_error",
    clean_test_accuracy_per_class=_any(),
    corrupted_test_accuracy_per_class=_any(),
)
ENSEMBLE = _tree(
    "accuracy accuracy_on_corrupted calibration_error calibration_error_untempered false_verdict_share members "
    "negative_log_likelihood sure_accuracy sure_share temperature test_images",
    accuracy_per_class=_any(),
)
OF_CURVE = "{}area {}avoidable_area {}ceiling_area {}rises {}slope_per_std {}trend_p_value"
OF_RANDOM = "random_{}area random_{}avoidable_area random_{}slope_per_std"
CURVES = _tree("accuracy avoidable_share ceiling headline_k")
for kind in ("", "projection_", "shift_"):
    CURVES |= _tree(f"{OF_CURVE} {OF_RANDOM}".replace("{}", kind))
    CURVES |= {f"{kind}area_per_class": _any(), f"{kind}avoidable_area_per_class": _any()}
CLAIMS = (
    f"label_kept_share {APART} {FAR_OUT} claimed_failures misclassified_share confirmed_true_failure_share "
    "agreed_true_failure_share true_failure_share_corrected true_failure_share_not_far_out "
    "true_failure_share_not_far_out_in_realism"
)
NAMED = _tree("named named_dimensions share_global_reach share_named", share_of_name=_any())
WALKED = _tree(
    "walks confirmed_at_start joint_is_shorter only_joint_reaches only_single_reaches single_over_joint",
    beyond=_tree(f"misclassified {READ}"),
    joint=_tree(f"median_path_std median_std reached {_within('reached')} {READ}"),
    set=_tree(f"median_size median_std pruned reached searched {READ}"),
    single=_tree(f"median_std reached {_within('reached')} {READ}"),
    top=_tree(f"median_std reached {_within('reached')}"),
)
FAILED = f"{_within('failed')} in_doubt_at_start median_distance_std misclassified_at_start"
KNOWN: Tree = {
    "qualify_generator": _tree(
        "copies_share frechet_distance frechet_floor frechet_populations frechet_ratio frechet_samples "
        "frechet_train_subsets judge_accuracy_real label_consistency label_gap label_gap_widest_class precision "
        "precision_real recall recall_real severity_share_gap",
        judge_accuracy_real_per_class=_any(),
        label_consistency_per_class=_any(),
        label_gap_per_class=_any(),
        nearest_distance=_any(_tree("median quantile_01 smallest")),
        severity_reading_accuracy=_any(),
        severity_shares=_any(_tree("gap generated real")),
    ),
    "train_judges": _tree("agreement", judge=ENSEMBLE, auditor=ENSEMBLE),
    "train_classifiers": EXAMINED | _tree("final_train_loss training_set_images"),
    "bring_classifiers": EXAMINED,
    "rank_dimensions": _tree(
        "gradient_mass_top_tenth population_accuracy samples saturated_share split_half_direction_agreement "
        "split_half_direction_agreement_class_mean split_half_spearman split_half_spearman_class_mean "
        f"split_half_top10_overlap split_half_top10_overlap_class_mean style_dimensions score_forward_passes {SLOPES}",
        well_mis_ks=_tree("n_mis n_well null_95", minus_class_mean=_tree("median top"), raw=_tree("median top")),
    ),
    "name_directions": _tree("directions naming_accuracy style_dimensions")
    | {"all": NAMED, "classes": NAMED, "global": NAMED},
    "compare_rankings": _tree(
        "attfind_forward_passes attfind_margin best_gradient_forward_passes best_gradient_full_minus_attfind_accuracy "
        "best_gradient_at_least_equals_attfind best_gradient_beats_attfind best_gradient_no_worse_than_attfind "
        "best_gradient_full_minus_attfind_probability best_gradient_minus_attfind_accuracy "
        "best_gradient_minus_attfind_probability dimensions_with_a_mean_other_than_0 forward_pass_ratio "
        "held_out_samples influential_dimensions influential_overlap_of_halves influential_overlap_of_populations "
        "influential_share_of_squared_effect paper_spearman_with_rank_dimensions "
        "paper_top10_shared_with_rank_dimensions samples starts starts_in_doubt style_dimensions unmoved_accuracy "
        f"unmoved_probability {SLOPES}",
        headline_accuracy=_any(),
        headline_probability=_any(),
    ),
    "walk_corner_cases": _tree(
        "largest_end_error max_shift_std median_shift_std misclassified_at_end reached skipped_no_effect starts "
        "starts_in_doubt true_failure_median_shift_std true_failure_walks walks "
        f"{_within('reached', '5 10 20')}",
        readings=_any(),
        readings_by_class=_any(_any()),
    ),
    "measure_robustness": _tree(
        "gradients images max_shift_std single_max_shift_std slope_dimensions slope_step_std",
        from_means=WALKED,
        from_samples=WALKED,
        per_class=_any(_tree(f"median_set_size {FAILED}")),
        population=_tree(FAILED),
    ),
    "judge_failures": _tree(
        f"{CLAIMS} confidence confirmed_true_failure_bar far_out_percentile judge_false_alarm_share judge_sensitivity "
        "real_far_out_share",
        corner_cases=_tree(CLAIMS),
        population=_tree(CLAIMS),
        per_class=_any(_tree(APART)),
        real_images=_tree(f"misclassified_share far_out_share {APART}"),
        true_failure_search=_tree(f"found readable_share {FAR_OUT}"),
    ),
    "compute_curves": {"*": CURVES, "paired": _any(_tree("area shift_area"))},
}


def check_metric(room: str, name: str, key: str, entries: Collection[str], under_test: Collection[str]) -> str:
    """What is allowed instead, if a criterion names no metric that a run will write; empty if it names one.

    room, name, key: of a metric `room/name: key`; name is empty where there is none.  entries: classifiers that the
    room has results of.  under_test: those that compute_curves measures.
    """
    if room not in KNOWN:
        return f"before the colon one of {', '.join(KNOWN)}"
    if (room in OF_RUN) == bool(name):
        return f"before the colon {room if room in OF_RUN else f'{room}/NAME, NAME a classifier'}"
    if name and name not in entries:
        return f"before the colon {' or '.join(f'{room}/{entry}' for entry in entries) or 'another folder'}"
    tree = KNOWN[room] or {}
    if room == "compute_curves":
        pairs = [f"{second}_minus_{first}" for first, second in combinations(under_test, 2)]
        paired: Tree = {pair: _tree("area shift_area") for pair in pairs}
        tree = {**dict.fromkeys(under_test, CURVES), "paired": paired}
    there = _find_unknown(tree, key.split("."))
    return there and ("" if _was_written(Path(room, name), key) else f"after the colon {there}")


def _find_unknown(tree: "Tree | None", names: list[str]) -> str:
    """The names that are known where the way of a key ends too early, or nowhere; empty if it ends at a number."""
    if not tree:
        parts = ", ".join(f".{part}" for part in PARTS)
        return "" if not names or (len(names) == 1 and names[0] in PARTS) else f"nothing below a number but {parts}"
    if not names:
        return f"one of its parts: {', '.join(tree)}"
    if names[0] in tree:
        return _find_unknown(tree[names[0]], names[1:])
    interval = names[0].removesuffix("_interval")
    if interval in tree and tree[interval] is None:
        return _find_unknown(None, names[1:])
    if "*" in tree:  # a class may have dots in its name
        ends = [_find_unknown(tree["*"], names[place:]) for place in range(1, len(names) + 1)]
        return "" if "" in ends else ends[0]
    return ", ".join(tree)


def _was_written(folder: Path, key: str) -> bool:
    """Whether an earlier run wrote it, as a stage of one's own may."""
    try:
        held: Any = json.loads((RESULTS / folder / "metrics.json").read_text(encoding="utf-8"))
        for name in key.split("."):
            held = held[name]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return not isinstance(held, dict) or "value" in held
