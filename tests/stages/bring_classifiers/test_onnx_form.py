"""ONNX files: converted, compared with ONNX's own reference, and each fault named."""

import sys
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from failure_atlas.brought.onnx_form import NEWEST_OPSET, check_conversion, convert_onnx
from failure_atlas.core.errors import StageError

GEMM = helper.make_node("Gemm", ["x", "W", "b"], ["h"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A network of one linear layer, as opset 13 writes it: y = x W + b for x [N, 3]."""
    return write(tmp_path / "net.onnx", [helper.make_node("Gemm", ["x", "W", "b"], ["y"])], 13)


def write(
    path: Path, nodes: list[onnx.NodeProto], opset: int, *constants: onnx.TensorProto, batch: int | str = "n",
    beside: tuple[str, ...] = (),
) -> Path:  # fmt: skip
    weights = [
        helper.make_tensor("W", TensorProto.FLOAT, [3, 2], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        helper.make_tensor("b", TensorProto.FLOAT, [2], [0.5, -0.5]),
        *constants,
    ]
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, size]) for name, size in (("x", 3), ("y", 2))
    ]
    others = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in beside]
    graph = helper.make_graph(nodes, "net", [*shapes[:1], *others], shapes[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def check(path: Path, count: int = 4) -> None:
    """The file's network is y = x W + b, with its gradient, for any number of images."""
    network, images = convert_onnx(path, "key"), torch.rand(count, 3, requires_grad=True)
    weight = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    for shown in (images, images[:1], images[:8]):
        assert torch.allclose(network(shown), shown @ weight + torch.tensor([0.5, -0.5]), atol=1e-6)
    (gradient,) = torch.autograd.grad(network(images)[:, 0].sum(), images)
    assert torch.equal(gradient, weight[:, 0].expand(count, 3))
    check_conversion(path, network, images.detach(), "key")
    with pytest.raises(RuntimeError):
        network(torch.rand(5, 4))


@pytest.mark.parametrize("opset", [13, NEWEST_OPSET, 21])
def test_the_network_answers_as_the_file_says(tmp_path: Path, opset: int) -> None:
    nodes = [GEMM, helper.make_node("Identity", ["h"], ["y"])]
    check(write(tmp_path / "net.onnx", nodes, opset))


def test_a_reshape_as_pytorchs_exporter_writes_it(tmp_path: Path) -> None:
    nodes = [GEMM, helper.make_node("Reshape", ["h", "shape"], ["y"], allowzero=1)]
    check(write(tmp_path / "net.onnx", nodes, 18, helper.make_tensor("shape", TensorProto.INT64, [2], [-1, 2])))
    zero = write(tmp_path / "zero.onnx", nodes, 18, helper.make_tensor("shape", TensorProto.INT64, [2], [0, 2]))
    with pytest.raises(StageError, match=r"allowzero=1.*; export it again with torch\.onnx\.export\("):
        convert_onnx(zero, "key")


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize("last", ["Identity", "NonZero", "Squeeze"])
def test_a_batch_that_the_file_fixes_is_no_limit(tmp_path: Path, count: int, last: str) -> None:
    """A reshape to a fixed number of rows, as x.view(x.size(0), -1) is exported; NonZero looks at values.

    Squeeze answers a single image without its batch.
    """
    nodes = [GEMM, helper.make_node("Reshape", ["h", "shape"], ["r"])]
    if last == "NonZero":
        nodes.append(helper.make_node("NonZero", ["r"], ["unused"]))
    nodes.append(helper.make_node("Identity" if last == "NonZero" else last, ["r"], ["y"]))
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [count, 2])
    check(write(tmp_path / "net.onnx", nodes, 13, shape, batch=count), count=19)


def test_another_answer_than_the_references_is_an_error(file: Path) -> None:
    network = convert_onnx(file, "key")
    with torch.no_grad():
        next(network.parameters()).add_(1)
    with pytest.raises(StageError, match=r"key: .*net\.onnx answers otherwise after the conversion .* \(by up to "):
        check_conversion(file, network, torch.rand(2, 3), "key")


def test_a_missing_a_damaged_and_an_unknown_file_are_named(tmp_path: Path, file: Path) -> None:
    with pytest.raises(StageError, match=r"key: no file .*gone\.onnx; files there: net\.onnx"):
        convert_onnx(tmp_path / "gone.onnx", "key")
    (tmp_path / "cut.onnx").write_bytes(file.read_bytes()[:40])
    with pytest.raises(StageError, match=r"key: .*cut\.onnx cannot be converted to PyTorch \(.*; export it again with"):
        convert_onnx(tmp_path / "cut.onnx", "key")
    gemm = [helper.make_node("Gemm", ["x", "W", "b"], ["y"])]
    with pytest.raises(StageError, match=r"two\.onnx has 2 inputs \(x, temperature\); needed: one, the images"):
        convert_onnx(write(tmp_path / "two.onnx", gemm, 13, beside=("temperature",)), "key")
    with pytest.raises(StageError, match=r"is for batches of 1,000,000,000 images; allowed: at most 1,024; export it"):
        convert_onnx(write(tmp_path / "many.onnx", gemm, 13, batch=10**9), "key")
    nodes = [GEMM, helper.make_node("Hardmax", ["h"], ["y"])]
    with pytest.raises(StageError, match=r"cannot be converted .*Hardmax.*bring the PyTorch module itself with load"):
        convert_onnx(write(tmp_path / "hard.onnx", nodes, 13), "key")


def test_nothing_stands_in_for_torchvision_and_without_the_extra_the_message_says_how_to_install_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert_onnx(file, "key")
    assert getattr(sys.modules.get("torchvision"), "__file__", "absent or real") is not None
    monkeypatch.setitem(sys.modules, "onnx2torch", None)  # as if it were not installed
    told = r"key: ONNX files need .*install them with: pip install 'failure-atlas\[onnx\]'"
    with pytest.raises(StageError, match=told):
        convert_onnx(file, "key")
