"""Chains to true failures that lie in a known corner; z are the whitened coordinates."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from failure_atlas.search import chains
from failure_atlas.search.chains import Chains, chain_to_failures, measure_levels
from failure_atlas.walks.true_failures import weigh_failures
from failure_atlas.world.show import CLASSIFIER, JUDGE, World
from tests.failure_atlas.search import corner
from tests.failure_atlas.search.corner import CONFIDENCE, NOISE, SIGN, TRUE_CLASS, X0, W, make_domain, make_world

DOMAIN, SMALL, ALL = make_domain(), make_domain(1.2), np.arange(4)  # outside of the small one lie all failures
Z = DOMAIN.whiten(W, TRUE_CLASS).astype(np.float32)


def run(rows: np.ndarray = ALL, z: np.ndarray = Z, domain: Any = DOMAIN, **options: Any) -> Chains:
    options = {"world": make_world(), "noise": NOISE[rows], "confidence": CONFIDENCE} | options
    return chain_to_failures(
        domain=domain, locate=DOMAIN.place, z=z[rows], true_class=TRUE_CLASS[rows],
        stream=lambda chain: np.random.default_rng([4, rows[chain]]), **options,
    )  # fmt: skip


def measure(w: np.ndarray, world: World | None = None, most: np.ndarray | None = None) -> np.ndarray:
    most = np.full(4, np.inf) if most is None else most
    return measure_levels(world or make_world(), w, TRUE_CLASS, NOISE, CONFIDENCE, most)


def test_a_level_adds_what_each_network_lacks_and_the_judge_is_asked_below_the_most_alone() -> None:
    asked: list[int] = []

    def judge(images: torch.Tensor) -> torch.Tensor:
        asked.append(len(images))
        return corner.judge(images)

    margin = np.maximum(-8 * SIGN * X0, 0)
    sure = np.mean([1 / (1 + np.exp(-2 * steepness * SIGN * W[:, 1])) for steepness in corner.STEEPNESS], axis=0)
    level = margin + np.maximum(np.log(CONFIDENCE / sure), 0)
    assert list(level > margin) == [False, True, False, True]
    np.testing.assert_allclose(measure(W), level, rtol=1e-5)
    world = replace(make_world(), networks={**make_world().networks, JUDGE: judge})
    found = measure(W, world, margin + np.array([0.1, 0.001, -0.1, 1.0]))  # the second has a judge too unsure
    np.testing.assert_allclose(found, [level[0], np.inf, np.inf, level[3]], rtol=1e-5)
    assert sum(asked) == 3


def test_the_last_samples_are_true_failures_inside_the_domain_and_chains_from_those_take_no_step() -> None:
    ended: list[int] = []
    whole = run(on_end=ended.append)
    assert whole.found.all()
    assert whole.steps.all()
    assert sum(ended) == 4
    np.testing.assert_array_equal(whole.w, DOMAIN.place(whole.z, TRUE_CLASS))
    assert (weigh_failures(make_world(), whole.w, TRUE_CLASS, NOISE) >= CONFIDENCE).all()
    assert DOMAIN.contains(whole.w, TRUE_CLASS).all()
    again = run(z=whole.z)
    assert again.found.all()
    assert not again.steps.any()
    np.testing.assert_array_equal(again.z, whole.z)


def test_levels_never_rise_and_a_chain_cut_short_is_the_beginning_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, before = run(), measure(W)
    for most_steps in range(int(whole.steps.max()) + 1):
        monkeypatch.setattr(chains, "MOST_STEPS", most_steps)
        part = run()
        np.testing.assert_array_equal(part.found, whole.steps <= most_steps)
        np.testing.assert_array_equal(part.steps, np.minimum(whole.steps, most_steps))
        assert (measure(part.w) <= before).all()
        before = measure(part.w)
    np.testing.assert_array_equal(part.z, whole.z)


def test_no_chain_ends_or_goes_outside_the_domain() -> None:
    still = 0 * NOISE  # which would bring a failure inside
    failing = run(noise=still).z
    assert not SMALL.contains(DOMAIN.place(failing, TRUE_CLASS), TRUE_CLASS).any()
    for z, inside in ((failing, False), (0 * failing, True)):
        part = run(z=z, domain=SMALL, noise=still)
        assert not part.found.any()
        assert (part.steps == chains.MOST_STEPS).all()
        np.testing.assert_array_equal(SMALL.contains(part.w, TRUE_CLASS), inside)


def test_a_chain_depends_on_its_own_stream_alone() -> None:
    whole = run()
    for rows, batch_size in ((np.array([2, 1]), 3), (ALL, 1)):
        part = run(rows, world=make_world(batch_size))
        np.testing.assert_array_equal(part.z, whole.z[rows])
        np.testing.assert_array_equal(part.steps, whole.steps[rows])


def test_proposals_keep_standard_normal_samples_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every one is taken: only rounding to bytes, which turns the classifier, keeps these samples from failing."""

    def classify(images: torch.Tensor) -> torch.Tensor:
        off = ((255 * images).round() - 255 * images).abs().flatten(1).amax(dim=1)
        return torch.where((off < 1e-3)[:, None] == torch.tensor([True, False]), 5.0, -5.0)

    def judge(images: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[0.0, -9.0]]).expand(len(images), 2)

    monkeypatch.setattr(chains, "MOST_STEPS", 3)
    rows, z = np.array([0, 1]), Z[:2].astype(float)
    world = replace(make_world(), networks={CLASSIFIER: classify, JUDGE: judge})
    part = run(rows, domain=make_domain(100), world=world)
    assert not part.found.any()
    for drawn in np.stack([np.random.default_rng([4, row]).normal(size=(3, 3)) for row in rows], axis=1):
        z = np.sqrt(0.91) * z + 0.3 * drawn  # the squares add up to 1
    np.testing.assert_allclose(part.z, z, rtol=1e-5, atol=1e-6)
