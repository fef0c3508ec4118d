"""Grey values and noise, on images whose answer is known."""

import numpy as np
import pytest

from failure_atlas.core.seeds import numpy_stream
from failure_atlas.quality import grey
from failure_atlas.quality.grey import CLEAN, CORRUPTED, GENERATED, TEST, TRAINING, Looked, measure_noise, share_greys

STREAM = np.random.default_rng
EVERYWHERE = np.ones((1, 16, 16), bool)


def paint(black, white, n=40, seed=0):
    """Images with exactly these shares of 0 and of 255 among 256 pixels in random order, and 100 elsewhere."""
    pixels = np.repeat([0, 255, 100], [round(256 * black), round(256 * white), 256 - round(256 * (black + white))])
    return STREAM(seed).permuted(np.tile(pixels, (n, 1)), axis=1).astype(np.uint8).reshape(n, 1, 16, 16)


def draw_noise(n, seed, shared=0.0, height=16):
    """Unit normal noise around grey 128, of which a share of the variance is the same in all images."""
    own, common = STREAM(seed).standard_normal((n, 1, height, 16)), STREAM(99).standard_normal((1, 1, height, 16))
    return np.round(128 + 25 * (np.sqrt(1 - shared) * own + np.sqrt(shared) * common)).clip(0, 255).astype(np.uint8)


def test_every_value_falls_into_one_bin_and_black_and_white_stand_alone():
    shares = share_greys(np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16))[0]
    np.testing.assert_allclose(shares * 256, np.diff(grey.EDGES))
    assert [shares[column] * 256 for column in grey.BINS.values()] == [1, 1]
    assert share_greys(np.zeros((0, 1, 4, 4), np.uint8)).shape == (0, 18)


def test_known_shares_are_found_in_all_images_and_in_each_kind():
    of_clean = {GENERATED: paint(0.5, 0.125), TEST: paint(0.75, 0.0625, 30), TRAINING: paint(0.75, 0.0625)}
    of_others = {GENERATED: paint(0.25, 0), TEST: paint(0.25, 0, 30), TRAINING: paint(0.5, 0)}
    kinds = {CLEAN: of_clean, CORRUPTED: of_others}
    found = grey.compare_kinds({kind: {key: share_greys(of[key]) for key in of} for kind, of in kinds.items()})
    clean, others = found["grey_of_kind"][CLEAN], found["grey_of_kind"][CORRUPTED]
    assert clean["black_share"] == {"value": 0.5, "low": 0.5, "high": 0.5, "n": 40}
    assert clean["black_share_gap"] == {"value": -0.25, "low": -0.25, "high": -0.25, "n": 30}
    assert (clean["white_share_gap"]["value"], clean["white_share_real"]["value"]) == (0.0625, 0.0625)
    assert (clean["black_share_gap_real"]["value"], others["black_share_gap_real"]["value"]) == (0, 0.25)
    # Histograms (black, grey, white) of (0.5, 0.375, 0.125) and (0.75, 0.1875, 0.0625)
    assert clean["grey_total_variation"]["value"] == pytest.approx(0.25)
    assert (clean["grey_total_variation_real"]["value"], others["grey_total_variation"]["value"]) == (0, 0)
    assert found["black_share_gap"]["value"] == pytest.approx(-0.125)
    assert found["black_share_gap"]["low"] < -0.125 < found["black_share_gap"]["high"]
    assert found["black_share_gap"]["n"] == 60


def test_intervals_cover_the_truth_as_often_as_they_claim():
    stream, hits = STREAM(1), np.zeros(2)
    for _ in range(400):
        # The units are images: pixels of one share its level, so that intervals over pixels would be far too narrow.
        first, second = (stream.beta(*shape, (40, 1)) * [1, -1] + [0, 1] for shape in ((6, 4), (3, 7)))
        hits[0] += (lambda found: found.low <= 0.6 <= found.high)(grey.average(first[:, 0]))
        hits[1] += (lambda found: found.low <= 0.3 <= found.high)(grey.measure_total_variation(first, second))
    assert hits / 400 == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(("shared", "expected"), [(1.0, 1.0), (0.5, 0.5), (0.0, 0.0)])
def test_noise_between_images_correlates_by_what_they_share(shared, expected):
    found = measure_noise(draw_noise(400, 3, shared), EVERYWHERE, STREAM(0))
    for key in ("noise_correlation", "noise_correlation_whole"):
        assert found[key]["value"] == pytest.approx(expected, abs=0.03), key  # one draw of 256 pixels is shared
        assert (found[key]["high"] - found[key]["low"] < 0.03, found[key]["n"]) == (True, 200)
        if shared in (0, 1):
            assert found[key]["low"] - 1e-9 <= expected <= found[key]["high"] + 1e-9


def test_neighbours_correlate_by_what_they_share_and_independent_ones_not_even_in_few_pixels():
    few = measure_noise(draw_noise(2_000, 4, height=2), np.ones((1, 2, 16), bool), STREAM(0))
    within = few["noise_correlation_within"]
    assert within["low"] <= 0 <= within["high"]
    assert within["high"] - within["low"] < 0.02 < 2 / 31  # without the correction it would be -1 / 31
    doubled = draw_noise(400, 5).repeat(2, axis=3)  # every second horizontal neighbour is the same: 16 of 31
    found = measure_noise(doubled, np.ones((1, 16, 32), bool), STREAM(0))["noise_correlation_within"]
    assert found["value"] == pytest.approx(16 * 16 / (16 * 31 + 15 * 32), abs=0.01)
    gradient = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (5, 1, 1, 1))
    along = measure_noise(gradient, np.ones((1, 1, 128), bool), STREAM(0))["noise_correlation_within"]["value"]
    assert along == pytest.approx(1, abs=0.03)


def test_only_empty_pixels_count_and_images_without_noise_take_no_part():
    empty = np.zeros((1, 16, 16), bool)
    empty[:, :8] = True
    clean = np.zeros((3, 1, 16, 16), np.uint8)
    clean[1, 0, 8:] = 7
    np.testing.assert_array_equal(grey.find_empty(clean), empty)
    assert not grey.find_empty(clean[:0]).any()
    images = draw_noise(40, 6)
    changed = images.copy()
    changed[:, :, 8:] = 255  # a digit
    digits = [measure_noise(each, empty, STREAM(0)) for each in (images, changed)]
    for key in ("noise_correlation", "noise_correlation_within"):
        assert digits[0][key] == digits[1][key]
    changed[:10] = 0
    assert measure_noise(changed, empty, STREAM(0))["noise_correlation_within"]["n"] == 30
    nowhere = measure_noise(images, np.zeros_like(empty), STREAM(0))
    assert np.isnan(nowhere["noise_correlation"]["value"])
    assert nowhere["noise_correlation_whole"]["n"] == 20
    nothing = measure_noise(images[:0], empty, STREAM(0))
    assert [(np.isnan(each["value"]), each["n"]) for each in nothing.values()] == [(True, 0)] * 3


def test_clean_and_corrupted_are_told_apart_by_their_noise_alike_in_every_source():
    clean = np.arange(60) % 2 == 0
    images = np.where(clean[:, None, None, None], paint(0.5, 0, 60), draw_noise(60, 7))
    looked = Looked(images, STREAM(8).standard_normal((60, 3)))
    sources = {GENERATED: Looked(images[::-1], looked.features), TEST: looked}
    read = grey.read_clean(looked, clean, sources)
    np.testing.assert_array_equal(read[TEST], clean)
    np.testing.assert_array_equal(read[GENERATED], ~clean)
    kinds = grey.split_kinds(sources, read)
    np.testing.assert_array_equal(kinds[CLEAN][TEST], kinds[CLEAN][GENERATED][::-1])
    assert grey.read_clean(looked, np.ones(60, bool), sources) == {}
    together = grey.split_kinds(sources, {})
    for each, n in ((kinds, 15), (together, 30)):
        noise = grey.compare_noise(each, EVERYWHERE, lambda source: numpy_stream(1, source))
        assert (noise["noise_correlation_whole"]["n"], noise["noise_correlation_whole_real"]["n"]) == (n, n)
        assert noise["noise_pixels"] == 256
