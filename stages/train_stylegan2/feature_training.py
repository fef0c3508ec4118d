"""How the classifiers that the feature critic looks through learn what to look for."""

from collections.abc import Callable

import torch

from failure_atlas.classifiers.training import initialise, train
from failure_atlas.core.device import Precision, choose_dtype, computing_in
from failure_atlas.core.errors import StageError
from failure_atlas.core.seeds import torch_stream
from failure_atlas.images.image_set import ImageSet
from failure_atlas.stylegan2.feature_critic import FeatureCritic

BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 64, 0.008, 0.02
# Milder than where classifiers are to generalise: the critic looks at images as they are.
LIMITS = {"rotation_degrees": 10.0, "scale": 0.1, "shear": 0.1, "shift": 0.05}
INTERPOLATION = "nearest"  # keeps noise as strong as it is
MEASURED_AT_ONCE = 500


def learn_features(
    critic: FeatureCritic,
    images: ImageSet,
    *,
    training_images: int,
    seed: int,
    precision: Precision,
    advance: Callable[[int, str], object] = lambda *_: None,
) -> None:
    """Train each of the critic's classifiers on the images that the generator learns from, then measure its features.

    training_images: shown to each of them.  advance: told the number of images just shown, and a note.
    Leaves the classifiers in evaluation mode and frozen. Raises StageError if a training diverges.
    """
    device = critic.mean.device
    pixels, labels = (torch.from_numpy(array).to(device) for array in (images.images, images.labels))
    for place, network in enumerate(critic.networks):
        names = ("feature critic", place)
        network.requires_grad_(True)
        initialise(network, torch_stream(seed, *names, "weights"))  # type: ignore[arg-type]  # a ModuleList holds modules
        try:
            train(
                network,  # type: ignore[arg-type]
                pixels,
                labels,
                training_images=training_images,
                batch_size=BATCH_SIZE,
                learning_rate=LEARNING_RATE,
                weight_decay=WEIGHT_DECAY,
                limits=LIMITS,
                interpolation=INTERPOLATION,
                dtype=choose_dtype(precision, device),
                order=torch_stream(seed, *names, "order"),
                shapes=torch_stream(seed, *names, "shapes"),
                evaluate=dict,
                advance=advance,
            )
        except StageError as error:
            raise StageError(f"train_stylegan2.feature_critic.networks[{place}]: {error}") from error
    critic.networks.eval().requires_grad_(False)
    # In the format in which generated images will be read, so that rounding shifts neither against the other.
    with torch.no_grad(), computing_in(choose_dtype(precision, device), device):
        parts = [critic.read(batch.float() / 255) for batch in torch.split(pixels, MEASURED_AT_ONCE)]
    critic.standardise(torch.cat(parts))
