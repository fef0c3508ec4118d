"""The number format that a training computes in."""

import pytest
import torch

from failure_atlas.core.device import choose_dtype

CPU = torch.device("cpu")


def test_precision_is_asked_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for native in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda native=native: {"avx512_bf16": native})
        assert choose_dtype("auto", CPU) is (torch.bfloat16 if native else torch.float32)
        assert choose_dtype("bfloat16", CPU) is torch.bfloat16
        assert choose_dtype("float32", CPU) is torch.float32
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (7, 5))
    assert choose_dtype("auto", torch.device("cuda")) is torch.float32
