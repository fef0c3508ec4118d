"""What a check finds wrong, and what all checks of a bundle found."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from flows.evidence.reading import UnreadableError, show

MOST = 1000  # problems of one check


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be: the file, and what differs."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{show(self.path)}: {show(self.what)}"


@dataclass
class Verdict:
    """All checks of a bundle, in order.  lines: (what was checked, how it went, whether it is in order).

    unchecked: what no check computed again.  key: the id of the key that signed.
    """

    lines: list[tuple[str, str, bool]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    key: str = ""

    def note(self, check: str, problems: Iterable[Problem], summary: str) -> bool:
        """Take down one check; returns whether it found nothing.  summary: what it looked at, if it found nothing.

        A file that cannot be read ends the check, and is what it found.
        """
        found: list[Problem] = []
        try:
            for problem in problems:
                found.append(problem)
                if len(found) >= MOST:
                    break
        except UnreadableError as error:
            found.append(Problem(error.path, error.what))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            # Of a form that no honest bundle has; whichever it is, it is no reason to accept.
            found.append(Problem(check, f"cannot be checked ({error!r})"))
        self.problems += found
        count = f"{len(found)} problem{'s' if len(found) > 1 else ''}"
        self.lines.append((check, count if found else summary, not found))
        return not found

    @property
    def accepted(self) -> bool:
        """Whether no check found a problem."""
        return not self.problems
