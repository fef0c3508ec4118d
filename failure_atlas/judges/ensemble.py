"""An ensemble of classifiers with one calibrated opinion, in memory and on disk.

The released judge, wherever Python was started: for use from a notebook.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from failure_atlas.brought.checkpoint import KIND as BROUGHT
from failure_atlas.brought.checkpoint import REFUSED
from failure_atlas.classifiers.networks import Classifier
from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import load_tensors, read_description, save_tensors
from failure_atlas.judges.brought_member import BroughtMember, load_member

KIND = "ensemble"
OPINION = ("class_names", "temperature", "confidence")
SMALLEST = 1e-12  # probability that a logarithm is taken of


class Ensemble(nn.Module):
    """The mean of the members' softmax (Lakshminarayanan et al. 2017), tempered (Guo et al. 2017).

    temperature: above 1 makes opinions less certain; 1 leaves them as they are.  class_names: in the order of the
    labels.  confidence: the probability from which on the ensemble is said to see a class (`read_labels`).
    """

    def __init__(
        self,
        members: Sequence[Classifier | BroughtMember],
        class_names: Sequence[str],
        temperature: float = 1.0,
        confidence: float = 0.8,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.class_names = list(class_names)
        self.temperature = temperature
        self.confidence = confidence

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Calibrated log-probabilities [N, classes] of images [N, C, H, W], float32 in [0, 1]."""
        return self.examine(images)[1]

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The first member's representation before its last layer, [N, F]."""
        features: torch.Tensor = self.members[0].features(images)  # type: ignore[operator]
        return features

    def examine(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What `features` and `forward` give, [N, F] and [N, classes], for the price of the second."""
        first, *others = self.members
        features, logits_of_first = first.examine(images)  # type: ignore[operator]
        logits = [logits_of_first, *(member(images) for member in others)]
        mean = torch.stack([each.double().softmax(dim=1) for each in logits]).mean(dim=0)
        return features, (mean.clamp_min(SMALLEST).log() / self.temperature).log_softmax(dim=1)


def save_ensemble(path: Path, ensemble: Ensemble) -> None:
    """Write an ensemble so that `load_ensemble` needs nothing but this file, and of a brought member its folder."""
    opinion = {key: getattr(ensemble, key) for key in OPINION}
    first = ensemble.members[0]
    if isinstance(first, BroughtMember):
        save_tensors(path, first.brought.network.state_dict(), first.describe(path) | opinion)
        return
    architectures = [member.architecture for member in ensemble.members]
    save_tensors(path, ensemble.members.state_dict(), {"kind": KIND, "architectures": architectures, **opinion})


def load_ensemble(path: Path, device: torch.device) -> Ensemble:
    """The ensemble of a file, in evaluation mode, its parameters without gradients.

    Of a brought member the code is run again, from the folder that it was brought in and that must be as it was.
    Raises StageError if the file is missing, damaged, or holds networks that this version does not know.
    """
    if read_description(path).get("kind") not in (BROUGHT, REFUSED):
        return load_without_code(path, device)
    member = load_member(path, device)
    return Ensemble([member], **{key: held for key, held in member.description.items() if key in OPINION}).eval()


def load_without_code(path: Path, device: torch.device) -> Ensemble:
    """`load_ensemble` of networks made here alone: a file from elsewhere must not name code to be run."""
    tensors, description = load_tensors(path, KIND)
    try:
        members = [Classifier(**architecture) for architecture in description["architectures"]]
        ensemble = Ensemble(members, **{key: description[key] for key in OPINION})
        ensemble.members.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise StageError(f"{path}: holds no ensemble that this version can build ({reason}); train it again") from error
    # Convolutions on CPU are 1.1 to 1.5 times as fast with the channels of a pixel side by side.
    ensemble.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ensemble.to(device).eval().requires_grad_(False)


def load_judge(path: Path, class_names: Sequence[str], device: torch.device) -> Ensemble:
    """The ensemble of a file; StageError if it is unusable or tells other classes apart than the population has."""
    ensemble = load_ensemble(path, device)
    if ensemble.class_names != list(class_names):
        raise StageError(
            f"{path}: judges the classes {', '.join(ensemble.class_names)}; the population has "
            f"{', '.join(class_names)}; use a judge of the same data set"
        )
    return ensemble


JUDGE = Path(__file__).parents[2] / "data" / "released" / "judge.safetensors"


def load_released_judge(device: torch.device | None = None) -> Ensemble:
    """The ensemble that was released with the generator, as `load_ensemble` reads it; StageError if it is missing."""
    return load_ensemble(JUDGE, device or torch.device("cpu"))
