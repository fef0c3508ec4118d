"""Whether a brought classifier can be analysed at all: shape, kind and constancy of its answers, and its gradient."""

import re
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, NoReturn

import numpy as np
import torch
from torch import nn

from failure_atlas.brought.adapter import REMEDY, Adapter, UnfiniteAnswerError
from failure_atlas.brought.code import tell
from failure_atlas.brought.onnx_form import TOLERANCE
from failure_atlas.core.device import device_of
from failure_atlas.core.errors import StageError
from failure_atlas.images.image_set import to_unit
from failure_atlas.world.show import CLASSIFIER, World

PROBED = 24  # test images that are looked at one by one
TRIED_SIZES = (28, 32, 16, 20, 24, 48, 64, 96, 112, 128, 224, 299)  # px, where the images' own size is refused
TRIED_COUNTS = (1, 2, 4, 8, 10, 16, 32, 50, 64, 100, 128, 200, 256)  # images at once, where 24 are refused
ODD = 7  # images at once: batches end on any number
SUM_TOLERANCE = 1e-3  # of the sum of probabilities

Rebuild = Callable[..., Adapter]


class DoubtError(StageError):
    """A classifier that can be analysed is probably fed or declared in another way than it was trained."""


def check_all(classifier: Adapter, rebuild: Rebuild, images: np.ndarray, on_doubt: str, key: str) -> list[str]:
    """What may be meant, as warnings; StageError for what cannot be analysed.

    rebuild: gives the classifier with other options.  images: of the test set, uint8 [N, C, H, W], of which a few are
    shown.  on_doubt: as in params.  key: the entry's place in params.
    """
    count = PROBED + (len(classifier.class_names) == PROBED)  # a batch that cannot be taken for the classes
    shown = to_unit(images[spread(len(images), count)]).to(device_of(classifier))
    check_answers(classifier, shown, rebuild, key)
    warnings = settle(partial(check_outputs, classifier, shown, key), on_doubt, key)
    check_constancy(classifier, shown, key)
    if classifier.differentiable:
        warnings += settle(partial(check_gradient, classifier, shown, key), on_doubt, key)
    return warnings


def settle(check: Callable[[], list[str]], on_doubt: str, key: str) -> list[str]:
    """The warnings of a check; a doubt of it is one more where on_doubt is "warn", and else stops."""
    try:
        return check()
    except DoubtError as doubt:
        if on_doubt == "warn":
            return [str(doubt)]
        raise StageError(f"{doubt}; or, to bring it as it is: set {key}.on_doubt: warn") from doubt


@torch.no_grad()
def check_answers(classifier: Adapter, images: torch.Tensor, rebuild: Rebuild, key: str) -> None:
    """Raise StageError if images are refused, or the answer is not one finite number for each image and class.

    images: [N, C, H, W] with N other than the number of classes.  rebuild: with other `size_px`, `fit` and `channels`,
    so that the message can say which it takes.
    """
    fault = _fault(classifier, images)
    if fault is not None:
        _tell_refusal(classifier, images, fault, rebuild, key)
    answer, classes = classifier.answer(images), len(classifier.class_names)
    if not isinstance(answer, torch.Tensor):
        raise StageError(
            f"{key}: its answer is a {type(answer).__name__}; it has to be one tensor [N, {classes}]: wrap the module "
            "in one that returns the logits alone"
        )
    if answer.shape != (len(images), classes):
        raise StageError(
            f"{key}: it answers {len(images)} images with shape {list(answer.shape)}; needed: [{len(images)}, "
            f"{classes}], one output for each of the classes {', '.join(classifier.class_names)}; bring a classifier "
            "of these classes"
        )
    if not answer.is_floating_point():
        raise StageError(
            f"{key}: its answer is of type {answer.dtype}; it has to be logits or probabilities: leave out argmax"
        )
    if bad := int((~answer.isfinite()).any(1).sum()):
        raise StageError(
            f"{key}: its answer to {bad} of {len(images)} test images is not finite (NaN or infinite); {REMEDY}"
        )


@torch.no_grad()
def check_outputs(classifier: Adapter, images: torch.Tensor, key: str) -> list[str]:
    """Raise DoubtError if the answers are not what `outputs` says; warnings where they may be meant."""
    answer = classifier.answer(images).double()
    seen, declared = _kind_of(answer), classifier.outputs
    low, high = answer.min().item(), answer.max().item()
    # Log-probabilities are logits too.
    if seen != declared and {seen, declared} != {"logits", "log_probabilities"}:
        sums = (answer.sum(1) - 1).abs().max().item()
        told = {
            "probabilities": "no answer is below 0 and all sum to 1",
            "log_probabilities": "the exponentials of each answer sum to 1",
            "logits": f"they lie between {low:.2g} and {high:.2g} and are up to {sums:.2g} off a sum of 1",
        }[seen]
        raise DoubtError(
            f"{key}.outputs: got {declared}, but its answers to {len(images)} test images look like {seen}: {told}; "
            f"set outputs: {seen}"
        )
    if declared == "logits" and low >= 0 and high <= 1:
        warning = "all outputs lie between 0 and 1 and do not sum to 1: are they sigmoids? Their softmax is nearly flat"
        return [f"{key}.outputs: got logits, but {warning}; bring the network without its last activation"]
    return []


@torch.no_grad()
def check_constancy(classifier: Adapter, images: torch.Tensor, key: str) -> None:
    """Raise StageError if the answer to an image changes from call to call, or with the batch that it is in."""
    for count in (1, ODD):
        fault = _fault(classifier, images[:count])
        if fault is not None:
            raise StageError(
                f"{key}: it takes {len(images)} images at once and refuses {count} ({tell(fault)}); let it treat each "
                "image alone, in evaluation mode, whatever the batch"
            )
    first = classifier(images)
    allowed = TOLERANCE * max(1.0, first.abs().max().item())
    if (change := (first - classifier(images)).abs().max().item()) > allowed:
        raise StageError(
            f"{key}: two calls with the same images differ by {change:.2g}: something is drawn at random although the "
            "network is in evaluation mode; use nn.Dropout, or give functional.dropout training=self.training"
        )
    alone = torch.cat([classifier(image[None]) for image in images])
    if (change := (first - alone).abs().max().item()) > allowed:
        raise StageError(
            f"{key}: the answer to an image changes by {change:.2g} with the batch that it is in: a batch "
            "normalisation uses the batch's own statistics; use one that keeps running statistics, and let eval() "
            "reach it"
        )


def check_gradient(classifier: Adapter, images: torch.Tensor, key: str) -> list[str]:
    """Raise StageError if the gradient of an output with respect to the image is missing, 0 or not finite.

    DoubtError if it is 0 for some of the images only; a warning where that is the saturation of a softmax inside the
    network.
    """
    black_box = "remove it, or bring the classifier as a black box with predict"
    shown = images.clone().requires_grad_(True)
    try:
        outputs = classifier(shown)
        if not outputs.requires_grad:
            raise StageError(
                f"{key}: no gradient reaches the image: its code cuts it (detach, no_grad, argmax, NumPy, a new "
                f"tensor); {black_box}"
            )
        # Any uneven weights: those of a softmax would be 0 where it is saturated.
        uneven = torch.linspace(-1, 1, outputs.shape[1], device=outputs.device)
        (gradient,) = torch.autograd.grad((outputs * uneven).sum(), shown)
    except RuntimeError as error:
        raise StageError(
            f"{key}: differentiating it fails ({tell(error)}); where an operation has no deterministic version on this "
            "device, set FAILURE_ATLAS_DEVICE=cpu"
        ) from error
    flat = gradient.flatten(1)
    if bad := int((~flat.isfinite()).any(1).sum()):
        raise StageError(
            f"{key}: the gradient at {bad} of {len(images)} test images is not finite (a root or norm at 0?); correct "
            "its code"
        )
    zero = int((flat == 0).all(1).sum())
    where = f"{key}: the gradient at {zero} of {len(images)} test images is 0"
    if zero == 0:
        return []
    if zero < len(images) and classifier.outputs != "logits":
        why = "because the softmax inside the network is saturated there; bring the network without it, with outputs"
        return [f"{where}, {why}: logits"]
    raise (StageError if zero == len(images) else DoubtError)(
        f"{where} everywhere: an operation without a slope (round, sign, comparison, integers) stands between image "
        f"and output; {black_box}"
    )


def classify(
    classifier: Adapter, images: np.ndarray, name: str = "", *, batch_size: int, advance: Callable[[int], object]
) -> np.ndarray:
    """Probabilities, float64 [N, classes], of images uint8 [N, C, H, W]; name: of the test set.

    advance: told the number of images just classified.  Raises StageError that says which image has no finite answer.
    """
    done = 0

    def count(images_done: int) -> None:
        nonlocal done
        done += images_done
        advance(images_done)

    world = World(nn.Identity(), {CLASSIFIER: classifier}, batch_size, device_of(classifier))
    try:
        return world.look(images, advance=count).softmax()
    except UnfiniteAnswerError as error:
        raise error.of_test_set(name, done) from error


def spread(count: int, wanted: int) -> np.ndarray:
    """Up to `wanted` of `count` rows, from all over them: a test set may be sorted by class."""
    rows: np.ndarray = np.unique(np.linspace(0, count - 1, wanted).astype(int))
    return rows


def measure_content(images: np.ndarray) -> int:
    """Side in px of the middle part that holds what half of the square images show; images: uint8 [N, C, H, W].

    Shown is what differs from the upper left corner by a quarter of the range: MNIST's digits are 20 px large.
    """
    ink = (np.abs(images.astype(np.int16) - images[:, :, :1, :1]) > 64).any(1)  # [N, H, W]
    lines = np.stack([ink.any(axis) for axis in (1, 2)])  # they are square
    sides = lines.shape[2] - lines.argmax(2) - lines[:, :, ::-1].argmax(2)
    shown = sides.max(0)[ink.any((1, 2))]
    side = int(np.median(shown)) if len(shown) else images.shape[-1]
    return int(side + (images.shape[-1] - side) % 2)  # as much is cut on either side


def _kind_of(answer: torch.Tensor) -> str:
    if bool((answer >= 0).all()) and bool(((answer.sum(1) - 1).abs() < SUM_TOLERANCE).all()):
        return "probabilities"
    if bool((answer <= 0).all()) and bool((answer.logsumexp(1).abs() < SUM_TOLERANCE).all()):
        return "log_probabilities"
    return "logits"


@torch.no_grad()
def _fault(classifier: Adapter, images: torch.Tensor) -> Exception | None:
    """What the network raises for images."""
    try:
        classifier.answer(images)
    except StageError:  # says itself what to do
        raise
    except Exception as error:  # noqa: BLE001 - the code is someone else's, and what it says is passed on
        return error
    return None


def _tell_refusal(classifier: Adapter, images: torch.Tensor, fault: Exception, rebuild: Rebuild, key: str) -> NoReturn:
    """Raise the StageError that says why the network may refuse images, and what it would take."""
    if isinstance(fault, ImportError):
        raise StageError(
            f"{key}: its code imports a module only when it is called ({tell(fault)}); import it at the top of the file"
        )
    for count in TRIED_COUNTS:
        shown = images[torch.arange(count, device=images.device) % len(images)]
        wanted = (count, len(classifier.class_names))
        if _fault(classifier, shown) is None and getattr(classifier.answer(shown), "shape", None) == wanted:
            raise StageError(
                f"{key}: it takes batches of {count} image{'s' * (count != 1)} and refuses {len(images)} "
                f"({tell(fault)}); let its code take the number from the images (x.size(0)), or export it with a "
                "dynamic batch axis"
            )
    if isinstance(fault, RuntimeError) and re.search("dtype|scalar type|Double|Half", str(fault)):
        raise StageError(
            f"{key}: it computes in another type of number than float32 ({tell(fault)}); its weights and images "
            "are given in float32: convert nothing (double, half, autocast) in its code"
        )
    (height, width), taken = classifier.size, _find_taken(images, rebuild)
    usual = "set input.size_px and input.channels to what it was trained on"
    advice = f"it takes others: set {taken}" if taken else usual
    raise StageError(
        f"{key}: it refuses images of {height} x {width} px with {classifier.channels} channel"
        f"{'s' * (classifier.channels > 1)} ({tell(fault)}); {advice}"
    )


def _find_taken(images: torch.Tensor, rebuild: Rebuild) -> str | None:
    """The first input that the network takes, as params say it; nothing that images show is cut."""
    content_px = measure_content((images * 255).byte().cpu().numpy())
    for channels, size_px in product((1, 3), TRIED_SIZES):
        fit = "crop" if content_px <= size_px <= images.shape[-1] else "resize"
        options: dict[str, Any] = {"size_px": size_px, "fit": fit, "channels": channels}
        if size_px < content_px < images.shape[-1]:
            options = {"crop_px": content_px} | options
        if _fault(rebuild(**{"crop_px": None} | options, mean=None, std=None), images) is None:
            return f"input: {{{', '.join(f'{name}: {value}' for name, value in options.items())}}}"
    return None
