"""Ellipsoids of classes in W, and coordinates seen from them."""

import numpy as np
import torch
from scipy.stats import chi

from failure_atlas.search.domain import enter_latents, fit_domain
from failure_atlas.world.show import World
from tests.failure_atlas.search.corner import AXES, CENTRE, make_domain

LABELS = np.arange(40) % 2
AT = np.random.default_rng(1).normal(size=(40, 3)) * np.linspace(0.2, 4, 40)[:, None]  # inside and outside


def test_place_and_whiten_are_inverse_and_of_each_class() -> None:
    placed = make_domain().place(AT, LABELS)
    for row, label in enumerate(LABELS):
        np.testing.assert_allclose(placed[row], CENTRE[label] + AXES[label] @ AT[row], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(make_domain().whiten(placed, LABELS), AT, atol=1e-5)
    assert placed.dtype == np.float32


def test_points_outside_are_held_at_the_surface_on_their_ray_and_no_others_move() -> None:
    domain, length = make_domain(), np.linalg.norm(AT, axis=1)
    held, inside = domain.hold(AT, LABELS), length <= 3
    assert 10 < inside.sum() < 35
    np.testing.assert_array_equal(domain.contains(domain.place(AT, LABELS), LABELS), inside)
    np.testing.assert_array_equal(held[inside], AT[inside])
    np.testing.assert_allclose(held[~inside], 3 * AT[~inside] / length[~inside, None])
    assert not domain.hold(np.zeros((1, 3)), LABELS[:1]).any()


def test_a_slope_pulled_back_is_that_of_the_whitened_coordinates() -> None:
    domain, half = make_domain(), np.diag([1.0, -2.0, 0.5])

    def measure(whitened: np.ndarray) -> np.ndarray:
        w = domain.place(whitened, LABELS).astype(float)
        return np.asarray((w @ half * w).sum(axis=1))

    slope = domain.pull_back(2 * domain.place(AT, LABELS) @ half, LABELS)
    for coordinate, step in enumerate(0.1 * np.eye(3)):
        twin = (measure(AT + step) - measure(AT - step)) / 0.2  # exact of a quadratic form
        np.testing.assert_allclose(slope[:, coordinate], twin, rtol=1e-4, atol=1e-3)


def test_a_domain_fitted_to_gaussian_classes_is_their_ellipsoid() -> None:
    random, labels, share = np.random.default_rng(2), np.arange(20_000) % 2, 0.9
    w, fresh = (make_domain().place(random.normal(size=(20_000, 3)), labels) for _ in range(2))
    domain = fit_domain(w, labels, share)
    np.testing.assert_allclose(domain.centre, CENTRE, atol=0.03)
    np.testing.assert_allclose(domain.axes @ domain.axes.swapaxes(1, 2), AXES @ AXES.swapaxes(1, 2), atol=0.03)
    np.testing.assert_allclose(domain.radius, chi(3).ppf(share), rtol=0.02)
    for label in (0, 1):
        own = labels == label
        np.testing.assert_allclose(np.cov(domain.whiten(w, labels)[own].T), np.eye(3), atol=0.02)
        assert abs(domain.contains(w, labels)[own].mean() - share) < 1e-3
        assert abs(domain.contains(fresh, labels)[own].mean() - share) < 0.02


def test_a_class_of_fewer_samples_than_coordinates_has_width_everywhere() -> None:
    w, labels = np.random.default_rng(3).normal(size=(10, 40)).astype(np.float32), np.repeat([0, 1], 5)
    domain = fit_domain(w, labels, 0.95)
    np.testing.assert_allclose(domain.axes @ domain.inverse, np.tile(np.eye(40), (2, 1, 1)), atol=1e-6)
    assert np.linalg.svd(domain.axes, compute_uv=False).min() > 0.05  # the samples alone: 4 of 40 have any
    assert domain.contains(w, labels).sum() == 8  # of each class all but the farthest


def test_a_world_entered_by_latents_shows_what_their_styles_show() -> None:
    def paint(styles: torch.Tensor, noise: np.ndarray) -> torch.Tensor:
        return (styles + torch.from_numpy(noise)[:, None])[:, None, None, :]

    world = enter_latents(World(paint, batch_size=2), lambda w: w[:, :2] / 2)
    images = world.show(np.array([[0.4, 0.8, 9.0]] * 3, np.float32), noise=np.array([0.0, 0.2, 0.4])).images
    np.testing.assert_array_equal(images[:, 0, 0], [[51, 102], [102, 153], [153, 204]])


def test_what_stands_behind_a_latent_is_added_to_its_styles() -> None:
    world = enter_latents(World(lambda styles: styles[:, None, None, :]), lambda w: w / 2, width=2)
    images = world.show(np.array([[0.4, 0.8, 0.2, -0.4], [0.4, 0.8, 0.0, 0.0]], np.float32)).images
    np.testing.assert_array_equal(images[:, 0, 0], [[102, 0], [51, 102]])
