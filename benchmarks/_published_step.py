"""A slow twin of the training step that NVIDIA published for StyleGAN2-ADA, in plain PyTorch.

Written from the papers (Karras et al. 2020: "Analyzing and Improving the Image Quality of StyleGAN", "Training GANs
with Limited Data"), for comparison of speed only. As published:

- each sample has convolution weights of its own, modulated and demodulated, applied by one grouped convolution;
- resolution changes with the 4-tap filter [1, 3, 3, 1]: zeros between pixels, filter, convolution on the way up;
  filter, convolution with stride on the way down; the discriminator begins at single pixels;
- each network trains on fake images of its own; the discriminator scores real and fake ones in separate passes;
- R1 is a pass of its own with an optimiser step of its own, rate and moments corrected for its rarity.

Left out: CUDA kernels and half precision; style mixing and path length regularisation, which the published setting for
32 px images leaves out too; augmentation (the project's step is measured without it too); the discriminator's mapping
of labels beyond an embedding, the running mean of w, and the data loader. In favour of the twin, zeros are inserted
before the convolution instead of a grouped transposed convolution, which is several times slower on a CPU, and a
shortcut filters with stride.

The networks' parameters are those of the project's own classes, so that the same weights must give the same images.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from failure_atlas.stylegan2.batches import Batches
from failure_atlas.stylegan2.discriminator import Discriminator, append_minibatch_std
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.stylegan2.layers import normalize_second_moment
from failure_atlas.stylegan2.modulated_conv import DEMODULATION_EPSILON, ModulatedConv

BETAS = (0.0, 0.99)


@dataclass
class PublishedState:
    """Networks, optimisers and the step's number."""

    generator: Generator
    discriminator: Discriminator
    average: Generator
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam
    step: int = 0


def start_training(
    generator: Generator, discriminator: Discriminator, *, learning_rate: float, r1_interval_steps: int
) -> PublishedState:
    """Optimisers as published: Adam, the discriminator's corrected for lazy regularisation."""
    lazy = r1_interval_steps / (r1_interval_steps + 1)
    betas = (BETAS[0] ** lazy, BETAS[1] ** lazy)
    return PublishedState(
        generator,
        discriminator,
        copy.deepcopy(generator).requires_grad_(False),
        torch.optim.Adam(generator.parameters(), lr=learning_rate, betas=BETAS, eps=1e-8),
        torch.optim.Adam(discriminator.parameters(), lr=learning_rate * lazy, betas=betas, eps=1e-8),
    )


def train_step(
    state: PublishedState, batches: Batches, *, r1_gamma: float, r1_interval_steps: int, ema_decay: float
) -> None:
    """One step of generator and discriminator, each on a fake batch of its own, and every so often of R1."""
    generator, discriminator = state.generator, state.discriminator
    batch, other = batches.draw(2 * state.step), batches.draw(2 * state.step + 1)

    generator.requires_grad_(True)
    discriminator.requires_grad_(False)
    state.generator_optimizer.zero_grad(set_to_none=True)
    fake = generate(generator, batch.z, batch.labels, batch.noise)
    functional.softplus(-discriminate(discriminator, fake, batch.labels)).mean().backward()  # type: ignore[no-untyped-call]
    state.generator_optimizer.step()

    generator.requires_grad_(False)
    discriminator.requires_grad_(True)
    state.discriminator_optimizer.zero_grad(set_to_none=True)
    fake = generate(generator, other.z, other.labels, other.noise)
    functional.softplus(discriminate(discriminator, fake, other.labels)).mean().backward()  # type: ignore[no-untyped-call]
    functional.softplus(-discriminate(discriminator, batch.real, batch.labels)).mean().backward()  # type: ignore[no-untyped-call]
    state.discriminator_optimizer.step()

    if state.step % r1_interval_steps == 0:
        state.discriminator_optimizer.zero_grad(set_to_none=True)
        real = batch.real.detach().requires_grad_(True)
        logits = discriminate(discriminator, real, batch.labels)
        (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
        penalty = gradient.square().sum(dim=(1, 2, 3)).mean()
        (penalty * (r1_gamma / 2 * r1_interval_steps)).backward()  # type: ignore[no-untyped-call]
        state.discriminator_optimizer.step()

    with torch.no_grad():
        for kept, current in zip(state.average.parameters(), generator.parameters(), strict=True):
            kept.copy_(current.lerp(kept, ema_decay))
    state.step += 1


def generate(
    generator: Generator, z: torch.Tensor, labels: torch.Tensor, noise: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Images [N, C, H, W], unclamped, of latents [N, Z] and labels [N]; noise: one [N, 1, H, W] per convolution."""
    w = generator.map_latents(z, labels)
    layers: list[Iterator[Any]] = [iter(generator.affines), iter(generator.convs), iter(noise)]
    affines, convs, noises = layers
    to_images: list[Any] = list(generator.to_images)
    x = generator.constant.expand(len(z), -1, -1, -1)
    image: torch.Tensor | None = None
    for level, to_image in enumerate(to_images):
        for _ in range(2 if level else 1):
            x = _convolve(next(convs), x, next(affines)(w), next(noises))
        weight = to_image.weight[:, :, None, None] / math.sqrt(to_image.weight.shape[1])
        layer_image = modulate_conv(x, weight, next(affines)(w), demodulate=False) + to_image.bias[:, None, None]
        image = layer_image if image is None else double(image) + layer_image
    if image is None:
        raise ValueError("the generator has no layers")
    return image


def discriminate(discriminator: Discriminator, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Logits [N] of images [N, C, H, W] under labels [N]; the discriminator's stem must be `pixels`."""
    x = _activate(discriminator.stem(images))
    blocks: list[Any] = list(discriminator.blocks)
    for block in blocks:
        residual = _activate(block.conv0(x))
        weight = block.conv1.weight / math.sqrt(block.conv1.weight[0].numel())
        # The filter leaves one pixel more than there was, so that 3 x 3 windows two pixels apart fill half the size.
        residual = _activate(functional.conv2d(filter_fir(residual, padding=2), weight, block.conv1.bias, stride=2))
        shortcut = block.shortcut(filter_fir(x, padding=1, stride=2))
        x = (residual + shortcut) * math.sqrt(0.5)
    x = _activate(discriminator.conv(append_minibatch_std(x, discriminator.architecture.minibatch_std_group)))
    features: torch.Tensor = discriminator.output(_activate(discriminator.dense(x.flatten(1))))
    classes = functional.one_hot(labels, discriminator.architecture.num_classes).to(features.dtype)
    embedded = normalize_second_moment(discriminator.embedding(classes))
    return (features * embedded).sum(dim=1) / math.sqrt(features.shape[1])


def modulate_conv(x: torch.Tensor, weight: torch.Tensor, styles: torch.Tensor, *, demodulate: bool) -> torch.Tensor:
    """Convolve each sample of x [N, I, H, W] with weights [O, I, k, k] modulated by its styles [N, I]."""
    n, inputs, height, width = x.shape
    outputs, _, size, _ = weight.shape
    weights = weight[None] * styles[:, None, :, None, None]
    if demodulate:
        weights = weights * torch.rsqrt(weights.square().sum(dim=(2, 3, 4), keepdim=True) + DEMODULATION_EPSILON)
    grouped = weights.reshape(n * outputs, inputs, size, size)
    y = functional.conv2d(x.reshape(1, n * inputs, height, width), grouped, padding=size // 2, groups=n)
    return y.reshape(n, outputs, height, width)


def double(x: torch.Tensor) -> torch.Tensor:
    """Double the resolution: zeros between pixels, then the filter at four times its gain."""
    n, channels, height, width = x.shape
    stuffed = x.new_zeros(n, channels, 2 * height, 2 * width)
    stuffed[:, :, ::2, ::2] = x
    return filter_fir(functional.pad(stuffed, (2, 1, 2, 1)), gain=4.0)


def filter_fir(x: torch.Tensor, *, padding: int = 0, stride: int = 1, gain: float = 1.0) -> torch.Tensor:
    """Filter each channel with the outer product of [1, 3, 3, 1] / 8."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / 8
    kernel = (gain * taps[:, None] * taps).expand(x.shape[1], 1, 4, 4)
    return functional.conv2d(x, kernel, stride=stride, padding=padding, groups=x.shape[1])


def _convolve(conv: ModulatedConv, x: torch.Tensor, styles: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    weight = conv.weight / math.sqrt(conv.weight[0].numel())
    x = double(x) if conv.up else x
    x = modulate_conv(x, weight, styles, demodulate=True)
    return _activate(x + noise * conv.noise_strength + conv.bias[:, None, None])


def _activate(x: torch.Tensor) -> torch.Tensor:
    return functional.leaky_relu(x, 0.2) * math.sqrt(2)
