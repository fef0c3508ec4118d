"""The noise of a sample: what an image depends on, all that is asked under it, and images as they are stored."""

from functools import partial

import numpy as np
import pytest
import torch

from failure_atlas.curves.shift import ask_shifted
from failure_atlas.directions.moves import measure_move
from failure_atlas.ranking import held_out, methods
from failure_atlas.ranking.gradient_scores import average_gradients
from failure_atlas.ranking.scores import difference_population, score_population
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture
from failure_atlas.stylegan2.noise import CONSTANT, SEEDS, draw_seeds
from failure_atlas.stylegan2.stored import MARGIN, as_stored
from failure_atlas.walks.single import trace_walk
from failure_atlas.walks.space import StdSpace
from failure_atlas.walks.true_failures import survive_noise
from failure_atlas.world.gradients import Differences, differentiate, log_odds, softmax
from failure_atlas.world.show import CLASSIFIER, JUDGE, World
from tests.linear_pair import PIXELS, D, LinearPair, N

SEEDS_OF = np.array([7, CONSTANT, SEEDS - 1, 7, 0, 12])


@pytest.fixture(scope="module")
def generator():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        made = Generator(
            GeneratorArchitecture(
                z_dim=4, w_dim=4, num_classes=2, mapping_layers=1, channels=(6, 5, 4), image_channels=1,
                resampling="fir",
            )
        )  # fmt: skip
    for conv in made.convs:
        torch.nn.init.constant_(conv.noise_strength, 0.2)
    return made.requires_grad_(False)


@pytest.fixture(scope="module")
def styles(generator):
    return np.random.default_rng(1).normal(1, 0.3, (6, generator.style_dimensions)).astype(np.float32)


def test_a_samples_noise_is_standard_normal_and_follows_its_seed_alone(generator):
    seeds = draw_seeds(300, np.random.default_rng(2))
    planes = generator.make_noise(seeds)
    assert [tuple(plane.shape) for plane in planes] == [(300, 1, px, px) for px in generator.noise_resolutions()]
    drawn = torch.cat([plane.flatten(1) for plane in planes], dim=1).numpy()
    assert (abs(drawn.mean()), drawn.std()) == (pytest.approx(0, abs=0.01), pytest.approx(1, abs=0.01))
    alike = np.corrcoef(drawn)[np.triu_indices(300, 1)]
    assert np.abs(alike).max() < 0.4  # between samples; where seeds are near each other, too:
    near = np.corrcoef(torch.cat([plane.flatten(1) for plane in generator.make_noise(np.arange(40))], 1).numpy())
    assert np.abs(near[np.triu_indices(40, 1)]).max() < 0.3
    rows = np.array([5, 299, 5, 0])
    for whole, some in zip(planes, generator.make_noise(seeds[rows]), strict=True):
        assert torch.equal(whole[rows], some)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_an_image_depends_neither_on_the_batch_nor_on_order_or_company(generator, styles, batch_size):
    same = np.repeat(styles[:1], len(SEEDS_OF), axis=0)
    show = World(generator.synthesize, batch_size=batch_size).show
    for given in (styles, same):
        alone = [show(given[[row]], noise=SEEDS_OF[[row]]).images[0].astype(int) for row in range(6)]
        for order in ([0, 1, 2, 3, 4, 5], [5, 3, 0, 1, 4, 2], [2, 2]):
            together = show(given[order], noise=SEEDS_OF[order]).images
            assert np.abs(together - np.array([alone[row] for row in order])).max() <= 1
    images = show(same, noise=SEEDS_OF).images.astype(int)
    for row in range(6):
        differs = np.abs(images - images[row]).max(axis=(1, 2, 3)) > 3
        assert differs.tolist() == (SEEDS_OF[row] != SEEDS_OF).tolist()


def test_constant_stands_for_the_generators_own_noise_and_nobody_has_none(generator, styles):
    s, constant = torch.from_numpy(styles), np.full(6, CONSTANT)
    assert torch.equal(generator.synthesize(s, constant), generator.synthesize(s))
    mixed = generator.synthesize(s, SEEDS_OF)
    torch.testing.assert_close(mixed[1], generator.synthesize(s)[1])
    assert (mixed - generator.synthesize(s)).abs().amax(dim=(1, 2, 3))[[0, 2, 3, 4, 5]].min() > 0.01
    nobody = World(generator.synthesize).show(styles[:0], noise=SEEDS_OF[:0])
    assert nobody.images.shape == (0, 1, 16, 16)
    walk = trace_walk(World(generator.synthesize, {CLASSIFIER: torch.flatten}), styles[0], 3, np.zeros(2), seed=7)
    assert np.abs(walk.images - World(generator.synthesize).show(styles[:1], noise=SEEDS_OF[:1]).images).max() <= 1


class NoisyPair(LinearPair):
    """image = s G + noise P / N, so that logits and gradients under it are known."""

    def __init__(self):
        super().__init__()
        self.P = torch.from_numpy(np.random.default_rng(5).normal(size=PIXELS))
        self.noise = np.random.default_rng(6).permutation(N)

    def synthesize(self, s, seeds=None):
        return super().synthesize(s) + (torch.from_numpy(seeds / N)[:, None] * self.P).view(-1, 1, 3, 4)

    def logits(self, styles=None):
        seen = self.styles if styles is None else styles
        return seen @ (self.G @ self.H).numpy() + np.outer(self.noise / N, (self.P @ self.H).numpy())

    def probability(self, styles):
        odds = np.exp(self.logits(styles))
        return (odds / odds.sum(1, keepdims=True))[np.arange(N), self.true_class]


@pytest.fixture
def pair():
    return NoisyPair()


@pytest.mark.parametrize("batch_size", [1, 13, 1000])
def test_gradients_and_differences_under_noise_are_those_of_the_formula(pair, batch_size):
    exact, silent = pair.exact(), LinearPair().exact()
    assert np.abs(exact["softmax"] - silent["softmax"]).max() > 0.05, "else noise does nothing"
    along = Differences.along_all(N, np.full(D, 1e-4))
    for differences, tolerance in ((None, 1e-9), (along, 1e-6)):
        parts = list(
            differentiate(
                pair.world(batch_size), {"softmax": softmax, "log_odds": log_odds}, pair.styles, pair.true_class,
                noise=pair.noise, differences=differences,
            )
        )  # fmt: skip
        for name in ("softmax", "log_odds"):
            found = np.concatenate([part.gradients[name] for part in parts])
            np.testing.assert_allclose(found, exact[name], rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(np.concatenate([part.logits for part in parts]), pair.logits(), rtol=1e-9)


def test_scores_and_spaces_keep_the_noise_of_each_sample(pair):
    world, given, exact = pair.world(7), (pair.styles, pair.true_class), pair.exact()
    scores = score_population(world, *given, noise=pair.noise)
    np.testing.assert_allclose(scores.gradients.global_mean(), exact["softmax"].mean(0), rtol=1e-9)
    once = {"softmax": np.full((1, N), 1 / N)}
    means = average_gradients(world, *given, once, noise=pair.noise)
    np.testing.assert_allclose(means["softmax"][0], exact["softmax"].mean(0), rtol=1e-9)
    streams = {"draw": np.random.default_rng(1), "halve": np.random.default_rng(2)}
    every = difference_population(
        world, *given, pair.std, noise=pair.noise, samples=N, step_std=1e-4, split_halves=1, **streams
    )
    np.testing.assert_allclose(every.logits, pair.logits(), rtol=1e-5)
    np.testing.assert_allclose(every.gradients.global_mean(), exact["softmax"].mean(0), rtol=1e-3, atol=1e-6)

    chosen = np.array([40, 3, 17])
    space = StdSpace(world, *given, pair.std, pair.noise).select(chosen)
    rows, nowhere = np.array([2, 0]), np.zeros((2, D))
    values, slopes = space.differentiate(rows, nowhere)
    np.testing.assert_allclose(slopes, (exact["log_odds"] * pair.std)[chosen[rows]], rtol=1e-4)
    np.testing.assert_allclose(space.measure(rows, nowhere), values, rtol=1e-5)
    probability = pair.probability(pair.styles)[chosen[rows]]
    np.testing.assert_allclose(space.score(rows, np.zeros(2, int), np.zeros(2)), probability, rtol=1e-5)


def test_shifts_and_walks_keep_the_noise_of_each_sample(pair):
    world, given = pair.world(7), (pair.styles, pair.true_class)
    move, shifts = np.linspace(-1, 1, D), np.array([0.0, 0.5, 2])
    right = ask_shifted(world, pair.styles, move, pair.true_class, shifts, noise=pair.noise)
    for shift, found in zip(shifts, right[0], strict=True):
        wanted = pair.logits(pair.styles + shift * move).argmax(1) == pair.true_class
        np.testing.assert_array_equal(found, wanted)
    way = methods.Method("paper", "full", 10, 30, methods.step_top(np.arange(D, 0, -1.0), D))
    outcome = held_out.measure_shifts(world, [way], {way.label: [(D, 1.0)]}, *given, pair.std, noise=pair.noise)
    moved = pair.probability(pair.styles - pair.std)
    np.testing.assert_allclose(outcome[way.label, D, 1.0].probability, moved, rtol=1e-5)

    both = World(pair.synthesize, {CLASSIFIER: pair.classify, JUDGE: pair.classify}, 7)
    walk = partial(held_out.walk_coarsely, both, moves=np.eye(D) * pair.std, max_shift_std=5, confidence=0.8)
    whole = walk(*given, noise=pair.noise).reached_std
    alone = [walk(*(each[[row]] for each in given), noise=pair.noise[[row]]).reached_std[0] for row in range(N)]
    np.testing.assert_array_equal(whole, alone)
    assert (whole != walk(*given, noise=pair.noise[::-1]).reached_std).any()


def test_a_measured_move_is_that_under_the_own_noise():
    """A pixel is half plus the style times a hundredth of the seed: so is its difference."""

    def synthesize(s, seeds):
        return 0.5 + (s[:, :1] * torch.from_numpy(seeds / 100).float()[:, None])[:, None, None].expand(-1, 1, 2, 2)

    measure = lambda images: images.mean(axis=(1, 2, 3))[:, None] / 255  # noqa: E731
    noise = np.array([1, 20, 5, 10])
    differences, _ = measure_move(
        World(synthesize, batch_size=3), measure, np.zeros((4, 2), np.float32), 0, 1, 1, noise
    )
    np.testing.assert_allclose(differences[:, 0], noise / 100, atol=1 / 255)


@pytest.mark.parametrize("batch_size", [3, 100])
def test_survival_is_the_share_of_draws_under_which_it_still_fails(batch_size):
    """A pixel is the style plus an even number in [0, 1): wrong above 0.4, and the judge sees the class up to 0.7."""

    def synthesize(s, seeds):
        return (s[:, :1] + torch.from_numpy(seeds / SEEDS).float()[:, None]).clamp(0, 1)[:, None, None]

    def step(at):
        return lambda images: torch.cat([at - images[:, 0, 0], images[:, 0, 0] - at], dim=1) * 300

    world = World(synthesize, {CLASSIFIER: step(0.4), JUDGE: step(0.7)}, batch_size, classes=2)
    stream, told = partial(np.random.default_rng), []
    styles = np.array([[-1.0], [0], [0.1], [0.3], [0.6], [0.9]], np.float32)
    found = survive_noise(world, styles, np.zeros(6, int), confidence=0.8, draws=40, stream=stream, advance=told.append)
    pixel = np.clip(styles[:, 0] + [draw_seeds(6, stream(draw)) / SEEDS for draw in range(40)], 0, 1)
    stored = np.round(pixel * 255) / 255
    wrong, read = np.minimum(pixel, stored) > 0.4, np.maximum(pixel, stored) < 0.7 - np.log(4) / 600
    np.testing.assert_allclose(found.wrong, wrong.mean(axis=0))
    np.testing.assert_allclose(found.true_failure, (wrong & read).mean(axis=0))
    assert (found.wrong[0], found.wrong[-1], found.true_failure[-1], told) == (0, 1, 0, [6] * 40)
    assert 0.1 < found.true_failure[1] < found.wrong[1] < 0.9


def test_stored_values_are_bytes_and_the_push_goes_through_unless_it_leads_farther_out():
    raw = torch.tensor([-1 - MARGIN - 0.1, -1 - MARGIN / 2, -1, -0.3, 0.1234, 1, 1 + MARGIN / 2, 1 + MARGIN + 0.1])
    stored = as_stored(raw)
    np.testing.assert_allclose((stored + 1) * 127.5, [0, 0, 0, 89, 143, 255, 255, 255], atol=1e-4)
    assert as_stored(raw.bfloat16()).dtype == torch.float32
    assert torch.equal(as_stored(stored), stored)
    inwards_below, inwards_above = [True] * 7 + [False], [False] + [True] * 7
    # Descent moves against the gradient: a negative one pushes up, away from black and, at the top, out of white.
    for push, passes in ((-2.0, inwards_below), (2.0, inwards_above)):
        leaf = raw.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad((as_stored(leaf) * push).sum(), leaf)
        assert gradient.tolist() == [push * each for each in passes]
