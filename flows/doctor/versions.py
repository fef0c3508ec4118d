"""Packages in versions that are known to break."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from flows.doctor.finding import Finding, Level


@dataclass(frozen=True)
class Bounds:
    """Versions of a package that work: at_least <= version < below.  otherwise: what happens with others."""

    package: str
    at_least: tuple[int, ...]
    below: tuple[int, ...]
    otherwise: str


# The bounds of pyproject.toml that something is known to break outside of; a test holds the two equal.
KNOWN_BOUNDS = (
    Bounds("dvc", (3, 67, 1), (3, 68), "its graph and status, which flows read, move between minor versions"),
    Bounds("prefect", (3, 8, 8), (3, 9), "3.9.1 asks for a certifi release that does not exist"),
    Bounds("fastapi", (), (0, 151), "from 0.155 on the Prefect 3.8 server does not start"),
    Bounds("sqlalchemy", (2,), (2, 1), "with 2.1 scheduled runs never appear in Prefect 3.8"),
    Bounds("zarr", (3, 1, 6), (4,), "before 3.1.6 shards are written wrongly"),
    Bounds("torch", (2, 13), (2, 14), "results have other bytes than those in git"),
)


def installed_versions() -> dict[str, str]:
    """Versions of the packages that bounds are known of; those that are absent are left out."""
    found = {}
    for bounds in KNOWN_BOUNDS:
        try:
            found[bounds.package] = version(bounds.package)
        except PackageNotFoundError:
            continue
    return found


def check_versions(installed: Mapping[str, str]) -> Iterator[Finding]:
    """Packages in versions that are known to break."""
    good = []
    for bounds in KNOWN_BOUNDS:
        held = installed.get(bounds.package)
        allowed = f"{bounds.package}>={_dotted(bounds.at_least)},<{_dotted(bounds.below)}".replace(">=,", "")
        if held is None:
            yield Finding(Level.WRONG, f"{bounds.package}: not installed", f"pip install '{allowed}'")
        elif not bounds.at_least <= _parse_version(held) < bounds.below:
            yield Finding(Level.WRONG, f"{bounds.package} {held}: {bounds.otherwise}", f"pip install '{allowed}'")
        else:
            good.append(f"{bounds.package} {held}")
    if good:
        yield Finding(Level.GOOD, f"versions that work together: {', '.join(good)}")


def _parse_version(text: str) -> tuple[int, ...]:
    """`3.8.8.post1+cpu` as (3, 8, 8)."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
