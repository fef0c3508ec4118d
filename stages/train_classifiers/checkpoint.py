"""A classifier on disk: weights, batch statistics and architecture in one file."""

from pathlib import Path

import torch

from stages.common.errors import StageError
from stages.common.weights import load_tensors, save_tensors
from stages.train_classifiers.networks import Classifier

KIND = "classifier"


def save_classifier(path: Path, classifier: Classifier) -> None:
    """Write the classifier so that `load_classifier` needs nothing but this file."""
    save_tensors(path, classifier.state_dict(), {"kind": KIND, "architecture": classifier.architecture})


def load_classifier(path: Path, device: torch.device) -> Classifier:
    """The classifier of a file, in evaluation mode, its parameters without gradients.

    Raises StageError if the file is missing, damaged, or of an architecture that this version does not know.
    """
    tensors, description = load_tensors(path, KIND)
    try:
        classifier = Classifier(**description["architecture"])
        classifier.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise StageError(
            f"{path}: holds no classifier that this version can build ({reason}); train it again"
        ) from error
    return classifier.to(device).eval().requires_grad_(False)
