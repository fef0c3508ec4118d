"""Hazards that a confusion of classes leads to, each traced to the criteria that bear on it and to the modes it meets.

A list of hazards is never shown to be complete here: it comes from the safety analysis of the system around.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from failure_atlas.core.fields import ClassName, Section, Text
from failure_atlas.decisions.summary import Mode

MOST_HAZARDS = 100
SEVERITIES = ("minor", "major", "hazardous", "catastrophic")  # of failure conditions, as ARP4761 calls them


class Hazard(Section):
    """A confusion, how severe it is, what is required of it, and the criteria that bear on the requirement.

    true_class, read_as: names of classes; None for any, but not both.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
    true_class: ClassName | None = None
    read_as: ClassName | None = None
    severity: Literal["minor", "major", "hazardous", "catastrophic"]
    requirement: Text
    criteria: list[Text] = Field(min_length=1, max_length=100)

    @property
    def confusion(self) -> str:
        """In words, such as `any class is read as 8`."""
        return f"{self.true_class or 'any class'} is read as {self.read_as or 'another one'}"

    def meets(self, mode: Mode) -> bool:
        """Whether the sentence of a mode speaks of this confusion, or of failures that may be it.

        A mode without a class is of all classes; one without a reading, of every wrong one.
        """
        pairs = (self.true_class, mode.texts["class"]), (self.read_as, mode.texts["read_as"])
        return all(own is None or told in ("", own) for own, told in pairs)


def check_hazards(hazards: Sequence[Hazard], criteria: Collection[str]) -> None:
    """ValueError unless every id stands once, each confusion is one, and each criterion is there.

    criteria: ids of the acceptance criteria.
    """
    ids = [hazard.id for hazard in hazards]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise ValueError(f"hazards with ids of their own; used twice: {', '.join(twice)}")
    for hazard in hazards:
        if hazard.true_class == hazard.read_as:
            told = f"true_class and read_as are both {hazard.true_class or 'any'}"
            raise ValueError(f"a confusion of two classes in hazard {hazard.id}, where {told}")
        if len(set(hazard.criteria)) < len(hazard.criteria):
            raise ValueError(f"each criterion once in hazard {hazard.id}")
        if unknown := [name for name in hazard.criteria if name not in criteria]:
            known = ", ".join(criteria)
            raise ValueError(f"in hazard {hazard.id} ids of criteria, not {unknown[0]}; there are: {known}")


def read_hazards(section: Mapping[str, Any], criteria: Collection[str]) -> list[Hazard]:
    """The hazards of the section `acceptance`, none where it lists none; ValueError that names the key."""
    entries = section.get("hazards", [])
    if not isinstance(entries, list) or len(entries) > MOST_HAZARDS:
        raise ValueError(f"acceptance.hazards: allowed: a list of at most {MOST_HAZARDS}")
    hazards = []
    for place, entry in enumerate(entries):
        try:
            hazards.append(Hazard.model_validate(entry))
        except ValueError as error:
            raise ValueError(f"acceptance.hazards.{place}: {' '.join(str(error).split())[:300]}") from error
    check_hazards(hazards, criteria)
    return hazards
