"""The same walks from real images that were inverted: figures 5 and 7 once more, and figures of their own."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.walks.crossing import LEVEL, space_grid
from failure_atlas.walks.kinds import search_along_dimensions
from failure_atlas.walks.space import StdSpace
from failure_atlas.walks.starts import Starts
from failure_atlas.world.show import CLASSIFIER
from stages.common.artefacts.inverted import read_inverted
from stages.common.artefacts.walks import Opened, add_readings, choose_candidates, look_at_ends, tabulate_starts
from stages.walk_corner_cases.figures import write_walks
from stages.walk_corner_cases.params import WalkCornerCasesParams
from stages.walk_corner_cases.summary import summarize_walks


def walk_from_real(
    opened: Opened, inverted: Path, ranking: pd.DataFrame, section: WalkCornerCasesParams, out: Path
) -> dict[str, Any]:
    """Walk from the real images that are asked for; leaves figures 5 and 7, each with its table.

    Starts are called by their index among the test images. Returns the figures of these walks, none without a start.
    """
    samples, names = opened.samples, opened.samples.class_names
    if not section.real_starts:
        return {}
    whole = read_inverted(inverted, opened.generator, names)
    looked = opened.world.show(whole.found.styles, [CLASSIFIER], noise=whole.found.noise, keep_images=False)
    real = whole.take_turns(looked.score(whole.true_class) > LEVEL, section.real_starts)
    if not len(real.table):
        return {}
    labels, styles, noise = real.true_class, real.found.styles, real.found.noise
    called = [str(index) for index in real.table["index"]]
    starts = Starts(styles, labels, called, noise, np.zeros(len(labels), np.int64))
    candidates = choose_candidates(ranking, section.scope, labels, names, opened.generator.style_dimensions)
    space = StdSpace(opened.world, styles, labels, samples.std, noise)
    begun = opened.world.show(styles, [CLASSIFIER], noise=noise)
    probability = begun.score(labels)
    walks, skipped, failures = search_along_dimensions(
        space, probability, candidates, wanted=section.dimensions, min_effect=section.min_effect,
        grid_std=space_grid(section.max_shift_std, section.grid_step_std), confidence=opened.judge.confidence,
    )  # fmt: skip
    ends = look_at_ends(opened, space, walks, starts, probability)
    cases = add_readings(ends, failures, opened.judge.confidence)
    table = tabulate_starts(starts, begun, walks, skipped, names)
    # Classes come in turn, so the first of each are the first of all.
    first = len(np.unique(labels))
    own = walks.start < first
    pictured = real.images[:first], table.iloc[:first]
    write_walks(out / "figures", "_real", opened, space, pictured, (ends.shown.images[own], cases[own]), section)
    return {"from_real_images": summarize_walks(cases, table, section.max_shift_std)}
