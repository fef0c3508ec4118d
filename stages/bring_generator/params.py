"""One entry of the section `bring_generator` of params.yaml."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from failure_atlas.brought.params import BringClassifierParams, File, Place
from failure_atlas.core.fields import Section, Text

BESIDE = {"sha256": "file", "truncation": "file", "arguments": "load", "weights": "load"}


class BringGeneratorParams(Section):
    """Which file or module the generator is in, what it has to hold, and how it is used."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$")] | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    load: Place | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    weights: File | None = None
    class_order: Annotated[list[Text], Field(min_length=2, max_length=256)] | None = None
    truncation: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        held = [name for name in ("file", "load") if getattr(self, name) is not None]
        if len(held) != 1:
            raise ValueError(f"exactly one of file and load; it has {' and '.join(held) or 'none of them'}")
        if self.file is not None and self.sha256 is None:
            raise ValueError("file with its sha256; the latter is missing")
        for name in sorted(self.model_fields_set & BESIDE.keys()):
            if BESIDE[name] != held[0]:
                raise ValueError(f"{name} only beside {BESIDE[name]}; it stands beside {held[0]}, which takes none")
        return self

    @property
    def code(self) -> BringClassifierParams:
        """What makes the network, as any network that is brought."""
        return BringClassifierParams(load=self.load, arguments=self.arguments, weights=self.weights)


MODEL = BringGeneratorParams
