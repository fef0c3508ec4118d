"""The training step and the loop around it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from failure_atlas.core.device import computing_in
from failure_atlas.core.errors import StageError
from failure_atlas.stylegan2.augmentation import augment
from failure_atlas.stylegan2.batches import Batches
from failure_atlas.stylegan2.discriminator import discriminator_loss, generator_loss, r1_penalty
from failure_atlas.stylegan2.state import TrainingState
from failure_atlas.stylegan2.stored import as_stored
from stages.train_stylegan2.critic import ask_critic
from stages.train_stylegan2.params import TrainStylegan2Params
from stages.train_stylegan2.workers import Worker

LOG_KIMG = 1
# A discriminator that ends a tick below this loss has won: the generator learns nothing from it any more.
WON_LOSS = 1e-3
# And one whose logits differ by less than this has died: it answers the same for every image.
DEAD_SPREAD = 1e-6


@dataclass(frozen=True)
class Schedule:
    """How long and how fast, and in which number format convolutions are computed."""

    params: TrainStylegan2Params
    total_images: int
    dtype: torch.dtype = torch.float32

    def learning_rate_at(self, images_seen: int) -> float:
        """Constant, then linearly to zero over the last `decay_fraction` of training."""
        rate, decay_images = self.params.learning_rate, self.params.decay_fraction * self.total_images
        return rate * min(1.0, (self.total_images - images_seen) / decay_images) if decay_images else rate

    def ema_decay_at(self, images_seen: int) -> float:
        """Factor that the average keeps per step: half-life ema_kimg, shorter at the start by ema_ramp."""
        size = self.params.batch_size
        half_life = min(self.params.ema_kimg * 1000, self.params.ema_ramp * max(images_seen, size))
        return float(0.5 ** (size / half_life))


def train(
    state: TrainingState,
    batches: Batches,
    schedule: Schedule,
    worker: Worker,
    on_tick: Callable[[TrainingState, bool], None],
) -> None:
    """Train until `total_images` have been seen, going on from where the state stands.

    on_tick(state, last): called after each thousand images with a new row in `state.log`.
    Raises StageError when training diverges: NaN, or a discriminator that has won or died.
    """
    steps: list[dict[str, float]] = []
    while state.images_seen < schedule.total_images:
        steps.append(train_step(state, batches, schedule, worker))
        last = state.images_seen >= schedule.total_images
        kimg = state.images_seen // (LOG_KIMG * 1000)
        if last or kimg > (state.images_seen - schedule.params.batch_size) // (LOG_KIMG * 1000):
            row = average_steps(steps) | {"augmentation_probability": state.augmentation.probability}
            check_health(row, state.images_seen)
            check_weights(state)
            state.log.append({"kimg": state.images_seen / 1000, **row})
            on_tick(state, last)
            steps = []


def train_step(state: TrainingState, batches: Batches, schedule: Schedule, worker: Worker) -> dict[str, float]:
    """One step of discriminator and generator on one batch. Returns the mean of what it saw.

    All of them see images as they are stored. Real and fake images go through the discriminator together, and one fake
    batch serves both networks. R1 joins the discriminator's loss every r1_interval_steps-th step, weighted by that
    interval (lazy regularisation). The feature critic, where there is one, learns and teaches beside the discriminator.
    """
    params = schedule.params
    step = state.images_seen // params.batch_size
    rate = schedule.learning_rate_at(state.images_seen)
    batch = batches.draw(step)
    probability = state.augmentation.probability

    def seen(images: torch.Tensor, use: str) -> torch.Tensor:
        return augment(images, batches.augmentation(step, use, probability)) if probability > 0 else images

    generator, discriminator = state.generator, state.discriminator
    styles = generator.map_styles(generator.map_latents(batch.z, batch.labels))
    with computing_in(schedule.dtype, styles.device):
        fake = as_stored(generator.synthesize_raw(styles, batch.noise))

    discriminator.requires_grad_(True)
    real = seen(batch.real, "augment real").detach()
    fake_seen = seen(fake.detach(), "augment fake")
    with computing_in(schedule.dtype, real.device):
        logits = discriminator(torch.cat([real, fake_seen]), torch.cat([batch.labels, batch.labels]))
    real_logits, fake_logits = logits.chunk(2)
    loss = discriminator_loss(real_logits, fake_logits)
    penalty = torch.full((), math.nan, device=real.device)  # of a step without it
    if step % params.r1_interval_steps == 0 and params.r1_gamma > 0:
        leaf = real.requires_grad_(True)
        with computing_in(schedule.dtype, real.device):
            penalized_logits = discriminator(leaf, batch.labels)
        penalty = r1_penalty(penalized_logits, leaf)
        loss = loss + penalty * (params.r1_gamma / 2 * params.r1_interval_steps)
    worker.descend(loss, discriminator, state.discriminator_optimizer, rate)

    discriminator.requires_grad_(False)
    fake_seen = seen(fake, "augment generator")
    with computing_in(schedule.dtype, real.device):
        fooled_logits = discriminator(fake_seen, batch.labels)
    loss_of_generator = generator_loss(fooled_logits)
    of_critic: dict[str, torch.Tensor] = {}
    if params.feature_critic is not None:
        of_critic, lesson = ask_critic(state, batch, fake, params.feature_critic, schedule.dtype, worker)
        loss_of_generator = loss_of_generator + lesson
    worker.descend(loss_of_generator, generator, state.generator_optimizer, rate)

    state.images_seen += params.batch_size
    update_average(state.average, generator, schedule.ema_decay_at(state.images_seen))
    seen_values = {
        "discriminator_loss": loss.detach(),
        "generator_loss": loss_of_generator.detach(),
        **of_critic,
        "real_sign": real_logits.detach().sign().mean(),
        "real_logit": real_logits.detach().mean(),
        "fake_logit": fake_logits.detach().mean(),
        "logit_spread": logits.detach().std(),
        "r1_penalty": penalty.detach(),
    }
    values = torch.stack(list(seen_values.values()))
    worker.average([values])
    means = dict(zip(seen_values, values.tolist(), strict=True)) | {"learning_rate": rate}
    state.augmentation.observe(means["real_sign"], params.batch_size)
    return means


def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the network's: average = decay * average + (1 - decay) * network."""
    with torch.no_grad():
        for kept, current in zip(average.parameters(), network.parameters(), strict=True):
            kept.lerp_(current, 1 - decay)


def check_health(row: dict[str, float], images_seen: int) -> None:
    """Raise StageError if a tick's means show that training has diverged."""
    kimg = images_seen / 1000
    for key in ("discriminator_loss", "generator_loss", "critic_loss", "logit_spread"):
        if not math.isfinite(row.get(key, 0.0)):
            raise StageError(
                f"training diverged before {kimg:g} kimg: {key} is {row[key]}; lower learning_rate or raise r1_gamma"
            )
    if row["logit_spread"] < DEAD_SPREAD:
        raise StageError(
            f"the discriminator died before {kimg:g} kimg: it scores all images alike (spread "
            f"{row['logit_spread']:.1e}); lower learning_rate"
        )
    if row["discriminator_loss"] < WON_LOSS:
        raise StageError(
            f"the discriminator won before {kimg:g} kimg (loss {row['discriminator_loss']:.1e}): the generator "
            f"learns nothing any more; raise r1_gamma or ada_target"
        )


def check_weights(state: TrainingState) -> None:
    """Raise StageError if a weight is no finite number, so that no such state is ever kept."""
    for name in ("generator", "discriminator"):
        if not all(bool(parameter.isfinite().all()) for parameter in getattr(state, name).parameters()):
            raise StageError(
                f"training diverged before {state.images_seen / 1000:g} kimg: a weight of the {name} is not finite; "
                f"lower learning_rate or raise r1_gamma"
            )


def average_steps(steps: list[dict[str, float]]) -> dict[str, float]:
    """Means over the steps since the last row of the log.

    A NaN loss must stay one; the penalty alone is NaN by design, in steps without it, which do not count.
    """
    means = {}
    for key in steps[0]:
        values = [step[key] for step in steps if key != "r1_penalty" or not math.isnan(step[key])]
        means[key] = sum(values) / len(values) if values else 0.0
    return means
