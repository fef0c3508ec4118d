"""An ONNX file as a PyTorch module through which gradients go."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from failure_atlas.brought.code import tell
from failure_atlas.brought.folder import require_file
from failure_atlas.core.errors import StageError

EXTRA = "pip install 'failure-atlas[onnx]'"
NEWEST_OPSET = 17  # of ONNX operators, that onnx2torch 1.5 knows
MOST_FIXED = 1024  # images of a batch that a file fixes: a batch of fewer is filled up to it
TOLERANCE = 1e-3  # of the largest output: far above rounding, far below what dropout or batch statistics change


def convert_onnx(path: Path, key: str) -> nn.Module:
    """The network of an ONNX file, made of PyTorch's own layers; key: where the params name it.

    Raises StageError if the converter is not installed, the file is missing or damaged, or an operator is unknown.
    """
    require_file(path, key)
    converter = _import_converter(key)
    try:
        model = _lower(_read(path))
        inputs = _inputs_of(model)
        dims = inputs[0].type.tensor_type.shape.dim
        count = int(dims[0].dim_value) if dims else 0  # of images that it was exported for; 0: left open
        if len(inputs) > 1:
            raise StageError(
                f"{key}: {path} has {len(inputs)} inputs ({', '.join(each.name for each in inputs)}); needed: one, the "
                "images; export a network whose other inputs are fixed"
            )
        if count > MOST_FIXED:
            raise StageError(
                f"{key}: {path} is for batches of {count:,} images; allowed: at most {MOST_FIXED:,}; export it again "
                "with a dynamic batch axis"
            )
        network: nn.Module = converter.convert(model)
    except StageError:
        raise
    except Exception as error:
        raise StageError(
            f"{key}: {path} cannot be converted to PyTorch ({tell(error)}); export it again with "
            f"torch.onnx.export(..., dynamo=False, opset_version={NEWEST_OPSET}) and a dynamic batch axis, or bring "
            "the PyTorch module itself with load"
        ) from error
    return (FixedBatch(network, count) if count else network).eval()


class FixedBatch(nn.Module):
    """A network that was exported for batches of `count` images, as one that takes any number of them.

    Each part of `count` images goes through it on its own, the last one filled up with copies of the last image; all
    parts are computed together where its operations allow that (`torch.vmap`).
    """

    def __init__(self, network: nn.Module, count: int) -> None:
        super().__init__()
        self.network, self.count, self.together = network, count, True

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Answers [N, classes] of images [N, C, H, W]."""
        filled = torch.arange(-(-len(images) // self.count) * self.count, device=images.device)
        parts = images[filled.clamp_max(len(images) - 1)].view(-1, self.count, *images.shape[1:])
        try:
            answer = torch.vmap(self.network)(parts) if self.together else self._ask_one_by_one(parts)
        except RuntimeError:  # an operation that looks at values, or the network refuses such images at all
            answer = self._ask_one_by_one(parts)
            self.together = False
        if self.count > 1 or answer.dim() > 2:  # a single image may be answered without its batch
            answer = answer.flatten(0, 1)
        return answer[: len(images)]

    def _ask_one_by_one(self, parts: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.network(part) for part in parts])


def check_conversion(path: Path, network: nn.Module, shown: torch.Tensor, key: str) -> None:
    """Raise StageError if the network answers otherwise than ONNX's own reference implementation of the file.

    shown: a few images [N, C, H, W] as the network wants them.
    """
    model = _read(path)
    evaluator = importlib.import_module("onnx.reference").ReferenceEvaluator(model)
    with torch.no_grad():
        answer = network(shown).cpu().numpy()
    count = network.count if isinstance(network, FixedBatch) else 1
    try:
        name = _inputs_of(model)[0].name
        batches = [np.repeat(image[None], count, axis=0) for image in shown.cpu().numpy()]
        expected = [evaluator.run(None, {name: batch})[0].reshape(count, -1)[:1] for batch in batches]
    except Exception as error:
        raise StageError(
            f"{key}: {path} cannot be run by ONNX itself ({tell(error)}); export it again with a dynamic batch axis, "
            "one input (the images) and one output"
        ) from error
    difference = float(np.abs(answer - np.concatenate(expected)).max())
    if difference > TOLERANCE * max(1.0, float(np.abs(answer).max())):
        raise StageError(
            f"{key}: {path} answers otherwise after the conversion to PyTorch (by up to {difference:.2g}); bring the "
            "PyTorch module itself with load"
        )


def _read(path: Path) -> Any:
    return importlib.import_module("onnx").load(path)


def _inputs_of(model: Any) -> list[Any]:
    """What the network is given, the images first; old files list their weights as inputs too."""
    weights = {each.name for each in model.graph.initializer}
    return [each for each in model.graph.input if each.name not in weights]


def _lower(model: Any) -> Any:
    """The model in an operator set that onnx2torch knows; what that does to its answers, `check_conversion` tells."""
    onnx = importlib.import_module("onnx")
    _drop_allowzero(model)
    (own,) = [each for each in model.opset_import if each.domain in ("", "ai.onnx")]
    if own.version <= NEWEST_OPSET:
        return model
    newer = own.version
    own.version = NEWEST_OPSET  # most operators since then differ in the types of numbers that they take
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError:
        own.version = newer
        return importlib.import_module("onnx.version_converter").convert_version(model, NEWEST_OPSET)
    return model


def _drop_allowzero(model: Any) -> None:
    """PyTorch's exporter sets it on every reshape; it says what a 0 in the shape means, and without one nothing."""
    helper = importlib.import_module("onnx.numpy_helper")
    shapes = {each.name: helper.to_array(each) for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Reshape" and 0 not in shapes.get(node.input[1], [0]):
            kept = [each for each in node.attribute if each.name != "allowzero"]
            del node.attribute[:]
            node.attribute.extend(kept)


def _import_converter(key: str) -> ModuleType:
    try:
        with _without_detection():
            return importlib.import_module("onnx2torch")
    except ImportError as error:
        raise StageError(f"{key}: ONNX files need more packages ({error}); install them with: {EXTRA}") from error


@contextmanager
def _without_detection() -> Iterator[None]:
    """Let onnx2torch be imported where torchvision cannot be.

    It takes two operators of object detectors from torchvision, which a classifier does not have. torchvision fails to
    import wherever it was built for another build of torch, such as one with CUDA beside a torch without.
    """
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError, OSError):
        _forget_torchvision()
        package, operators = ModuleType("torchvision"), ModuleType("torchvision.ops")
        operators.roi_align = _refuse_detection  # type: ignore[attr-defined]
        package.ops = operators  # type: ignore[attr-defined]
        sys.modules.update({"torchvision": package, "torchvision.ops": operators})
        try:
            yield
        finally:
            _forget_torchvision()
    else:
        yield


def _forget_torchvision() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]


def _refuse_detection(*_: Any, **__: Any) -> None:
    raise StageError("RoiAlign is an operator of object detectors and needs torchvision; bring an image classifier")
