"""Whether a brought module is a generator that can be analysed: its answers, their constancy, their gradients."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from failure_atlas.brought.code import tell
from failure_atlas.brought.generator import GeneratorForm
from failure_atlas.core.device import device_of
from failure_atlas.core.errors import StageError
from failure_atlas.core.seeds import torch_stream

PROBED = 8  # samples, which fit memory with their gradients
TOLERANCE = 1e-3  # of the largest value, or of 1: above rounding, on a GPU, too; below what batches or noise change
NOTHING = 1e-6  # of an image in [0, 1]: what rounding may change
GIVEN = {"map_latents": "[{}, w_dim]", "map_styles": "[{}, styles]", "synthesize": "[{}, channels, height, width]"}
PARTS = ("z_dim", "num_classes", *GIVEN, "style_layout")
LAYER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,59}")


@dataclass(frozen=True)
class Checks:
    """samples: looked at.  repeat, alone: the largest difference between two calls, and of a sample alone or among all.

    idle: layers that change nothing where they take the styles of another sample.
    """

    samples: int
    repeat: float
    alone: float
    idle: tuple[str, ...]


def count_classes(network: Any, names: Sequence[str], key: str) -> int:
    """How many classes the module knows: 0, or those of the data; StageError if it has not what a generator has."""
    for part in PARTS:
        if not hasattr(network, part):
            raise StageError(f"{key}.load: its module has no {part}; needed: {', '.join(PARTS)} (docs/generators.md)")
    if type(network.z_dim) is not int or network.z_dim < 1:
        raise StageError(f"{key}.load: its z_dim is {network.z_dim!r:.50}; needed: a whole number above 0")
    if network.num_classes not in (None, 0, len(names)):
        raise StageError(
            f"{key}.load: its num_classes is {network.num_classes!r:.50}; allowed: {len(names)}, as the images show, "
            "or 0 where it knows no classes"
        )
    return len(names) if network.num_classes else 0


def examine(network: Any, labels: Sequence[int], key: str, *, conditional: bool) -> tuple[GeneratorForm, Checks]:
    """What a module is to the stages, and what was looked at; StageError in one line if it cannot be analysed.

    labels: its own label of each class of the data, 0 where it knows none.  key: the entry's place in params.
    """
    device = device_of(network)
    z = torch.randn(PROBED, network.z_dim, generator=torch_stream(1, "probe")).to(device)
    own = torch.tensor(labels, device=device)[torch.arange(PROBED, device=device) % len(labels)]
    with torch.no_grad():
        w, *of_w = _probe(network, "map_latents", [z, own], key)
        if conditional and torch.equal(w, _ask(network, "map_latents", [z, own.roll(1)], key)):
            raise StageError(f"{key}.load: labels change nothing in map_latents; set its num_classes to 0")
        s, *of_s = _probe(network, "map_styles", [w], key)
        layers = _read_layout(network, s.shape[1], key)
        images, *of_images = _probe(network, "synthesize", [s], key)
    low, high = images.min().item(), images.max().item()
    if low < 0 or high > 1:
        raise StageError(
            f"{key}.load: its images lie between {low:.3g} and {high:.3g}; needed: from 0 to 1, as classifiers see "
            "them: let synthesize end in sigmoid, in clamp(0, 1), or in (images + 1) / 2 where they lie from -1 to 1"
        )
    idle = _find_idle(network, w, s, images, layers, key)
    repeat, alone = (max(each) for each in zip(of_w, of_s, of_images, strict=True))
    shape = list(images.shape[1:])
    form = GeneratorForm(z.shape[1], w.shape[1], layers, shape, list(labels), conditional)
    return form, Checks(PROBED, repeat, alone, idle)


def _probe(network: Any, method: str, given: list[torch.Tensor], key: str) -> tuple[torch.Tensor, float, float]:
    """What a method gives, and how far a second call is off, and one for each sample alone."""
    answer, again = (_ask(network, method, given, key) for _ in range(2))
    rows = zip(*(torch.split(each, 1) for each in given), strict=True)
    alone = torch.cat([_ask(network, method, list(row), key) for row in rows])
    told = f"{key}.load: two calls of {method} with the same input differ by {{:.2g}}: something is drawn at random; "
    repeat = _compare(answer, again, f"{told}draw it once, in __init__, and keep it as a buffer")
    told = f"{key}.load: what {method} gives for a sample changes by {{:.2g}} with the batch that it is in; "
    return answer, repeat, _compare(answer, alone, f"{told}let it use no statistics of a batch")


def _ask(network: Any, method: str, given: list[torch.Tensor], key: str) -> torch.Tensor:
    """What a method gives; StageError unless it is one finite float32 row for each sample."""
    needed = GIVEN[method].format(len(given[0]))
    try:
        answer = getattr(network, method)(*given)
    except Exception as error:
        shapes = " and ".join(str(list(each.shape)) for each in given)
        raise StageError(f"{key}.load: {method} fails when it is given {shapes} ({tell(error)}); correct it") from error
    told = f"a {type(answer).__name__}"
    if isinstance(answer, torch.Tensor):
        told = f"{list(answer.shape)} of {answer.dtype}".replace("torch.", "")
        if answer.dim() == needed.count(",") + 1 and len(answer) == len(given[0]) and answer.dtype == torch.float32:
            if not bool(answer.isfinite().all()):
                raise StageError(f"{key}.load: {method} gives NaN or infinite numbers; correct its code or weights")
            return answer
    raise StageError(f"{key}.load: {method} gives {told}; needed: a tensor {needed} of float32")


def _compare(first: torch.Tensor, second: torch.Tensor, told: str) -> float:
    """The largest difference; StageError if rounding does not explain it."""
    alike = first.shape == second.shape
    difference = (first - second).abs().max().item() if alike else torch.inf
    if difference > TOLERANCE * max(1.0, first.abs().max().item()):
        raise StageError(told.format(difference))
    return difference


def _read_layout(network: Any, styles: int, key: str) -> list[tuple[str, int]]:
    """Name and channels of each part of S; StageError unless they cover it once."""
    held = network.style_layout()
    pairs = held if isinstance(held, (list, tuple)) else []
    layers = [tuple(each) if isinstance(each, (list, tuple)) else () for each in pairs]
    if not layers or not all(map(_is_layer, layers)) or len(dict(layers)) < len(layers):
        raise StageError(
            f"{key}.load: style_layout gives {held!r:.100}; needed: a list of (name, channels), each name once, of "
            "letters, digits, _, . and -"
        )
    if (total := sum(channels for _, channels in layers)) != styles:
        raise StageError(
            f"{key}.load: the layers of style_layout have {total} channels, map_styles gives {styles} styles; name "
            "every part of S once, in its order"
        )
    return layers


def _is_layer(held: tuple[Any, ...]) -> bool:
    named = len(held) == 2 and isinstance(held[0], str) and LAYER.fullmatch(held[0]) is not None
    return named and type(held[1]) is int and held[1] > 0


def _find_idle(
    network: Any, w: torch.Tensor, s: torch.Tensor, images: torch.Tensor, layers: list[tuple[str, int]], key: str
) -> tuple[str, ...]:
    """Layers that change no image; StageError if the styles of another one have no gradient, or if w has none."""
    remedy = "its code cuts it (detach, no_grad, NumPy, a new tensor); rankings and searches follow gradients"
    with torch.enable_grad():
        leaf = w.clone().requires_grad_(True)
        styles = network.map_styles(leaf)
        if not styles.requires_grad:
            raise StageError(f"{key}.load: no gradient reaches w through map_styles: {remedy}")
        painted = network.synthesize(styles)
        if not painted.requires_grad:
            raise StageError(f"{key}.load: no gradient reaches s through synthesize: {remedy}")
        uneven = torch.linspace(-1, 1, painted[0].numel(), device=painted.device)
        to_w, to_s = torch.autograd.grad((painted.flatten(1) * uneven).sum(), (leaf, styles))
    if not bool(to_w.isfinite().all() and to_s.isfinite().all()):
        raise StageError(f"{key}.load: gradients are not finite (a root or norm at 0?); correct its code")
    idle, places = [], torch.split(torch.arange(s.shape[1]), [channels for _, channels in layers])
    for (name, _), columns in zip(layers, places, strict=True):
        moved = s.clone()
        moved[:, columns] = s[:, columns].roll(1, 0)
        with torch.no_grad():
            change = (_ask(network, "synthesize", [moved], key) - images).abs().max().item()
        if change <= NOTHING:
            idle.append(name)
        elif not bool(to_s[:, columns].any()):
            raise StageError(f"{key}.load: no gradient reaches the styles of {name}, which change images: {remedy}")
    return tuple(idle)
