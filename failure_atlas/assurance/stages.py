"""The skeleton of the argument: the six stages of AMLAS with the letters of their artefacts.

Hawkins et al., "Guidance on the Assurance of Machine Learning in Autonomous Systems (AMLAS)", version 1.1, University
of York 2021; stages.toml tells them in words of this project. Each stage: what criteria can support, and what nothing
here supports, which stays undeveloped.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LETTERS = re.compile(r"AMLAS((?: ?\[[A-Z]{1,2}\])+)")


@dataclass(frozen=True)
class Stage:
    """One stage.  letters: artefacts that criteria can be evidence for.  claim: of the goal over those criteria.

    open_letters, open_claim: artefacts that have no evidence here, and the goal that stays undeveloped for them.
    """

    id: str
    name: str
    letters: tuple[str, ...]
    claim: str
    open_letters: tuple[str, ...]
    open_claim: str


def _read() -> tuple[Stage, ...]:
    held = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["stages"]
    return tuple(
        Stage(**each | {"letters": tuple(each["letters"]), "open_letters": tuple(each["open_letters"])})
        for each in held
    )


STAGES = _read()
HOME = "verification"  # of criteria whose clause names no artefact of AMLAS


def find_letters(supports: str) -> set[str]:
    """The artefact letters that the clause of a criterion names, as in `AMLAS [X] [Z]`."""
    return {letter for part in _LETTERS.findall(supports) for letter in re.findall("[A-Z]{1,2}", part)}


def place_criterion(criterion: Mapping[str, Any]) -> list[str]:
    """Ids of the stages whose artefacts a criterion names; it is argued in full in the last one."""
    letters = find_letters(str(criterion.get("supports", "")))
    return [stage.id for stage in STAGES if letters.intersection(stage.letters)] or [HOME]
