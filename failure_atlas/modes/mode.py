"""What a failure mode is: a class, or any, and one to three conditions on what an image looks like."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Bounds = tuple[float | None, float | None]  # above the first, not above the second; None: unbounded


@dataclass(frozen=True)
class Mode:
    """label: of the class that was meant, None for any.  bounds: by index of the attribute, none of them twice None."""

    label: int | None = None
    bounds: Mapping[int, Bounds] = field(default_factory=dict)

    @property
    def conditions(self) -> int:
        """How much has to be said: each bound and the class count one."""
        return sum(bound is not None for pair in self.bounds.values() for bound in pair) + (self.label is not None)

    def covers(self, values: np.ndarray, true_class: np.ndarray) -> np.ndarray:
        """Which images are of this kind, bool [N]; values: [N, M], NaN meets no condition.  true_class: int64 [N]."""
        inside = np.ones(len(true_class), bool) if self.label is None else true_class == self.label
        for attribute, (low, high) in self.bounds.items():
            inside &= np.isfinite(values[:, attribute])
            if low is not None:
                inside &= values[:, attribute] > low
            if high is not None:
                inside &= values[:, attribute] <= high
        return inside

    def change(self, attribute: int, bounds: Bounds) -> "Mode":
        """The same with other bounds on an attribute; (None, None) takes its condition away."""
        rest = {each: pair for each, pair in self.bounds.items() if each != attribute}
        return Mode(self.label, rest if bounds == (None, None) else rest | {attribute: bounds})

    def intersect(self, other: "Mode") -> "Mode":
        """What is of both kinds; other: looked for among what is of this kind, so that its class contradicts none."""
        bounds = dict(self.bounds)
        for attribute, pair in other.bounds.items():
            low, high = zip(pair, bounds.get(attribute, (None, None)), strict=True)
            bounds[attribute] = (_strictest(low, max), _strictest(high, min))
        return Mode(self.label if other.label is None else other.label, bounds)

    def shorten(self) -> "list[Mode]":
        """All modes that say one thing less, but for the one that says nothing."""
        shorter = [Mode(None, self.bounds)] if self.label is not None else []
        for attribute, (low, high) in self.bounds.items():
            both = low is not None and high is not None
            shorter += [self.change(attribute, pair) for pair in ((low, None), (None, high)) if both]
            shorter += [self.change(attribute, (None, None))] * (not both)
        return [mode for mode in shorter if mode.conditions]

    def round(self, decimals: np.ndarray) -> "Mode":
        """With bounds that a person can read aloud; decimals: int [M], of each attribute."""
        told = {
            each: tuple(None if bound is None else round(bound, int(decimals[each])) for bound in pair)
            for each, pair in self.bounds.items()
        }
        return Mode(self.label, told)  # type: ignore[arg-type]

    def define(self, attributes: Sequence[str], class_names: Sequence[str]) -> str:
        """As JSON that `read_mode` reads: the class or null, and the bounds of each attribute by name."""
        bounds = {attributes[each]: list(pair) for each, pair in sorted(self.bounds.items())}
        label = None if self.label is None else class_names[self.label]
        return json.dumps({"class": label, "bounds": bounds}, ensure_ascii=False)


def read_mode(definition: str, attributes: Sequence[str], class_names: Sequence[str]) -> Mode:
    """What `Mode.define` wrote; ValueError that says why for what is none, or is of other attributes or classes."""
    try:
        held = json.loads(definition)
        label, bounds = held["class"], {name: (low, high) for name, (low, high) in held["bounds"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no class and bounds ({error})") from error
    if any(not isinstance(bound, (int, float, type(None))) for pair in bounds.values() for bound in pair):
        raise ValueError("a bound that is no number")
    for kind, names, known in (("attribute", bounds, attributes), ("class", [label], [None, *class_names])):
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"there is no {kind} {unknown[0]}")
    pairs = {attributes.index(name): pair for name, pair in bounds.items()}
    return Mode(None if label is None else class_names.index(label), pairs)


def _strictest(pair: tuple[float | None, ...], choose: Callable[..., float]) -> float | None:
    return choose((bound for bound in pair if bound is not None), default=None)


def cover(modes: Sequence[Mode], values: np.ndarray, true_class: np.ndarray) -> np.ndarray:
    """Which images are of each kind, bool [K, N]."""
    return np.array([mode.covers(values, true_class) for mode in modes], bool).reshape(len(modes), len(true_class))
