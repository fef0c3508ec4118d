"""What a check finds wrong, and what all checks of a bundle found."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be: the file, and what differs."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass
class Verdict:
    """All checks of a bundle, in order.  lines: (what was checked, how it went, whether it is in order)."""

    lines: list[tuple[str, str, bool]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def note(self, check: str, problems: Iterable[Problem], summary: str) -> bool:
        """Take down one check; returns whether it found nothing.  summary: what it looked at, if it found nothing."""
        found = list(problems)
        self.problems += found
        count = f"{len(found)} problem{'s' if len(found) > 1 else ''}"
        self.lines.append((check, count if found else summary, not found))
        return not found

    @property
    def accepted(self) -> bool:
        """Whether no check found a problem."""
        return not self.problems
