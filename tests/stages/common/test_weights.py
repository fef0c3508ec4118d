"""Weights files: what is written comes back, equal content gives equal bytes, and damage is told."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import METADATA_KEY, load_tensors, save_tensors

DESCRIPTION = {"kind": "classifier", "architecture": {"width": 8, "channels": [1, 2]}, "log": [{"kimg": 0.5}]}


def draw_tensors() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    tensors = {f"layer{index}": torch.randn(3, 4, generator=random) for index in range(5)}
    return tensors | {
        "step": torch.tensor(3.0),
        "transposed": torch.randn(4, 6, generator=random).T,
        "parameter": torch.nn.Parameter(torch.randn(2, generator=random)),
        "half": torch.randn(3, generator=random).bfloat16(),
        "count": torch.arange(3),
        "empty": torch.zeros(0, 2),
    }


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    tensors = draw_tensors()
    tensors["shared"] = tensors["layer0"]
    save_tensors(tmp_path / "weights.safetensors", tensors, DESCRIPTION)
    loaded, description = load_tensors(tmp_path / "weights.safetensors", "classifier")
    assert description == DESCRIPTION
    assert set(loaded) == set(tensors)
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor.detach())
        assert not loaded[name].requires_grad


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.safetensors" for index in range(3)]
    for path in paths[:2]:
        save_tensors(path, draw_tensors(), DESCRIPTION)
    save_tensors(paths[2], dict(reversed(draw_tensors().items())), DESCRIPTION)
    assert len({path.read_bytes() for path in paths}) == 1
    assert sorted(tmp_path.iterdir()) == paths


def test_the_file_can_be_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_tensors(path, draw_tensors(), DESCRIPTION)
    (tmp_path / "plain").write_text("x", encoding="utf-8")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_tensors(path, draw_tensors(), DESCRIPTION)
    with pytest.raises(StageError, match=r"weights\.safetensors: holds a classifier, needed: a stylegan2-generator"):
        load_tensors(path, "stylegan2-generator")


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.safetensors", tmp_path):
        with pytest.raises(StageError, match="no such weights file; make it with dvc repro, or correct the path"):
            load_tensors(path, "classifier")


@pytest.mark.parametrize("kept", [0, 4, 40, -1])
def test_a_cut_file_is_told(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "weights.safetensors"
    save_tensors(path, draw_tensors(), DESCRIPTION)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(StageError, match=r"weights\.safetensors: cut or not a safetensors file .*restore it"):
        load_tensors(path, "classifier")


def test_foreign_and_damaged_descriptions_are_told(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"PK" + bytes(200))
    with pytest.raises(StageError, match="cut or not a safetensors file"):
        load_tensors(path, "classifier")
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(StageError, match="written by something else; its metadata has no 'failure-atlas' entry"):
        load_tensors(path, "classifier")
    save_file({"a": torch.ones(1)}, path, metadata={METADATA_KEY: "{"})
    with pytest.raises(StageError, match="its description is no JSON"):
        load_tensors(path, "classifier")
