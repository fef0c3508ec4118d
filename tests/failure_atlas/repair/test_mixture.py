"""What is mixed: shares of what is shown, each image as often as the next, and nothing by the order of names."""

import numpy as np

from failure_atlas.images.image_set import ImageSet
from failure_atlas.repair.mixture import mix
from tests.refusing import refused


def number(first, count):
    """Images that tell their number and have it as their label, too."""
    labels = np.arange(first, first + count)
    return ImageSet(labels.astype(np.uint8)[:, None, None, None], labels)


SOURCES = {"real": number(0, 7), "made": number(100, 30), "none": number(0, 0)}
MIXTURE = [("real", 0.7), ("made", 0.3), ("none", 0.0)]


def test_shares_are_kept_and_images_of_a_set_come_equally_often():
    mixed = mix(MIXTURE, SOURCES, 101, np.random.default_rng(1))
    np.testing.assert_array_equal(mixed.images[:, 0, 0, 0], mixed.labels)
    assert (np.sum(mixed.labels < 100), len(mixed.labels)) == (71, 101)
    assert set(np.bincount(mixed.labels, minlength=7)[:7]) == {10, 11}
    made = np.unique(mixed.labels[mixed.labels >= 100], return_counts=True)[1]
    assert made.tolist() == [1] * 30
    many = mix([("real", 1 / 3), ("made", 1 / 3), ("real", 1 / 3)], SOURCES, 10, np.random.default_rng(1))
    assert len(many.labels) == 10, "rounding loses no image"


def test_what_is_drawn_depends_on_the_seed_and_not_on_the_order_of_sources():
    first, again, other = (
        mix(MIXTURE, dict(sources), 50, np.random.default_rng(seed)).labels.tolist()
        for sources, seed in ((SOURCES.items(), 1), (reversed(SOURCES.items()), 1), (SOURCES.items(), 2))
    )
    assert first == again != other


def test_shares_that_are_none_and_sets_without_images_are_refused():
    for mixture, message in (
        ([("real", 0.5), ("made", 0.4)], r"shares \[0\.5, 0\.4\] do not add up to 1"),
        ([], r"shares \[\] do not add up to 1"),
        ([("real", 0.5), ("none", 0.5)], "none holds no images"),
    ):
        refused(message, mix, mixture, SOURCES, 10, np.random.default_rng(1), error=ValueError)
