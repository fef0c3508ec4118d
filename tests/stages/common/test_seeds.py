"""Streams are reproducible, and independent of one another."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from failure_atlas.core.seeds import numpy_stream, torch_stream

NAMES = st.lists(st.one_of(st.text(min_size=1, max_size=8), st.integers(0, 2**31)), max_size=3)
PATHS = [(), ("a",), ("b",), ("a", 0), ("a", 1), (0, "a"), ("a", "b"), ("ab",), (0,), (1,)]


@given(seed=st.integers(0, 2**64), names=NAMES)
def test_equal_names_give_equal_numbers(seed: int, names: list[str | int]) -> None:
    assert np.array_equal(numpy_stream(seed, *names).random(4), numpy_stream(seed, *names).random(4))
    first, second = (torch.rand(4, generator=torch_stream(seed, *names)) for _ in range(2))
    assert torch.equal(first, second)


@given(seed=st.integers(0, 2**32), names=NAMES, other=NAMES)
def test_other_names_or_another_seed_give_other_numbers(
    seed: int, names: list[str | int], other: list[str | int]
) -> None:
    def numbers(seed: int, names: list[str | int]) -> tuple[bytes, bytes]:
        drawn = torch.rand(4, generator=torch_stream(seed, *names))
        return numpy_stream(seed, *names).bytes(16), drawn.numpy().tobytes()

    for one, two in zip(numbers(seed, names), numbers(seed + 1, names), strict=True):
        assert one != two
    if names != other:
        for one, two in zip(numbers(seed, names), numbers(seed, other), strict=True):
            assert one != two


def test_streams_of_different_names_are_uncorrelated() -> None:
    normal = np.stack([numpy_stream(1, *path).standard_normal(4000) for path in PATHS])
    drawn = [torch.randn(4000, generator=torch_stream(1, *path)) for path in PATHS]
    for numbers in (normal, torch.stack(drawn).numpy()):
        correlation = np.corrcoef(numbers)[np.triu_indices(len(PATHS), 1)]
        assert np.abs(correlation).max() < 5 / np.sqrt(4000)


def test_first_numbers_of_numbered_streams_are_uniform() -> None:
    """Streams named by a sample's index serve one sample each: their first draws must look like one stream's."""
    first = np.array([numpy_stream(1, "image", index).random() for index in range(2000)])
    assert stats.kstest(first, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 5 / np.sqrt(2000)


def test_drawing_leaves_global_random_state_alone() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    torch.rand(4, generator=torch_stream(1, "a"))
    numpy_stream(1, "a").random(4)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002


def test_numbers_stay_the_same_from_version_to_version() -> None:
    """A change here changes every result: CHANGELOG.md has to say so."""
    assert numpy_stream(1, "image", 7).integers(0, 1000, 4).tolist() == [357, 245, 631, 733]
    drawn = torch.randint(0, 1000, (4,), generator=torch_stream(1, "image", 7))
    assert drawn.tolist() == [518, 811, 972, 141]
    with pytest.raises(ValueError, match="non-negative"):
        numpy_stream(-1)
