"""Modules of a folder and ONNX files: found, kept apart, converted, compared with the reference."""

import sys
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from failure_atlas.brought.code import import_from, modules_of
from failure_atlas.brought.onnx_form import NEWEST_OPSET, check_conversion, convert_onnx
from failure_atlas.core.errors import StageError
from tests.refusing import refused


def write(folder, **modules):
    for name, source in modules.items():
        path = folder / f"{name.replace('__in__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return folder


def test_a_package_with_imports_of_its_own_and_a_folder_without_init(tmp_path):
    write(
        tmp_path,
        net__in____init__="",
        net__in__model="from .layers import SIZE\nimport plain.inner\ndef build(): return SIZE + plain.inner.ONE\n",
        net__in__layers="SIZE = 7\n",
        plain__in__inner="ONE = 1\n",
    )
    with modules_of(tmp_path):
        assert import_from(tmp_path, "net.model:build", "key")() == 8
    assert not {"net", "net.model", "plain", "plain.inner"} & set(sys.modules)
    assert not list(tmp_path.rglob("__pycache__"))


def test_the_folder_comes_before_what_is_installed_and_what_is_loaded_comes_back(tmp_path):
    import jinja2

    write(tmp_path, jinja2="def build(): return 'brought'\n")
    with modules_of(tmp_path):
        assert import_from(tmp_path, "jinja2:build", "key")() == "brought"
        assert import_from(tmp_path, "collections:OrderedDict.fromkeys", "key")("a") == {"a": None}
    assert sys.modules["jinja2"] is jinja2


def test_bytecode_that_lies_in_the_folder_is_not_run(tmp_path):
    """It has no hash of its own."""
    import importlib.util
    import py_compile

    path = write(tmp_path, net="def build(): return 'old'\n") / "net.py"
    bytecode = Path(importlib.util.cache_from_source(str(path)))
    py_compile.compile(str(path), str(bytecode), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    path.write_text("def build(): return 'new'\n", encoding="utf-8")
    with modules_of(tmp_path):
        assert import_from(tmp_path, "net:build", "key")() == "new"


def test_what_is_set_aside_comes_back_after_a_failure(tmp_path):
    finders = list(sys.meta_path)
    write(tmp_path, net="1 / 0\n")
    with (
        pytest.raises(StageError, match=r"key: importing net fails \(ZeroDivisionError: .*\); correct its code"),
        modules_of(tmp_path),
    ):
        import_from(tmp_path, "net:build", "key")
    assert sys.meta_path == finders
    assert "net" not in sys.modules


GEMM = helper.make_node("Gemm", ["x", "W", "b"], ["h"])


@pytest.fixture
def file(tmp_path):
    """A network of one linear layer, as opset 13 writes it: y = x W + b for x [N, 3]."""
    return write_onnx(tmp_path / "net.onnx", [helper.make_node("Gemm", ["x", "W", "b"], ["y"])], 13)


def write_onnx(
    path, nodes, opset, *constants, batch = "n",
    beside = (),
):  # fmt: skip
    weight = helper.make_tensor("W", TensorProto.FLOAT, [3, 2], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    weights = [weight, helper.make_tensor("b", TensorProto.FLOAT, [2], [0.5, -0.5]), *constants]
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, size]) for name, size in (("x", 3), ("y", 2))
    ]
    others = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in beside]
    graph = helper.make_graph(nodes, "net", [*shapes[:1], *others], shapes[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def check(path, count=4):
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
def test_the_network_answers_as_the_file_says(tmp_path, opset):
    nodes = [GEMM, helper.make_node("Identity", ["h"], ["y"])]
    check(write_onnx(tmp_path / "net.onnx", nodes, opset))


def test_a_reshape_as_pytorchs_exporter_writes_it(tmp_path):
    nodes = [GEMM, helper.make_node("Reshape", ["h", "shape"], ["y"], allowzero=1)]
    check(write_onnx(tmp_path / "net.onnx", nodes, 18, helper.make_tensor("shape", TensorProto.INT64, [2], [-1, 2])))
    zero = write_onnx(tmp_path / "zero.onnx", nodes, 18, helper.make_tensor("shape", TensorProto.INT64, [2], [0, 2]))
    refused(r"allowzero=1.*; export it again with torch\.onnx\.export\(", convert_onnx, zero, "key")


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize("last", ["Identity", "NonZero", "Squeeze"])
def test_a_batch_that_the_file_fixes_is_no_limit(tmp_path, count, last):
    """A reshape to a fixed number of rows, as x.view(x.size(0), -1) is exported; NonZero looks at values.

    Squeeze answers a single image without its batch.
    """
    nodes = [GEMM, helper.make_node("Reshape", ["h", "shape"], ["r"])]
    if last == "NonZero":
        nodes.append(helper.make_node("NonZero", ["r"], ["unused"]))
    nodes.append(helper.make_node("Identity" if last == "NonZero" else last, ["r"], ["y"]))
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [count, 2])
    check(write_onnx(tmp_path / "net.onnx", nodes, 13, shape, batch=count), count=19)


def test_another_answer_than_the_references_is_an_error(file):
    network = convert_onnx(file, "key")
    with torch.no_grad():
        next(network.parameters()).add_(1)
    told = r"key: .*net\.onnx answers otherwise after the conversion .* \(by up to "
    refused(told, check_conversion, file, network, torch.rand(2, 3), "key")


def test_a_missing_a_damaged_and_an_unknown_file_are_named(tmp_path, file):
    refused(r"key: no file .*gone\.onnx; files there: net\.onnx", convert_onnx, tmp_path / "gone.onnx", "key")
    (tmp_path / "cut.onnx").write_bytes(file.read_bytes()[:40])
    told = r"key: .*cut\.onnx cannot be converted to PyTorch \(.*; export it again with"
    refused(told, convert_onnx, tmp_path / "cut.onnx", "key")
    gemm, hard = [helper.make_node("Gemm", ["x", "W", "b"], ["y"])], [GEMM, helper.make_node("Hardmax", ["h"], ["y"])]
    for nodes, changes, told in (
        (gemm, {"beside": ("temperature",)}, r"net\.onnx has 2 inputs \(x, temperature\); needed: one, the images"),
        (gemm, {"batch": 10**9}, r"is for batches of 1,000,000,000 images; allowed: at most 1,024; export it"),
        (hard, {}, r"cannot be converted .*Hardmax.*bring the PyTorch module itself with load"),
    ):
        refused(told, convert_onnx, write_onnx(file, nodes, 13, **changes), "key")


def test_nothing_stands_in_for_torchvision_and_without_the_extra_the_message_says_how_to_install_it(file, monkeypatch):
    convert_onnx(file, "key")
    assert getattr(sys.modules.get("torchvision"), "__file__", "absent or real") is not None
    monkeypatch.setitem(sys.modules, "onnx2torch", None)  # as if it were not installed
    told = r"key: ONNX files need .*install them with: pip install 'failure-atlas\[onnx\]'"
    refused(told, convert_onnx, file, "key")
