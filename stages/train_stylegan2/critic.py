"""The feature critic in the training step: what it learns from a batch, and what it teaches the generator.

It stands beside the paper's training loop, which does without it where `feature_critic` is null.
"""

import torch

from failure_atlas.core.device import computing_in
from failure_atlas.stylegan2.batches import Batch
from failure_atlas.stylegan2.discriminator import generator_loss
from failure_atlas.stylegan2.feature_critic import FeatureCritic, critic_loss
from failure_atlas.stylegan2.state import TrainingState
from stages.train_stylegan2.params import FeatureCriticParams
from stages.train_stylegan2.workers import Worker


def ask_critic(
    state: TrainingState,
    batch: Batch,
    images: torch.Tensor,
    params: FeatureCriticParams,
    dtype: torch.dtype,
    worker: Worker,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """One step of the feature critic. Returns what the log says of it, and what the generator is to learn from it.

    images: generated, in [-1, 1], those that the discriminator has just seen.
    """
    critic, optimizer = state.critic, state.critic_optimizer
    if critic is None or optimizer is None:
        raise ValueError("the state has no feature critic")
    with computing_in(dtype, images.device):
        fake = critic.read((images + 1) / 2)
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
