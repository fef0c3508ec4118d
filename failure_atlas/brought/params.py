"""One entry of the section `bring_classifiers` of params.yaml."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from failure_atlas.core.fields import Section, Seed, WholeNumber

Outputs = Literal["logits", "probabilities", "log_probabilities"]
LONGEST_NAME, LONGEST_PATH = 255, 1000  # bytes of one name, characters of all of it: what file systems take
PLACE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def _check_place(place: str) -> str:
    if not PLACE.fullmatch(place):
        raise ValueError("module:name, e.g. my_model:build for the function build of my_model.py")
    return place


def _check_file(name: str) -> str:
    parts = PurePosixPath(name).parts
    longest = max((len(part.encode(errors="replace")) for part in parts), default=0)
    if (
        not 0 < longest <= LONGEST_NAME
        or len(name) > LONGEST_PATH
        or not name.isprintable()
        or {"/", ".."} & set(parts)
    ):
        raise ValueError("the name of a file inside its own folder, e.g. weights.safetensors")
    return name


def _check_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
        raise ValueError("an address that starts with http:// or https://")
    return url


def _check_range(limits: list[float]) -> list[float]:
    if limits[0] == limits[1]:
        raise ValueError("two different numbers, e.g. [0, 1], [-1, 1] or [0, 255]")
    return limits


Place = Annotated[str, AfterValidator(_check_place)]
File = Annotated[str, AfterValidator(_check_file)]
PerChannel = Annotated[list[float], Field(min_length=1, max_length=3)]
Positive = Annotated[float, Field(gt=0)]


class InputParams(Section):
    """What the classifier wants to be shown, where it is not the image as it is."""

    crop_px: Annotated[int, Field(ge=1, le=1024)] | None = None
    size_px: Annotated[int, Field(ge=1, le=1024)] | None = None
    fit: Literal["crop", "resize"] = "crop"
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    channels: Annotated[Literal[1, 3], WholeNumber] | None = None
    range: Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_check_range)] = Field(
        default_factory=lambda: [0.0, 1.0]
    )
    mean: PerChannel | None = None
    std: Annotated[list[Positive], Field(min_length=1, max_length=3)] | None = None
    polarity: Literal["light_on_dark", "dark_on_light"] = "light_on_dark"


class BringClassifierParams(Section):
    """What one classifier is made from, what it wants to see, and what it answers."""

    load: Place | None = None
    onnx: File | None = None
    predict: Place | None = None
    url: Annotated[str, AfterValidator(_check_url)] | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    weights: File | None = None
    input: InputParams = InputParams()
    class_order: list[str | int] | None = None
    outputs: Outputs = "logits"
    on_doubt: Literal["stop", "warn"] = "stop"
    batch_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    images_per_request: Annotated[int, Field(ge=1, le=10_000)] = 250
    seed: Seed = 1

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = [name for name in FORMS if getattr(self, name) is not None]
        if len(forms) != 1:
            held = " and ".join(forms) or "none of them"
            raise ValueError(f"exactly one of {', '.join(FORMS)}; it has {held}")
        for name, form in BESIDE.items():
            default = type(self).model_fields[name].get_default(call_default_factory=True)
            if form != forms[0] and getattr(self, name) != default:
                raise ValueError(f"{name} only beside {form}; it stands beside {forms[0]}, which takes none")
        return self

    @property
    def form(self) -> str:
        """Which of the forms the entry has: load, onnx, predict or url."""
        return next(name for name in FORMS if getattr(self, name) is not None)


BESIDE = {"weights": "load", "arguments": "load", "timeout_seconds": "url", "images_per_request": "url"}
FORMS = ("load", "onnx", "predict", "url")
