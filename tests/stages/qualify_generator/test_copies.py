"""Nearest training images."""

import numpy as np
import torch

from stages.qualify_generator import copies
from stages.qualify_generator.copies import compare_nearness, find_nearest

CPU = torch.device("cpu")


def test_nearest_equals_a_search_one_by_one(monkeypatch) -> None:
    monkeypatch.setattr(copies, "ROWS", 7)
    stream = np.random.default_rng(0)
    train = stream.integers(0, 256, (30, 1, 8, 8), dtype=np.uint8)
    images = torch.from_numpy(stream.random((20, 1, 8, 8), dtype=np.float32))
    told: list[int] = []
    nearest = find_nearest(images, train, CPU, told.append)
    each = np.sqrt(((images.numpy()[:, None] - train[None] / 255) ** 2).mean(axis=(2, 3, 4)))
    assert nearest.index.tolist() == each.argmin(axis=1).tolist()
    np.testing.assert_allclose(nearest.distance, each.min(axis=1), rtol=1e-4)
    assert told == [7, 7, 6]


def test_a_copy_has_distance_zero_and_copies_are_counted() -> None:
    stream = np.random.default_rng(1)
    train = stream.integers(0, 256, (50, 1, 8, 8), dtype=np.uint8)
    test = stream.random((200, 1, 8, 8), dtype=np.float32)
    generated = test[::-1].copy()
    generated[:20] = train[:20] / 255
    own, real = (find_nearest(torch.from_numpy(part), train, CPU).distance for part in (generated, test))
    np.testing.assert_allclose(own[:20], 0, atol=1e-3)
    compared = compare_nearness(own, real)
    assert compared["copies_share"]["value"] >= 0.1
    assert compared["nearest_distance"]["generated"]["smallest"] < compared["nearest_distance"]["real"]["smallest"]
    assert compare_nearness(real, real)["copies_share"]["value"] <= 0.011
