"""What files of generators hold, and what those are told that hold something else."""

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from failure_atlas.brought_generators import pickled
from failure_atlas.brought_generators.pickled import HeldModule, read_pickle
from failure_atlas.brought_generators.published import Published, read_published
from failure_atlas.core.errors import StageError
from tests.failure_atlas.brought_generators.generator_files import (
    Tensors,
    build_ada,
    published,
    random_tensors,
    write_pickle,
    write_rosinality,
)


def refused(path: Path) -> str:
    with pytest.raises(StageError) as error:
        read_published(path, "bring_generator.file")
    told = str(error.value)
    assert told.startswith("bring_generator.file: ")
    assert str(path) in told
    assert "\n" not in told
    return told


def ada(path: Path, changed: dict[str, dict[str, Any]] | None = None, **tensors: torch.Tensor | None) -> Path:
    """The small network of the published program, with other tensors or attributes."""
    network, _ = published("ada")
    network = {name: held for name, held in (network | tensors).items() if held is not None}
    return write_pickle(path / "network.pkl", build_ada(network, changed=changed))


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_pickle_is_read_as_data_whatever_its_protocol(tmp_path: Path, protocol: int) -> None:
    network, _ = published("ada")
    held = read_published(write_pickle(tmp_path / "network.pkl", build_ada(network, 256), protocol), "file")
    assert (held.num_classes, held.z_dim, held.w_dim, held.clamp) == (3, 16, 16, 256)
    assert [layer.name for layer in held.layers] == [
        *("b4.conv1", "b4.torgb", "b8.conv0", "b8.conv1", "b8.torgb", "b16.conv0", "b16.conv1", "b16.torgb")
    ]
    assert torch.equal(held.layers[3].weight.float(), network["synthesis.b8.conv1.weight"])


def test_what_is_no_generator_is_told_so(tmp_path: Path) -> None:
    (path := tmp_path / "network.pkl").write_bytes(b"")
    assert "neither a pickle nor a file of torch.save (it starts with b'')" in refused(path)
    path.write_text("hello")
    assert "it starts with b'hello'" in refused(path)
    assert "no network G_ema but a dict of images" in refused(write_pickle(path, {"images": [1, 2]}))
    assert "no network G_ema but a list" in refused(write_pickle(path, [1]))
    torch.save({"state_dict": {"weight": torch.zeros(2)}}, path)
    assert "no state dict g_ema but a dict of state_dict" in refused(path)
    assert "no file" in refused(tmp_path / "elsewhere.pkl")


def test_a_cut_file_is_told_so(tmp_path: Path) -> None:
    whole = ada(tmp_path).read_bytes()
    for size in (2, 100, len(whole) // 2, len(whole) - 1):
        (path := tmp_path / "cut.pkl").write_bytes(whole[:size])
        assert "is cut, or no pickle" in refused(path)
    whole = write_rosinality(tmp_path / "whole.pt", published("rosinality")[0]).read_bytes()
    (path := tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    assert "no whole file of torch.save" in refused(path)


class Harm:
    """Runs a command where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.command = f"touch {place}"

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def test_nothing_that_a_file_carries_is_run(tmp_path: Path) -> None:
    done = tmp_path / "done"
    network, _ = published("ada")
    content = build_ada(network) | {"augment_pipe": Harm(done)}
    path = write_pickle(tmp_path / "network.pkl", content)
    assert "holds the name posix.system; only tensors and plain containers are read, and nothing" in refused(path)
    path = write_rosinality(tmp_path / "network.pt", published("rosinality")[0], optim=Harm(done))
    assert "the name posix.system, and nothing but tensors is read" in refused(path)
    assert not done.exists()
    pickle.loads(pickle.dumps(Harm(done)))  # noqa: S301 - it would have
    assert done.exists()


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        (b"\x80\x04cbuiltins\neval\n.", "the name builtins.eval"),
        (b"\x80\x04cdnnlib.tflib.network\nNetwork\n.", "a TensorFlow network: convert it with legacy.py"),
        (b"\x80\x04\x82\x01.", "the pickle operation EXT1"),
        (b"\x80\x04K\x01Q.", "the pickle operation BINPERSID"),
        (b"\x80\x02(ios\nsystem\n.", "the pickle operation INST"),
        (b"\x80\x04K\x01r" + struct.pack("<I", 2**31) + b".", "a memo numbered 2147483648"),
        (b"\x80\x04B" + struct.pack("<I", 2**31) + b"x.", "is cut"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.", "is cut"),
        (b"\x80\x04K\x01K\x02R.", "is cut, or no pickle"),
        (b"\x80\x04ctorch.storage\n_load_from_bytes\n(K\x01tR.", "a storage that is no bytes"),
        (b"\x80\x04ctorch.storage\n_load_from_bytes\nN}X\x05\x00\x00\x00_makeNs\x86b.", "a change of _make"),
        (b"\x80\x04cnumpy\ndtype\n(X\x02\x00\x00\x00O8\x89\x88tR.", "a NumPy scalar of type 'O8'"),
        (b"\x80\x04" + b"]" * 500_001 + b".", "more than 500,000 pickle operations"),
        (b"\x80\x04]\x94h\x00a.", "no network G_ema but a list"),
    ],
)
def test_a_hostile_stream_is_refused_by_name(tmp_path: Path, stream: bytes, told: str) -> None:
    (path := tmp_path / "network.pkl").write_bytes(stream)
    assert told in refused(path)


def test_a_file_larger_than_any_published_one_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickled, "MOST_BYTES", 1000)
    assert "at most 1,000 are read" in refused(ada(tmp_path))


def test_modules_nested_without_end_are_refused(tmp_path: Path) -> None:
    held = HeldModule("A", {})
    for _ in range(100):
        held = HeldModule("A", {"_modules": {"inner": held}})
    with pytest.raises(pickled.RefusedError, match="8 deep"):
        list(held.walk())
    ring: dict[str, Any] = {"_modules": {}}
    ring["_modules"]["inner"] = HeldModule("A", ring)
    with pytest.raises(pickled.RefusedError, match="8 deep"):
        list(HeldModule("A", ring).walk())


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (10**6, 10**6), (0, 0)),
        (0, (5,), (1,)),
        (1, (4,), (1,)),
        (0, (4,), (-1,)),
        (0, (2, 2), (1,)),
        (-1, (1,), (1,)),
    ],
)
def test_a_tensor_larger_than_its_bytes_is_refused(offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
    kept = stored(torch.arange(4.0))
    assert torch.equal(pickled.StoredTensor(kept, 0, (2, 2), (1, 2)).read(), torch.tensor([[0.0, 2.0], [1.0, 3.0]]))
    with pytest.raises(pickled.RefusedError, match="a tensor of size"):
        pickled.StoredTensor(kept, offset, size, stride).read()


def stored(tensor: torch.Tensor) -> bytes:
    """The bytes of its storage, as a plain pickle has them."""
    _, (storage, *_) = tensor.__reduce_ex__(4)
    _, (kept,) = storage.__reduce__()
    return bytes(kept)


CONV = "synthesis.b8.conv0"


@pytest.mark.parametrize(
    ("tensors", "changed", "told"),
    [
        ({f"{CONV}.weight": None}, {}, f"{CONV} without weight"),
        (
            {f"{CONV}.affine.weight": torch.zeros(4, 16)},
            {},
            "the map from w to the styles of b8.conv0 of shape [4, 16]",
        ),
        ({f"{CONV}.affine.bias": torch.zeros(4)}, {}, "the bias of the styles of b8.conv0 of shape [4]"),
        ({"synthesis.b8.conv1.weight": torch.zeros(8, 4, 3, 3)}, {}, "b8.conv1 of shape [8, 4, 3, 3], where its neigh"),
        ({f"{CONV}.noise_const": torch.zeros(4, 4)}, {}, "the noise of b8.conv0 of shape [4, 4]"),
        ({f"{CONV}.bias": torch.full((8,), torch.nan)}, {}, f"numbers in {CONV}.bias that are not finite"),
        ({f"{CONV}.resample_filter": torch.ones(4, 4) / 16}, {}, f"{CONV} with another filter"),
        ({"mapping.fc1.weight": torch.zeros(32, 16)}, {}, "where its neighbours need"),
        ({}, {"synthesis.b8": {"architecture": "resnet"}}, "a synthesis network of architecture 'resnet'"),
        ({}, {CONV: {"activation": "swish"}}, f"{CONV} with activation 'swish'"),
        ({}, {"mapping.fc0": {"activation": "relu"}}, "a layer with activation 'relu'"),
        ({}, {"mapping.fc0": {"weight_gain": "1"}}, "a Layer with weight_gain '1'"),
        ({}, {CONV: {"conv_clamp": 1.0}}, "layers with different clamps"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(
    tmp_path: Path, tensors: Tensors, changed: dict[str, dict[str, Any]], told: str
) -> None:
    assert told in refused(ada(tmp_path, changed, **tensors))


def test_images_of_other_sizes_and_colours_are_refused(tmp_path: Path) -> None:
    def told(size_px: int, colours: int) -> str:
        tensors = random_tensors(size_px, 2, classes=0, colours=colours, dim=2)
        return refused(write_pickle(tmp_path / "network.pkl", build_ada(tensors)))

    assert "a generator of 8 px" in told(8, 3)
    assert "images of 4 channels" in told(16, 4)


def test_a_network_of_another_kind_is_refused_by_what_it_has(tmp_path: Path) -> None:
    tensors = {"mapping.fc0.weight": torch.zeros(2, 2), "synthesis.L0_36_512.weight": torch.zeros(2)}
    assert "which is no StyleGAN2" in refused(write_pickle(tmp_path / "network.pkl", build_ada(tensors)))


def test_an_entry_that_a_checkpoint_lacks_is_named(tmp_path: Path) -> None:
    network, _ = published("rosinality")
    for name in ("convs.1.conv.weight", "noises.noise_2", "style.1.weight", "to_rgb1.bias"):
        less = {key: held for key, held in network.items() if key != name}
        assert f"a g_ema without {name}" in refused(write_rosinality(tmp_path / "network.pt", less))


def test_numpy_numbers_are_read_as_numbers(tmp_path: Path) -> None:
    path = write_pickle(tmp_path / "a.pkl", {"gain": np.float64(0.125), "on": np.bool_(True), "px": np.int32(7)})
    assert read_pickle(path, "file") == {"gain": 0.125, "on": True, "px": 7}


def test_both_programs_files_are_told_apart_by_what_they_hold(tmp_path: Path) -> None:
    held: list[Published] = [read_published(ada(tmp_path), "file")]
    held.append(read_published(write_rosinality(tmp_path / "network.pkl", published("rosinality")[0]), "file"))
    assert [each.form for each in held] == ["stylegan2-ada-pytorch", "stylegan2-pytorch"]
