"""The released judge, wherever Python was started: for use from a notebook."""

from pathlib import Path

import torch

from stages.train_judges.ensemble import Ensemble, load_ensemble

JUDGE = Path(__file__).parents[2] / "data" / "released" / "judge.safetensors"


def load_released_judge(device: torch.device | None = None) -> Ensemble:
    """The ensemble that was released with the generator, as `load_ensemble` reads it; StageError if it is missing."""
    return load_ensemble(JUDGE, device or torch.device("cpu"))
