"""Which images are inverted, on made-up errors and flat images."""

import numpy as np
import pytest

from failure_atlas.corruptions.registry import choose_steps
from failure_atlas.images.image_set import ImageSet
from stages.common.image_params import CorruptImagesParams
from stages.invert_images.selection import choose, corrupt_again, draw_real
from tests.stages.invert_images.inverting import CORRUPTION

RARE, OFTEN = (np.random.default_rng(4).random((3, 200)) < share for share in (0.1, 0.6))
FLAT, STEPS = (
    ImageSet(np.full((40, 1, 32, 32), 128, np.uint8), np.arange(40) % 10),
    choose_steps(["gaussian_noise"], "imagenet-c"),
)
SECTION = CorruptImagesParams(**(CORRUPTION | {"recipe": ["gaussian_noise"]}))


def pick(images=60, errors=40):
    return choose({"rare": RARE, "often": OFTEN}, images, errors, np.random.default_rng(1))


def test_the_sample_is_of_the_first_draw_and_errors_come_draw_by_draw():
    chosen = pick()
    assert chosen.sample.sum() == len(set(chosen.index[chosen.sample])) == 60
    assert not chosen.draw[chosen.sample].any()
    assert len(set(zip(chosen.draw, chosen.index, strict=True))) == len(chosen.draw)
    for name, wrong in (("rare", RARE), ("often", OFTEN)):
        case, failed = chosen.cases[name], wrong[chosen.draw, chosen.index]
        assert failed[case].all()
        assert case[chosen.sample & failed].all()
        assert case.sum() == 40
    assert (chosen.sample | chosen.cases["rare"] | chosen.cases["often"]).all(), "none without a reason"
    first, second, third = np.bincount(chosen.draw[chosen.cases["rare"]])
    assert (first, second) == (RARE[0].sum(), RARE[1].sum())
    assert 0 < third < RARE[2].sum()


def test_the_sample_may_hold_more_errors_than_are_wanted_and_all_images_at_most():
    few, whole = pick(errors=5), pick(images=1000, errors=10_000)
    assert few.cases["often"].sum() == OFTEN[0, few.index[few.sample]].sum() > 30
    assert not (few.cases["often"] & ~few.sample).any()
    assert whole.sample.sum() == 200
    assert (whole.cases["rare"].sum(), whole.cases["often"].sum()) == (RARE.sum(), OFTEN.sum())


def test_draws_differ_and_clean_images_are_drawn_once():
    real = draw_real(FLAT, STEPS, SECTION, 1, 3)
    assert (np.count_nonzero(real.severities, axis=(1, 2)) == 16).all()
    np.testing.assert_array_equal((real.images != 128).any(axis=(2, 3, 4)), real.severities[:, 0] > 0)
    both = (real.severities[:2, 0] > 0).all(axis=0)
    assert (real.images[0, both] != real.images[1, both]).mean() > 0.9
    once = draw_real(FLAT, STEPS, SECTION.model_copy(update={"clean_fraction": 1.0}), 1, 3)
    np.testing.assert_array_equal(once.images, FLAT.images[None])


def test_fresh_noise_is_as_strong_as_the_first_and_of_each_pair_its_own():
    real = draw_real(FLAT, STEPS, SECTION, 1, 1)
    again, level = corrupt_again(FLAT.images, real.severities[0], STEPS, 1, np.arange(40)), real.severities[0, 0]
    for rows, strength in ((level == 1, 0.08), (level == 2, 0.12)):
        assert again[rows].std() / 255 == pytest.approx(strength, rel=0.03)
        assert (again[rows] != real.images[0, rows]).mean() > 0.9
    assert (again[level == 0] == 128).all()
    part = corrupt_again(FLAT.images[:10], real.severities[0][:, 5:15], STEPS, 1, np.arange(5, 15))
    np.testing.assert_array_equal(part, again[5:15])
