"""How many claims real images bear out, and how many images that rests on."""

from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.inversion.corroboration import CONTRADICTED, CORROBORATED, NO_CLAIM, TOO_FEW
from failure_atlas.statistics.estimates import proportion
from stages.corroborate.claims import DIRECTION, DISTANCE, DISTANCE_KEPT, PROJECTION, read_side
from stages.corroborate.inputs import Compared

SIDES = {"": "real", "_generated": "generated"}


def summarize(compared: Compared, claims: pd.DataFrame) -> dict[str, Any]:
    """Counts and areas under the ROC curve.

    distance_auc: the chance that a real error lies farther out than a real image that is read rightly; _generated: the
    same of generated images; distance_auc_auditor_kept: of the real images on which the auditor keeps its answer.
    directions: how many of the leading ones the real images corroborate, contradict, or are
    too few for; no_claim: where generated images claim nothing.  corroborated_share: of the decidable ones.
    """
    of_directions = claims[claims["claim"] == DIRECTION]
    count = {verdict: int((of_directions["verdict"] == verdict).sum()) for verdict in of_directions["verdict"].unique()}
    decided = of_directions.loc[of_directions["verdict"].isin([CORROBORATED, CONTRADICTED]), "verdict"]
    metrics: dict[str, Any] = {}
    for kind in (DISTANCE, PROJECTION):
        row = claims[claims["claim"] == kind].iloc[0]
        metrics |= {f"{kind}_auc{suffix}": read_side(row, side) for suffix, side in SIDES.items()}
        metrics[f"{kind}_verdict"] = str(row["verdict"])
    kept = claims[claims["claim"] == DISTANCE_KEPT].iloc[0]
    metrics["distance_auc_auditor_kept"] = read_side(kept, "real")
    return metrics | {
        "directions": {
            "corroborated": count.get(CORROBORATED, 0),
            "contradicted": count.get(CONTRADICTED, 0),
            "too_few_real_images": count.get(TOO_FEW, 0),
            "no_claim": count.get(NO_CLAIM, 0),
            "decidable": len(decided),
        },
        "corroborated_share": proportion((decided == CORROBORATED).to_numpy(bool)),
        "cases": int(compared.case.sum()),
        "cases_left_out": compared.all_cases - int(compared.case.sum()),
        "controls": int((~compared.case).sum()),
        "images": len(np.unique(compared.image)),
        "error_rate": compared.error_rate,
    }


def tell(metrics: dict[str, Any]) -> str:
    """The main figures in one line for the log."""
    area, made, held = metrics["distance_auc"], metrics["distance_auc_generated"], metrics["directions"]
    return (
        f"{metrics['cases']} real errors and {metrics['controls']} controls; errors lie farther out with probability "
        f"{area['value']:.2f} [{area['low']:.2f}, {area['high']:.2f}] (generated {made['value']:.2f}): "
        f"{metrics['distance_verdict']}; of the leading directions {held['corroborated']} corroborated, "
        f"{held['contradicted']} contradicted, {held['too_few_real_images']} with too few real images"
    )
