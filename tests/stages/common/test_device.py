"""The device comes from the environment, and a wrong one is told in one line."""

import os
from collections.abc import Iterator

import pytest
import torch

from failure_atlas.core.device import DEVICE_VARIABLE, choose_device, choose_dtype
from failure_atlas.core.errors import StageError


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    before, filled = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(before)
    torch.utils.deterministic.fill_uninitialized_memory = filled


@pytest.mark.parametrize("value", [None, "", "  "])
def test_default_is_cuda_if_present_else_cpu(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv(DEVICE_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(DEVICE_VARIABLE, value)
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_the_named_device_is_taken_and_kernels_are_deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.use_deterministic_algorithms(False)
    monkeypatch.setenv(DEVICE_VARIABLE, " cpu ")
    assert choose_device() == torch.device("cpu")
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.parametrize("value", ["gpu", "CPU", "meta", "mps", "cuda:999", "cuda:-1", "cpu,cuda", "vulkan"])
def test_another_device_ends_in_one_short_line(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(DEVICE_VARIABLE, value)
    with pytest.raises(StageError) as caught:
        choose_device()
    message = str(caught.value)
    assert message.startswith(f"{DEVICE_VARIABLE}: got '{value}', which this machine cannot use")
    assert message.endswith("allowed: cpu, cuda, cuda:N")
    assert "\n" not in message
    assert len(message) < 400


def test_precision_is_asked_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for native in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda native=native: {"avx512_bf16": native})
        assert choose_dtype("auto", torch.device("cpu")) is (torch.bfloat16 if native else torch.float32)
        assert choose_dtype("bfloat16", torch.device("cpu")) is torch.bfloat16
        assert choose_dtype("float32", torch.device("cpu")) is torch.float32
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (7, 5))
    assert choose_dtype("auto", torch.device("cuda")) is torch.float32
