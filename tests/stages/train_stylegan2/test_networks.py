"""The networks against slow twins and the identities that StyleGAN2 promises; digit-safe augmentation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal
from torch.nn import functional

from failure_atlas.stylegan2 import augmentation
from failure_atlas.stylegan2.discriminator import Discriminator, DiscriminatorArchitecture, append_minibatch_std
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture
from failure_atlas.stylegan2.layers import downsample, upsample
from failure_atlas.stylegan2.modulated_conv import DEMODULATION_EPSILON, ModulatedConv
from tests.refusing import refused


@pytest.fixture(params=[("bilinear", "layer"), ("fir", "channel")])
def generator(request):
    torch.manual_seed(0)
    architecture = GeneratorArchitecture(8, 12, 10, 2, (8, 8, 6, 4), 1, *request.param)
    generator = Generator(architecture)
    for conv in generator.convs:
        torch.nn.init.uniform_(conv.noise_strength, 0.05, 0.15)
    return generator


def draw_styles(generator, n):
    z = torch.randn(n, generator.z_dim, generator=torch.Generator().manual_seed(1), dtype=generator.constant.dtype)
    return generator.map_styles(generator.map_latents(z, torch.arange(n) % 10))


def convolve_with_sample_weights(conv, x, styles):
    """The definition: modulate and demodulate the weights of each sample, then convolve one sample at a time."""
    images = []
    for image, style in zip(x, styles, strict=True):
        weight = conv.weight / np.sqrt(conv.weight[0].numel()) * style[None, :, None, None]
        weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + DEMODULATION_EPSILON).sqrt()
        image = upsample(image[None], conv.resampling) if conv.up else image[None]
        y = functional.conv2d(image, weight, padding=1) + conv.noise * conv.noise_strength
        images.append(functional.leaky_relu(y + conv.bias[:, None, None], 0.2) * np.sqrt(2))
    return torch.cat(images)


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("noise_scale", ["layer", "channel"])
def test_scaled_activations_equal_per_sample_weights(up, noise_scale):
    torch.manual_seed(0)
    conv = ModulatedConv(5, 7, 16 if up else 8, up=up, resampling="bilinear", noise_scale=noise_scale).double()
    torch.nn.init.uniform_(conv.noise_strength, 0.1, 0.5)
    torch.nn.init.normal_(conv.bias)
    x, styles = torch.randn(3, 5, 8, 8).double(), torch.randn(3, 5).double()
    torch.testing.assert_close(conv(x, styles), convolve_with_sample_weights(conv, x, styles))


def synthesize_from_w(generator, w):
    """The network as the paper draws it: every layer reads w through an affine of its own."""
    affines, convs, to_images = iter(generator.affines), iter(generator.convs), iter(generator.to_images)
    x = generator.constant.expand(len(w), -1, -1, -1)
    x = next(convs)(x, next(affines)(w))
    image = next(to_images)(x, next(affines)(w))
    for to_image in to_images:
        x = next(convs)(x, next(affines)(w))
        x = next(convs)(x, next(affines)(w))
        image = upsample(image, generator.architecture.resampling) + to_image(x, next(affines)(w))
    return image


def test_style_path_equals_latent_path(generator):
    w = generator.map_latents(torch.randn(6, 8), torch.arange(6))
    s = generator.map_styles(w)
    torch.testing.assert_close(generator.synthesize_raw(s), synthesize_from_w(generator, w))
    assert s.shape == (6, generator.style_dimensions)


def test_layout_covers_every_style_once(generator):
    layout = generator.style_layout()
    ends = [layer.offset + layer.channels for layer in layout]
    assert [layer.offset for layer in layout] == [0, *ends[:-1]]
    assert ends[-1] == generator.style_dimensions == sum(affine.weight.shape[0] for affine in generator.affines)
    assert [layer.name for layer in layout][:3] == ["b4.conv1", "b4.torgb", "b8.conv0"]
    assert [layer.kind for layer in layout].count("torgb") == 4


def test_each_style_slice_steers_its_own_layer(generator):
    """Zeroing the styles of a tRGB layer removes exactly that layer's image."""
    s = draw_styles(generator, 2).detach()
    last = generator.style_layout()[-1]
    silent = s.clone()
    silent[:, last.offset :] = 0
    bias = generator.to_images[-1].bias
    torch.nn.init.constant_(bias, 0.25)
    with_layer, without = generator.synthesize_raw(s), generator.synthesize_raw(silent)
    torch.nn.init.zeros_(generator.to_images[-1].weight)
    torch.testing.assert_close(generator.synthesize_raw(s), without)
    assert not torch.allclose(with_layer, without)


def test_demodulation_ignores_the_scale_of_a_conv_layers_styles(generator):
    generator = generator.double()
    s = draw_styles(generator, 3).detach()
    image = generator.synthesize_raw(s)
    for layer in generator.style_layout():
        scaled = s.clone()
        scaled[:, layer.offset : layer.offset + layer.channels] *= 3.0
        same = torch.allclose(generator.synthesize_raw(scaled), image, atol=1e-5)
        assert same == (layer.kind == "conv"), layer.name


def test_gradient_along_a_conv_layers_own_styles_vanishes(generator):
    """Euler's identity for a function that is blind to scale: sum_j s_j df/ds_j = 0 per conv layer."""
    generator = generator.double()
    s = draw_styles(generator, 3).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(generator.synthesize_raw(s).square().sum(), s)
    for layer in generator.style_layout():
        part = slice(layer.offset, layer.offset + layer.channels)
        size = float((s.detach()[:, part] * gradient[:, part]).abs().sum())
        sums = float((s.detach()[:, part] * gradient[:, part]).sum().abs())
        assert (sums < 1e-5 * size) == (layer.kind == "conv"), layer.name


def test_image_is_a_function_of_the_styles_alone(generator):
    s = draw_styles(generator, 4)
    together = generator.synthesize(s)
    assert torch.equal(together, generator.synthesize(s))
    torch.testing.assert_close(together[1:2], generator.synthesize(s[1:2]))
    assert float(together.detach().min()) >= 0
    assert float(together.detach().max()) <= 1
    noise = [torch.randn(4, 1, px, px) for px in generator.noise_resolutions()]
    assert not torch.allclose(generator.synthesize_raw(s, noise), generator.synthesize_raw(s))
    assert generator.synthesize(s[:0]).shape == (0, 1, 32, 32)
    w = generator.map_latents(torch.ones(2, generator.z_dim), torch.tensor([3, 8]))
    assert not torch.allclose(w[0], w[1]), "the class changes the image"


def test_upsampling_fir_equals_its_definition():
    """Zeros between pixels, then a convolution with the outer product of [1, 3, 3, 1] / 4, cut to twice the size."""
    x = np.random.default_rng(0).normal(size=(5, 5))
    stuffed = np.zeros((10, 10))
    stuffed[::2, ::2] = x
    taps = np.array([1, 3, 3, 1]) / 4
    expected = signal.convolve2d(stuffed, np.outer(taps, taps), mode="full")[1:11, 1:11]
    result = upsample(torch.from_numpy(x)[None, None], "fir")[0, 0].numpy()
    np.testing.assert_allclose(result, expected)
    bilinear = upsample(torch.from_numpy(x)[None, None], "bilinear")[0, 0].numpy()
    np.testing.assert_allclose(result[1:-1, 1:-1], bilinear[1:-1, 1:-1])


@pytest.mark.parametrize("resampling", ["bilinear", "fir"])
def test_resampling_keeps_a_constant_and_the_mean(resampling):
    flat = torch.full((1, 2, 8, 8), 0.7, dtype=torch.float64)
    assert torch.allclose(upsample(flat, resampling)[:, :, 2:-2, 2:-2], flat[:, :, :1, :1])
    assert torch.allclose(downsample(flat, resampling)[:, :, 1:-1, 1:-1], flat[:, :, :1, :1])
    assert downsample(flat, resampling).shape == (1, 2, 4, 4)


@pytest.mark.parametrize("stem", ["space_to_depth", "pixels"])
def test_discriminator_scores_by_label_projection(stem):
    torch.manual_seed(0)
    network = Discriminator(DiscriminatorArchitecture(10, (8, 8, 6, 4), 1, stem, 2, "bilinear"))
    images = torch.randn(4, 1, 32, 32)
    scores = network(images, torch.tensor([0, 1, 2, 3]))
    assert scores.shape == (4,)
    assert not torch.allclose(scores, network(images, torch.tensor([5, 6, 7, 8])))


def test_minibatch_std_equals_its_slow_twin():
    x = torch.randn(6, 3, 4, 4, dtype=torch.float64)
    result = append_minibatch_std(x, 3)
    for start in (0, 3):
        group = x[start : start + 3].numpy()
        expected = np.sqrt(group.var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(result[start : start + 3, 3].numpy(), expected, rtol=1e-6)
    assert torch.equal(result[:, :3], x)
    refused("groups of 4", append_minibatch_std, x, 4, error=ValueError)


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def test_probability_zero_is_the_identity():
    images = torch.rand(5, 1, 32, 32) * 2 - 1
    torch.testing.assert_close(
        augmentation.augment(images, augmentation.draw_augmentation(5, 0.0, stream())), images, atol=1e-5, rtol=0
    )


def test_each_transformation_strikes_its_share_of_images():
    drawn = augmentation.draw_augmentation(20_000, 0.3, stream())
    struck = {"contrast": drawn.contrast != 1, "brightness": drawn.brightness != 0, "shift": drawn.matrix[:, 0, 2] != 0}
    for name, mask in struck.items():
        assert float(mask.float().mean()) == pytest.approx(0.3, abs=0.015), name
    both = (struck["contrast"] & struck["brightness"]).float().mean()
    assert float(both) == pytest.approx(0.09, abs=0.01)  # drawn apart


def test_no_flip_and_no_quarter_turn():
    matrix = augmentation.draw_augmentation(20_000, 1.0, stream()).matrix
    determinant = matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] * matrix[:, 1, 0]
    angle = torch.rad2deg(torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0])).abs()
    assert float(determinant.min()) > 0
    assert float(angle.quantile(0.99)) < 30
    assert float(angle.max()) < 60


def test_a_shift_moves_pixels_and_fills_with_background():
    images = torch.full((1, 1, 32, 32), 1.0)
    matrix = torch.tensor([[[1.0, 0.0, 4 * 2 / 32], [0.0, 1.0, 0.0]]])  # read 4 px to the right
    moved = augmentation.augment(images, augmentation.Augmentation(matrix, torch.ones(1), torch.zeros(1)))
    torch.testing.assert_close(moved[..., :28], images[..., :28])
    torch.testing.assert_close(moved[..., 28:], torch.full((1, 1, 32, 4), -1.0))


def test_moving_reads_as_grid_sample_does():
    images = torch.rand(6, 2, 12, 20, generator=stream(1)) * 2 - 1
    matrix = augmentation.draw_augmentation(6, 1.0, stream(2)).matrix
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    expected = functional.grid_sample(images + 1, grid, mode="bilinear", padding_mode="zeros", align_corners=False) - 1
    moved = augmentation.augment(images, augmentation.Augmentation(matrix, torch.ones(6), torch.zeros(6)))
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)


def test_contrast_and_brightness_are_affine_in_the_values():
    images = torch.rand(2, 1, 8, 8)
    identity = torch.eye(2, 3).expand(2, -1, -1)
    changed = augmentation.augment(
        images, augmentation.Augmentation(identity, torch.tensor([2.0, 1.0]), torch.tensor([0.0, 0.25]))
    )
    torch.testing.assert_close(changed[0], images[0] * 2)
    torch.testing.assert_close(changed[1], images[1] + 0.25)


def test_the_gradient_reaches_the_images():
    images = torch.rand(3, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    drawn = augmentation.draw_augmentation(3, 1.0, stream())
    assert torch.autograd.gradcheck(lambda x: augmentation.augment(x, drawn).sum(dim=(1, 2, 3)), images)


def test_controller_rises_when_the_discriminator_is_too_sure_at_the_stated_speed():
    control = augmentation.AdaptiveProbability(target=0.6, interval_steps=4, adjustment_kimg=500)
    for sign, after in ((0.9, 4 * 64 / 500_000), (0.3, 0)):
        before = control.probability
        for _ in range(4):
            assert control.probability == before
            control.observe(sign, 64)
        assert control.probability == pytest.approx(after)
    control, seen = augmentation.AdaptiveProbability(target=0.6, interval_steps=4, adjustment_kimg=10), 0
    while control.probability < 0.5:
        control.observe(1.0, 32)
        seen += 32
    assert seen == pytest.approx(5000, abs=4 * 32)
    off = augmentation.AdaptiveProbability(target=0.0, interval_steps=1, adjustment_kimg=0.1)
    off.observe(1.0, 1000)
    assert off.probability == 0


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=200))
@settings(max_examples=50, deadline=None)
def test_controller_stays_within_its_bounds(signs):
    control = augmentation.AdaptiveProbability(target=0.6, interval_steps=1, adjustment_kimg=0.2)
    for sign in signs:
        control.observe(sign, 32)
        assert 0 <= control.probability <= augmentation.MAX_PROBABILITY
