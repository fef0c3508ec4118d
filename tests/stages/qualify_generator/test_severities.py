"""Shares of corruptions, read from features."""

import numpy as np
import pytest

from failure_atlas.images.image_set import Severities
from stages.qualify_generator.severities import compare_severities


def draw(n: int, seed: int, shares: tuple[float, float, float]) -> tuple[np.ndarray, Severities]:
    """Features that show the severity (0, 1 or 2 of both corruptions) with overlap, in the given shares."""
    stream = np.random.default_rng(seed)
    severity = stream.choice(3, n, p=shares).astype(np.uint8)
    features = stream.standard_normal((n, 4)) + 1.5 * severity[:, None]
    return features.astype(np.float32), Severities({"blur": severity, "noise": severity})


def test_equal_shares_show_no_gap_and_others_do() -> None:
    even = (0.5, 0.25, 0.25)
    train, known = draw(4000, 1, even)
    test, known_test = draw(4000, 2, even)
    same = compare_severities(train, known, test, known_test, draw(8000, 3, even)[0])
    assert set(same["severity_shares"]) == {"blur_none", "blur_1", "blur_2", "noise_none", "noise_1", "noise_2"}
    assert abs(same["severity_share_gap"]["value"]) < 0.03
    assert same["severity_reading_accuracy"]["blur"]["value"] > 0.8
    skewed = compare_severities(train, known, test, known_test, draw(8000, 4, (0.7, 0.25, 0.05))[0])
    assert abs(skewed["severity_share_gap"]["value"]) == pytest.approx(0.2, abs=0.05)
    lost = skewed["severity_shares"]["noise_2"]["gap"]
    assert lost["high"] < -0.1


def test_one_severity_leaves_nothing_to_compare() -> None:
    features = np.zeros((10, 2), np.float32)
    none = Severities({"blur": np.zeros(10, np.uint8), "noise": np.zeros(10, np.uint8)})
    assert compare_severities(features, none, features, none, features) == {}
