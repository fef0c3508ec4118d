"""Weights files: what is written comes back, equal content gives equal bytes, and damage is told."""

import hashlib
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import METADATA_KEY, PinnedFile, check_pinned, load_tensors, save_tensors

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
    (tmp_path / "plain").write_text("x", encoding="utf-8")
    assert paths[0].stat().st_mode == (tmp_path / "plain").stat().st_mode  # others can read it


def test_another_kind_and_a_missing_cut_foreign_or_damaged_file_are_told(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"

    def refused(told: str, where: Path = path, kind: str = "classifier") -> None:
        with pytest.raises(StageError, match=told):
            load_tensors(where, kind)

    for gone in (path, tmp_path, tmp_path / ("g" * 300)):
        refused("no such weights file; make it with dvc repro, or correct the path", gone)
    save_tensors(path, draw_tensors(), DESCRIPTION)
    refused(r"weights\.safetensors: holds a classifier, needed: a stylegan2-generator", kind="stylegan2-generator")
    whole = path.read_bytes()
    for content in (whole[:0], whole[:4], whole[:40], whole[:-1], b"PK" + bytes(200)):
        path.write_bytes(content)
        refused(r"weights\.safetensors: cut or not a safetensors file .*restore it")
    save_file({"a": torch.ones(1)}, path)
    refused("written by something else; its metadata has no 'failure-atlas' entry")
    save_file({"a": torch.ones(1)}, path, metadata={METADATA_KEY: "{"})
    refused("its description is no JSON")


def test_a_pinned_file_is_taken_only_as_it_was(tmp_path: Path) -> None:
    path, expected = tmp_path / "weights", hashlib.sha256(b"held").hexdigest()
    path.write_bytes(b"held")
    assert check_pinned(PinnedFile(path=str(path), sha256=expected), "a.b") == path
    for content in (b"hel", b"hele", b""):
        path.write_bytes(content)
        found = hashlib.sha256(content).hexdigest()
        told = rf"weights: expected SHA-256 {expected}, found {found}; .* set a\.b\.sha256"
        with pytest.raises(StageError, match=told):
            check_pinned(PinnedFile(path=str(path), sha256=expected), "a.b")
    for name in ("gone", "g" * 300):
        told = rf"a\.b\.path: no file .*{name}, expected SHA-256 0{{64}}; restore it, or"
        with pytest.raises(StageError, match=told):
            check_pinned(PinnedFile(path=str(tmp_path / name), sha256="0" * 64), "a.b")
    with pytest.raises(ValidationError, match="sha256"):
        PinnedFile(path="weights", sha256="abc")
