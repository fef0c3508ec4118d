"""The files that DVC reads first: cut, empty, or with marks of a merge."""

from collections.abc import Iterator
from pathlib import Path

from dvc.utils.serialize import ParseError, parse_yaml

from flows.dag import tell
from flows.doctor.finding import Finding, Level


def check_files(root: Path) -> Iterator[Finding]:
    """Project files that are cut, empty or hold marks of a merge."""
    broken = False
    for name in ("dvc.yaml", "dvc.lock", "params.yaml"):
        path = root / name
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
            readable = bool(text.strip()) and isinstance(parse_yaml(text, name), dict)
            reason = "holds no mapping"
        except (ParseError, UnicodeDecodeError) as error:
            readable, reason = False, f"is no YAML ({tell(error)})"
        if not readable:
            broken = True
            yield Finding(Level.WRONG, f"{name}: {reason}", f"restore it with: git checkout -- {name}")
    if not broken:
        yield Finding(Level.GOOD, "dvc.yaml, dvc.lock and params.yaml can be read")
