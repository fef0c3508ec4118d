"""Which search finds planted blind spots: this project's, shallow trees alone, or beam search for subgroups.

Spots are planted as find_planted plants them, in the results of the default run (`make repro`). Beam search is that of
pysubgroup, which asks for NumPy before 2 and is therefore no dependency: `pip install --no-deps pysubgroup statsmodels
patsy` beside this project, or its column is left out.
"""

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from sklearn.tree import DecisionTreeClassifier

from benchmarks import PARAMS, ParamsOption
from failure_atlas.attributes.registry import REGISTRY
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.modes.estimate import select_distinct
from failure_atlas.modes.mode import cover
from failure_atlas.modes.search import DEPTH, Samples, score_scan, search_modes
from stages.common.image_params import CorruptImagesParams
from stages.common.mode_params import FindModesParams
from stages.common.params import load_section
from stages.find_planted.inputs import open_pools
from stages.find_planted.params import FindPlantedParams
from stages.find_planted.plants import KINDS, Pool, draw_failures, draw_plants, measure_overlap

STUDY = Path("study/params.yaml")
BINS, BEAM = 20, 15  # thresholds of an attribute, and width of the beam
Search = Callable[[Pool, np.ndarray, np.ndarray, FindModesParams], np.ndarray]  # which samples each mode covers


def search_scan(pool: Pool, failed: np.ndarray, half: np.ndarray, section: FindModesParams) -> np.ndarray:
    """As find_modes does it."""
    data = pool.looks, pool.true_class, failed
    modes = search_modes(
        *(each[~half] for each in data), most=section.most_modes, least_share=section.least_share,
        most_share=section.most_share, decimals=DECIMALS,
    )  # fmt: skip
    return cover(modes, pool.looks, pool.true_class)


def search_trees(pool: Pool, failed: np.ndarray, half: np.ndarray, section: FindModesParams) -> np.ndarray:
    """The best leaf of a shallow tree, taken away before the next tree is grown."""
    labels = np.unique(pool.true_class)
    features = np.column_stack([pool.looks, pool.true_class[:, None] == labels])
    known = np.isfinite(features).all(axis=1)
    left, found = known & ~half, list[np.ndarray]()
    least = int(np.ceil(section.least_share * np.sum(~half)))
    while len(found) < section.most_modes and failed[left].any():
        tree = DecisionTreeClassifier(criterion="entropy", max_depth=DEPTH, min_samples_leaf=least, random_state=0)
        leaf = np.full(len(features), -1)
        leaf[known] = tree.fit(features[left], failed[left]).apply(features[known])
        leaves = [leaf == each for each in np.unique(leaf[left])]
        counts = np.array([(np.sum(each & left), np.sum(each & left & failed)) for each in leaves])
        scores = score_scan(counts[:, 0], counts[:, 1], int(left.sum()), int(failed[left].sum()))
        price = Samples(pool.looks[left], pool.true_class[left], failed[left], least, len(failed)).price
        if scores.max() <= price:
            break
        found.append(leaves[int(scores.argmax())])
        left &= ~found[-1]
    return np.array(found, bool).reshape(len(found), len(failed))


def search_beam(pool: Pool, failed: np.ndarray, half: np.ndarray, section: FindModesParams) -> np.ndarray:
    """The best subgroup by weighted relative accuracy, taken away before the next beam search."""
    import pysubgroup as ps  # type: ignore[import-not-found]

    table = pd.DataFrame(pool.looks, columns=[f"attribute {place}" for place in range(pool.looks.shape[1])])
    table = table.assign(label=pool.true_class.astype(str), failed=failed)
    left, found = ~half, list[np.ndarray]()
    while len(found) < section.most_modes and failed[left].any():
        own = table[left].reset_index(drop=True)
        selectors = ps.create_selectors(own, ignore=["failed"], nbins=BINS)
        task = ps.SubgroupDiscoveryTask(own, ps.BinaryTarget("failed", True), selectors, result_set_size=1, depth=DEPTH,
                                        qf=ps.WRAccQF())  # fmt: skip
        best = ps.BeamSearch(beam_width=BEAM).execute(task).to_descriptions()[0][1]
        found.append(np.asarray(best.covers(table), bool))
        left &= ~found[-1]
    return np.array(found, bool).reshape(len(found), len(failed))


DECIMALS = np.empty(0, np.int64)  # of the attributes offered, once these are known
SEARCHES: dict[str, Search] = {"scan": search_scan, "trees": search_trees, "beam": search_beam}


def main(
    params: ParamsOption = PARAMS,
    runs: Annotated[int, typer.Option(min=1, help="Of each kind of spot; 12 s each on one core.")] = 5,
    seed: Annotated[int, typer.Option(help="Another one than find_planted's, whose spots nothing is chosen on.")] = 0,
) -> None:
    """Plant, search in three ways, and say what each has found, in how many pieces and how fast."""
    global DECIMALS
    section = load_section(STUDY, FindPlantedParams, "find_planted").model_copy(update={"seed": seed})
    modes, corruption = (load_section(params, *each) for each in ((FindModesParams, "find_modes"),
                                                                  (CorruptImagesParams, "corrupt_images")))  # fmt: skip
    pools, chosen = open_pools(
        Path("data/sample_populations"), Path("data/measure_attributes"), Path("data/corrupt_images/images.zarr"),
        params, modes, corruption, section,
    )  # fmt: skip
    DECIMALS = np.array([REGISTRY[name].bound_decimals for name in chosen])
    for name, search in SEARCHES.items():
        if name == "beam" and importlib.util.find_spec("pysubgroup") is None:
            print("beam: pysubgroup is not installed (see this file)")
            continue
        found, spots, reported, seconds = 0, 0, 0, 0.0
        for run in range(runs):
            for kind in (kind for kind, classes in KINDS.items() if classes):
                for basis, (pool, _) in pools.items():
                    random = numpy_stream(seed, basis, kind, str(run))
                    plants = draw_plants(pool, kind, (section.least_support, section.most_support), random)
                    half = pool.split(random)
                    _, failed = draw_failures(pool, plants, section.error_rate, section.failure_rate, random)
                    start = time.perf_counter()
                    members = search(pool, failed, half, modes)[:, half]
                    seconds += time.perf_counter() - start
                    kept = members[select_distinct(members, failed[half], modes.fdr)]
                    reported, spots = reported + len(kept), spots + len(plants)
                    overlaps = [
                        measure_overlap(plant.covers(pool)[half], kept[: section.first_modes]) for plant in plants
                    ]
                    found += sum(overlap >= section.overlap for overlap in overlaps)
        print(f"{name}: {found / spots:.2f} of {spots} planted spots found, {reported / spots:.1f} modes a spot, "
              f"{seconds / (runs * 2 * (len(KINDS) - 1)):.2f} s a search")  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
