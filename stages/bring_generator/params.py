"""One entry of the section `bring_generator` of params.yaml."""

from typing import Annotated

from pydantic import Field

from failure_atlas.core.fields import Section, Text


class BringGeneratorParams(Section):
    """Which file the generator is in, what the file has to hold, and how it is used."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    class_order: Annotated[list[Text], Field(min_length=2, max_length=256)] | None = None
    truncation: Annotated[float, Field(gt=0, le=1)] = 1.0


MODEL = BringGeneratorParams
