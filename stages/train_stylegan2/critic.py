"""The feature critic in training: how its classifiers learn what to look for, and what it teaches the generator.

It stands beside the paper's training loop, which does without it where `feature_critic` is null.
"""

from collections.abc import Callable
from typing import Any

import torch

from failure_atlas.classifiers.training import Recipe, train
from failure_atlas.core.device import Precision, choose_dtype, computing_in
from failure_atlas.images.image_set import ImageSet
from failure_atlas.stylegan2.feature_critic import FeatureCritic, critic_loss
from failure_atlas.stylegan2.losses import generator_loss
from failure_atlas.stylegan2.state import TrainingState
from stages.train_stylegan2.batches import Batch
from stages.train_stylegan2.params import FeatureCriticParams
from stages.train_stylegan2.workers import Worker

RECIPE: dict[str, Any] = {
    "batch_size": 64,
    "learning_rate": 0.008,
    "weight_decay": 0.02,
    # Milder than where classifiers are to generalise: the critic looks at images as they are. Nearest neighbours keep
    # noise as strong as it is.
    "augmentation": {"rotation_degrees": 10.0, "scale": 0.1, "shear": 0.1, "shift": 0.05, "interpolation": "nearest"},
}
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
    recipe = Recipe(training_images=training_images, precision=precision, **RECIPE)
    for place, network in enumerate(critic.classifiers()):
        key = f"train_stylegan2.feature_critic.networks[{place}]"
        names = ("feature critic", place)
        network.requires_grad_(True)
        train(network, images, recipe, seed=seed, names=names, key=key, device=device, advance=advance)
    critic.networks.eval().requires_grad_(False)
    # In the format in which generated images will be read, so that rounding shifts neither against the other.
    with torch.no_grad(), computing_in(choose_dtype(precision, device), device):
        shown = torch.split(torch.from_numpy(images.images).to(device), MEASURED_AT_ONCE)
        parts = [critic.read(batch.float() / 255) for batch in shown]
    critic.standardise(torch.cat(parts))


def ask_critic(
    state: TrainingState,
    batch: Batch,
    styles: torch.Tensor,
    params: FeatureCriticParams,
    dtype: torch.dtype,
    worker: Worker,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """One step of the feature critic. Returns what the log says of it, and what the generator is to learn from it.

    It sees the images of these styles with the constant noise, as all analyses do.
    """
    critic, optimizer = state.critic, state.critic_optimizer
    if critic is None or optimizer is None:
        raise ValueError("the state has no feature critic")
    with computing_in(dtype, styles.device):
        fake = critic.read(state.generator.synthesize(styles))
        with torch.no_grad():
            real = critic.read((batch.real + 1) / 2)
    critic.head.requires_grad_(True)
    loss = critic_loss(critic, real, fake, batch.labels, params.r1_gamma)
    worker.descend(loss, critic.head, optimizer, params.learning_rate)
    critic.head.requires_grad_(False)
    distance = _match_moments(critic, fake, params, worker)
    lesson = params.weight * generator_loss(critic(fake, batch.labels)) + params.moment_weight * distance
    return {"critic_loss": loss.detach(), "moment_distance": distance.detach()}, lesson


def _match_moments(
    critic: FeatureCritic, fake: torch.Tensor, params: FeatureCriticParams, worker: Worker
) -> torch.Tensor:
    """How far features are from where they should be, mean over the critic's classifiers; 0 while too few are seen."""
    if params.moment_weight == 0:
        return fake.new_zeros(())
    features = critic.split_raw(fake)
    with torch.no_grad():
        means = [own.double().mean(dim=0) for own in features]
        squares = [own.double().T @ own.double() / len(own) for own in features]
        worker.average([*means, *squares])
    decay = 0.5 ** (len(fake) * worker.count / (params.moment_kimg * 1000))
    for matching, mean, square in zip(critic.moments(), means, squares, strict=True):
        matching.observe(mean, square, decay)
    distances = [m.loss(own) for m, own in zip(critic.moments(), features, strict=True) if m.ready]
    return torch.stack(distances).mean() if distances else fake.new_zeros(())
