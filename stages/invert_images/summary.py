"""What the stage reports: who keeps an answer when a reconstruction replaces its image, and how good that is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from failure_atlas.inversion.fit import measure_fit
from failure_atlas.inversion.invert import Inverted
from failure_atlas.judges.failures import AUDITOR
from failure_atlas.judges.remoteness import NEIGHBOUR, place_among, represent
from failure_atlas.statistics.estimates import Estimate, flatten, mean, proportion
from failure_atlas.world.show import JUDGE, Shown
from stages.invert_images.inputs import Opened
from stages.invert_images.selection import Chosen, Real

FAR_OUT_PERCENTILE = 99.0  # of real test images, which must lie nearer to the others
ALL, CLEAN = "all", "clean"
ERRORS = ("rmse", "structure_rmse", "noise_error", "edge_error")


def tabulate_images(
    opened: Opened,
    real: Real,
    chosen: Chosen,
    severities: np.ndarray,
    found: Inverted,
    looked: Shown,
    shown: Shown,
    again: Shown,
) -> pd.DataFrame:
    """One row per inverted image.

    index, draw: of the test image and its corruption.  sample: drawn at random.  NAME_wrong: this classifier gets the
    image wrong.  NAME_case: and it is in its random sample of errors.  NAME_real, NAME_reconstruction,
    NAME_fresh_noise: the class that it sees in the image, in the reconstruction, and in the image under fresh noise of
    the same severity.  inside: of the class's ellipsoid in W.  far_out: the reconstruction, in the auditor's features,
    from the real test images but its own.
    auditor_kept: the auditor sees in the reconstruction what it sees in the image.  usable: neither outside nor far
    out; not by auditor_kept, for under fresh noise it changes its mind about hard images, and errors are hard ones.
    looked, shown, again: of the images, the reconstructions and the images under fresh noise.
    """
    names = np.array(opened.samples.class_names, dtype=object)
    true_class = real.labels[chosen.index]
    table = pd.DataFrame(
        {"index": chosen.index, "draw": chosen.draw, "class": names[true_class], "sample": chosen.sample}
        | {f"{name}_wrong": looked.predicted(name) != true_class for name in opened.classifiers}
        | {f"{name}_case": case for name, case in chosen.cases.items()}
        | {f"{step.key}_severity": level for step, level in zip(opened.steps, severities, strict=True)}
        | {
            f"{name}_{what}": names[each.predicted(name)]
            for name in (JUDGE, AUDITOR, *opened.classifiers)
            for what, each in (("real", looked), ("reconstruction", shown), ("fresh_noise", again))
        }
    )
    fit = measure_fit(looked.images, shown.images)
    known = represent(opened.auditor, real.images[0], batch_size=opened.world.batch_size)
    made = represent(opened.auditor, shown.images, batch_size=opened.world.batch_size)
    own = measure_away(known, known, np.arange(len(known)))
    away = measure_away(made, known, chosen.index)
    inside = opened.domain.contains(found.w, true_class)
    far = place_among(away, own) > FAR_OUT_PERCENTILE
    kept = table[f"{AUDITOR}_real"] == table[f"{AUDITOR}_reconstruction"]
    return pd.concat([table, fit], axis=1).assign(
        length_std=found.length_std, inside=inside, far_out=far, auditor_kept=kept, usable=inside & ~far
    )


def measure_away(features: np.ndarray, known: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Distance to the NEIGHBOUR-th nearest real image, one's own left out: [M]; of fewer, to the farthest of them.

    features: [M, F].  known: [R, F], of real images.  own: int64 [M], which of these is one's own.
    """
    neighbours = min(NEIGHBOUR, len(known) - 1)
    distance, place = cKDTree(known).query(features, k=np.arange(1, neighbours + 2))
    among = (place == own[:, None]).any(axis=1)
    return np.asarray(np.where(among, distance[:, neighbours], distance[:, neighbours - 1]))


def summarize(
    opened: Opened,
    table: pd.DataFrame,
    contrast: np.ndarray,
    seconds_per_image: float,
    rates: Mapping[str, tuple[float, int]],
) -> dict[str, Any]:
    """Shares among the images drawn at random, and of each classifier's errors those that stay the same error.

    NAME_kept_share: the same class is seen in the reconstruction; NAME_wrong_kept_share: of those that a classifier
    gets wrong.  under_fresh_noise: the same of the image itself under fresh noise, which bounds what can be expected
    where noise is drawn.  accuracy: in images and in reconstructions.  inside_share is 1 by construction.
    failed_share: not usable.  rmse and the other errors: means over images.  structure_percentiles: of structure_rmse,
    the unit for pictures from elsewhere; contrast_percentiles alike.  seconds_per_image: counted, of one core (see
    failure_atlas/search/metering.py).  contrast: of all real images.  rates: by classifier, the share of errors among
    all real images under all draws, and how many images there are.
    """
    sample = table[table["sample"]]
    names = (JUDGE, AUDITOR, *opened.classifiers)

    def share_kept(rows: pd.DataFrame, name: str, what: str) -> dict[str, Any]:
        return proportion((rows[f"{name}_real"] == rows[f"{name}_{what}"]).to_numpy(bool))

    def tell_kept(what: str) -> dict[str, Any]:
        cases = {name: table[table[f"{name}_case"]] for name in opened.classifiers}
        return {f"{name}_kept_share": share_kept(sample, name, what) for name in names} | {
            f"{name}_wrong_kept_share": share_kept(rows, name, what) for name, rows in cases.items()
        }

    def share_right(name: str, what: str) -> dict[str, Any]:
        return proportion((sample[f"{name}_{what}"] == sample["class"]).to_numpy(bool))

    known = sample["structure_rmse"].to_numpy(float)
    return {
        **tell_kept("reconstruction"),
        "under_fresh_noise": tell_kept("fresh_noise"),
        "accuracy": {
            name: {"real": share_right(name, "real"), "reconstruction": share_right(name, "reconstruction")}
            for name in names
        },
        "inside_share": proportion(sample["inside"].to_numpy(bool)),
        "far_share": proportion(sample["far_out"].to_numpy(bool)),
        "failed_share": proportion(~sample["usable"].to_numpy(bool)),
        **{key: part for name in ERRORS for key, part in flatten(name, average(sample[name])).items()},
        "structure_percentiles": {str(share): float(np.percentile(known, share)) for share in (50, 99)},
        "contrast_percentiles": {str(share): float(np.percentile(contrast, share)) for share in (1, 50)},
        "seconds_per_image": seconds_per_image,
        "images": len(table),
        "cases": {name: int(table[f"{name}_case"].sum()) for name in opened.classifiers},
        "error_rates": {name: {"value": rate, "images": images} for name, (rate, images) in rates.items()},
    }


def average(values: pd.Series) -> dict[str, Any]:
    """Its mean with Student's interval, leaving out what could not be measured."""
    known = values.to_numpy(float)
    known = known[np.isfinite(known)]
    return mean(known) if len(known) else Estimate(np.nan, n=0).as_dict()


def tabulate_severities(table: pd.DataFrame, steps: list[str]) -> pd.DataFrame:
    """The errors of the images drawn at random: of all, of the clean ones, and at each severity of each step."""
    sample = table[table["sample"]]
    levels = sample[[f"{step}_severity" for step in steps]].to_numpy()
    groups = [(ALL, 0, np.ones(len(sample), bool)), (CLEAN, 0, (levels == 0).all(axis=1))]
    groups += [
        (step, int(level), column == level)
        for step, column in zip(steps, levels.T, strict=True)
        for level in np.unique(column[column > 0])
    ]
    rows = []
    for step, level, own in groups:
        row: dict[str, Any] = {"step": step, "severity": level, "n": int(own.sum())}
        row |= {name: float(sample.loc[own, name].mean()) for name in ("noise", "edge")}
        for name in ERRORS:
            told = average(sample.loc[own, name])
            row |= {name: told["value"], f"{name}_low": told["low"], f"{name}_high": told["high"]}
        rows.append(row)
    return pd.DataFrame(rows)


def tell(metrics: dict[str, Any]) -> str:
    """The main figures in one line for the log."""
    kept = metrics[f"{AUDITOR}_kept_share"]
    return (
        f"{metrics['images']:,} images inverted; of {kept['n']:,} at random the auditor keeps its answer on "
        f"{kept['value']:.3f} [{kept['low']:.3f}, {kept['high']:.3f}], under fresh noise of the image itself on "
        f"{metrics['under_fresh_noise'][f'{AUDITOR}_kept_share']['value']:.3f}; "
        f"{metrics['failed_share']['value']:.3f} are left out"
    )
