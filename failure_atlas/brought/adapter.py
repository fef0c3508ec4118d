"""From the images as the data has them to a brought classifier's input, and from its answer to logits."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from failure_atlas.brought.code import tell
from failure_atlas.brought.params import InputParams
from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.core.errors import StageError
from failure_atlas.images.image_set import LUMINANCE

AS_IT_IS = InputParams()
REMEDY = "correct its code (a logarithm or root of 0?) or input.range, input.mean and input.std"


class UnfiniteAnswerError(StageError):
    """Some answers of a classifier are NaN or infinite; rows: of the batch, in order."""

    def __init__(self, name: str, rows: list[int], count: int) -> None:
        super().__init__(
            f"{name}: its answer to {len(rows)} of {count} images is not finite (NaN or infinite); {REMEDY}, and bring "
            "it again with: dvc repro bring_classifiers"
        )
        self.name, self.rows = name, rows

    def of_test_set(self, name: str, first: int) -> StageError:
        """The same of a test set of this name, in which the batch begins at image `first`."""
        return StageError(
            f"{self.name}: its answer to image {first + self.rows[0]} (counted from 0) of the {name} test set is not "
            f"finite (NaN or infinite); {REMEDY}"
        )


SMALLEST = 1e-30  # probability that a logarithm is taken of; a normal number in float32


class Adapter(nn.Module):
    """A brought classifier as the stages know one: images [N, C, H, W] in [0, 1] to logits [N, classes].

    image_shape: (C, H, W) of the images.  class_names: of the data, in the order of its labels; class_order: the same
    names in the order of the network's outputs, None where it is the same order.  outputs: what the network answers.
    name: what messages call the classifier.  shown: what the network wants to see, as in params.  All of it is
    differentiable; the network's own operations may not be, which `differentiable` tells where it is known.
    """

    rows: torch.Tensor | None
    columns: torch.Tensor | None
    mean: torch.Tensor | None
    std: torch.Tensor | None
    order: torch.Tensor | None
    luma: torch.Tensor | None

    def __init__(
        self,
        network: nn.Module,
        image_shape: Sequence[int],
        class_names: Sequence[str],
        shown: InputParams = AS_IT_IS,
        *,
        class_order: Sequence[str] | None = None,
        outputs: str = "logits",
        name: str = "the classifier",
    ) -> None:
        super().__init__()
        self.network, self.name = network, name
        self.differentiable = is_differentiable(network)
        self.image_shape, self.class_names = tuple(image_shape), list(class_names)
        self.channels = shown.channels or self.image_shape[0]
        self.inverted, self.outputs = shown.polarity == "dark_on_light", outputs
        self.low, self.span = float(shown.range[0]), float(shown.range[1] - shown.range[0])
        own, *sides = self.image_shape
        self.size = tuple(shown.size_px or shown.crop_px or side for side in sides)
        rows, columns = (_fit(side, size, shown) for side, size in zip(sides, self.size, strict=True))
        order = [list(class_order or class_names).index(name) for name in class_names]
        constants = {
            "rows": rows,
            "columns": columns,
            "mean": _per_channel(shown.mean, "mean", self.channels),
            "std": _per_channel(shown.std, "std", self.channels),
            "order": None if order == sorted(order) else torch.tensor(order),
            "luma": torch.tensor(LUMINANCE).view(1, 3, 1, 1) if (own, self.channels) == (3, 1) else None,
        }
        for name, constant in constants.items():
            self.register_buffer(name, constant, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] in the order of the data's classes; their softmax is what the network believes.

        No images have no answers, [0, classes], of which the network is not asked: `x.view(x.size(0), -1)` fails there.
        Raises UnfiniteAnswerError for what the network has no number for: its argmax would be taken for a guess; and
        StageError if it fails, or does not give each image one number for each class.
        """
        if not len(images):
            return self.prepare(images).flatten(1)[:, :1].expand(-1, len(self.class_names))  # still differentiable
        try:
            answer = self.answer(images).float()
        except (StageError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise StageError(
                f"{self.name}: fails on {len(images)} image{'s' * (len(images) != 1)} at once ({tell(error)}); correct "
                "its code"
            ) from error
        if answer.shape != (len(images), len(self.class_names)):
            raise StageError(
                f"{self.name}: answers {len(images)} images with shape {list(answer.shape)}; needed: [{len(images)}, "
                f"{len(self.class_names)}]"
            )
        finite = answer.detach().isfinite().all(1)
        if not bool(finite.all()):
            raise UnfiniteAnswerError(self.name, (~finite).nonzero().flatten().tolist(), len(answer))
        if self.outputs == "probabilities":
            answer = answer.clamp_min(SMALLEST).log()
        return answer if self.order is None else answer.index_select(1, self.order)

    def answer(self, images: torch.Tensor) -> torch.Tensor:
        """What the network itself says of images, in its own order and kind of output."""
        answer: torch.Tensor = self.network(self.prepare(images))
        if len(images) == 1 and isinstance(answer, torch.Tensor) and answer.dim() == 1:
            return answer[None]  # of a network that ends in `x.squeeze()`
        return answer

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Images [N, C, H, W] in [0, 1] as the network wants them: channels, size, polarity, range, mean and std.

        Raises StageError if they are of another shape than the classifier was brought for.
        """
        if images.shape[1:] != self.image_shape:
            raise StageError(
                f"the classifier was brought for images of shape {self.image_shape}, these have "
                f"{tuple(images.shape[1:])}; bring it again with: dvc repro bring_classifiers"
            )
        if self.luma is not None:
            images = (images * self.luma).sum(1, keepdim=True)
        elif self.channels != images.shape[1]:
            images = images.expand(-1, self.channels, -1, -1)
        if self.rows is not None:
            images = self.rows @ images
        if self.columns is not None:
            images = images @ self.columns.mT
        if self.inverted:
            images = 1 - images
        if (self.low, self.span) != (0.0, 1.0):
            images = self.low + self.span * images
        if self.mean is not None:
            images = images - self.mean
        if self.std is not None:
            images = images / self.std
        # Rows after rows, whatever came in: `x.view(len(x), -1)`, which many networks use, takes nothing else.
        return images.clone(memory_format=torch.contiguous_format)


def fitting_matrix(source: int, target: int, fit: str, interpolation: str, key: str = "size_px") -> torch.Tensor | None:
    """What brings one axis of an image from `source` to `target` pixels: float32 [target, source]; None: nothing to do.

    "crop" keeps the middle.  "resize" is PyTorch's own resizing (antialiased where it shrinks), which is linear, as a
    matrix: its backward pass is then deterministic on a GPU too.  key: of params, that holds `target`.
    Raises StageError if a crop is to be larger than the image.
    """
    if source == target:
        return None
    if fit == "crop":
        if target > source:
            advice = "set input.fit: resize" if key == "size_px" else f"allowed: 1 to {source}, or leave it out"
            raise StageError(f"input.{key}: got {target}; a crop of {source} px is no larger; {advice}")
        start = (source - target) // 2
        return torch.eye(source)[start : start + target]
    identity = torch.eye(source)[None, None]
    if interpolation == "nearest":
        return functional.interpolate(identity, size=(target, source), mode="nearest-exact")[0, 0]
    return functional.interpolate(identity, size=(target, source), mode=interpolation, antialias=True)[0, 0]


def _fit(source: int, target: int, shown: InputParams) -> torch.Tensor | None:
    """First the middle `crop_px` pixels of an axis, then those brought to `target`; None: nothing to do."""
    middle = shown.crop_px or source
    crop = fitting_matrix(source, middle, "crop", shown.interpolation, "crop_px")
    fitted = fitting_matrix(middle, target, shown.fit, shown.interpolation)
    return fitted if crop is None else crop if fitted is None else fitted @ crop


def _per_channel(values: Sequence[float] | None, name: str, channels: int) -> torch.Tensor | None:
    if values is None:
        return None
    if len(values) not in (1, channels):
        allowed = "1" if channels == 1 else f"1 or {channels}"
        raise StageError(f"input.{name}: got {len(values)} numbers; allowed: {allowed}, one per channel")
    return torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)
