"""The judge, read and checked before any work."""

from collections.abc import Sequence
from pathlib import Path

import torch

from stages.common.errors import StageError
from stages.train_judges.ensemble import Ensemble, load_ensemble


def load_judge(path: Path, class_names: Sequence[str], device: torch.device) -> Ensemble:
    """Load the judge's ensemble; StageError if it is unusable or knows other classes than the population."""
    ensemble = load_ensemble(path, device)
    known = [str(name) for name in ensemble.class_names]
    if known != list(class_names):
        raise StageError(
            f"{path}: knows the classes {', '.join(known)}, the population has {', '.join(class_names)}; "
            "use a judge of the same data set"
        )
    return ensemble
