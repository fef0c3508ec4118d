"""Training of one member of an ensemble."""

from collections.abc import Callable

import torch

from failure_atlas.classifiers.networks import Classifier
from failure_atlas.classifiers.training import initialise, train
from failure_atlas.core.device import choose_dtype
from failure_atlas.core.errors import StageError
from failure_atlas.core.seeds import torch_stream
from failure_atlas.images.image_set import ImageSet
from stages.train_judges.params import MemberParams, TrainJudgesParams


def train_member(
    ensemble: str,
    place: int,
    member: MemberParams,
    section: TrainJudgesParams,
    training: ImageSet,
    classes: int,
    device: torch.device,
    advance: Callable[[int, str], object],
) -> Classifier:
    """Train one network on its own order of images and its own deformations.

    ensemble, place: `judge` or `auditor`, and which of its members; they stand in the random streams, so that two
    members of one seed share nothing.  Raises StageError if training diverges.
    """
    names = ("train_judges", ensemble, place)
    classifier = Classifier(member.network, classes=classes, width=member.width, channels=training.images.shape[1])
    initialise(classifier, torch_stream(member.seed, *names, "weights"))
    classifier.to(device)
    try:
        train(
            classifier,
            torch.from_numpy(training.images).to(device),
            torch.from_numpy(training.labels).to(device),
            training_images=section.training_images,
            batch_size=section.batch_size,
            learning_rate=section.learning_rate,
            weight_decay=section.weight_decay,
            limits=section.augmentation.model_dump(exclude={"interpolation"}),
            interpolation=section.augmentation.interpolation,
            dtype=choose_dtype(section.precision, device),
            order=torch_stream(member.seed, *names, "order"),
            shapes=torch_stream(member.seed, *names, "shapes"),
            evaluate=dict,
            advance=advance,
        )
    except StageError as error:
        raise StageError(f"train_judges.{ensemble}[{place}]: {error} (it is {section.learning_rate:g})") from error
    return classifier.eval().requires_grad_(False)
