"""What may be wrong with an installation and a project: versions, disk, files; each check tells what it found."""

import os
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils.serialize import ParseError, parse_yaml
from packaging.specifiers import SpecifierSet

from flows.dag import tell
from flows.doctor.locks import GIB, Finding, Level, check_cache, check_locks, find_wrong, is_at_work

# The bounds of pyproject.toml that something is known to break outside of, and what; a test holds the two equal.
KNOWN_BOUNDS = {
    "dvc": (">=3.67.1,<3.68", "its graph and status, which flows read, move between minor versions"),
    "prefect": (">=3.8.8,<3.9", "3.9.1 asks for a certifi release that does not exist"),
    "fastapi": ("<0.151", "from 0.155 on the Prefect 3.8 server does not start"),
    "sqlalchemy": (">=2,<2.1", "with 2.1 scheduled runs never appear in Prefect 3.8"),
    "zarr": (">=3.1.6,<4", "before 3.1.6 shards are written wrongly"),
    "torch": (">=2.13,<2.14", "results have other bytes than those in git"),
}


def installed_versions() -> dict[str, str]:
    """Versions of the packages that bounds are known of; those that are absent are left out."""
    return {name: version(name) for name in KNOWN_BOUNDS if find_spec(name)}


def check_versions(installed: Mapping[str, str]) -> Iterator[Finding]:
    """Packages in versions that are known to break."""
    good = []
    for name, (allowed, otherwise) in KNOWN_BOUNDS.items():
        held = installed.get(name)
        if held is not None and held in SpecifierSet(allowed):
            good.append(f"{name} {held}")
            continue
        what = f"{name}: not installed" if held is None else f"{name} {held}: {otherwise}"
        yield Finding(Level.WRONG, what, f"pip install '{name}{allowed}'")
    if good:
        yield Finding(Level.GOOD, f"versions that work together: {', '.join(good)}")


def check_disk(root: Path, needed_bytes: int) -> Iterator[Finding]:
    """Too little room for a run: with a full disk DVC may call a stage done whose output was never kept."""
    free = shutil.disk_usage(root).free
    if free < needed_bytes:
        what = f"{free / GIB:.1f} GiB free, a run may need {needed_bytes / GIB:.1f} GiB"
        yield Finding(Level.WRONG, what, "free some room, for example with: dvc gc --workspace --all-commits")
    else:
        yield Finding(Level.GOOD, f"{free / GIB:.1f} GiB of disk free")


def check_files(root: Path) -> Iterator[Finding]:
    """Project files that are cut, empty or hold marks of a merge."""
    broken = False
    for name in ("dvc.yaml", "dvc.lock", "params.yaml"):
        path = root / name
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
            reason = "" if text.strip() and isinstance(parse_yaml(text, name), dict) else "holds no mapping"
        except (ParseError, UnicodeDecodeError) as error:
            reason = f"is no YAML ({tell(error)})"
        if reason:
            broken = True
            yield Finding(Level.WRONG, f"{name}: {reason}", f"restore it with: git checkout -- {name}")
    if not broken:
        yield Finding(Level.GOOD, "dvc.yaml, dvc.lock and params.yaml can be read")


PARTIAL = ".partial"
# A folder of another tool, or so large that nothing of ours can be in it.
NOT_OURS = {".git", ".venv", "venv", "node_modules", ".prefect", ".dvc-site-cache", "__pycache__"}


def check_partial_files(root: Path) -> Iterator[Finding]:
    """What a killed process left half written."""
    if is_at_work(root):
        yield Finding(Level.NOTE, "partial files were not looked for: a run at work may be writing them")
        return
    found = sorted(_find_partial(root))
    for path in found:
        yield find_wrong(f"{path.relative_to(root)}: half written, by a process that was ended", path)
    if not found:
        yield Finding(Level.GOOD, "no partial files")


def _find_partial(root: Path) -> Iterator[Path]:
    """Partial files and folders; what is in a partial folder is part of it."""
    for place, folders, files in os.walk(root):
        here = Path(place)
        if here == root / ".dvc":
            folders.clear()
            continue
        matching = [name for name in [*folders, *files] if name.endswith(PARTIAL)]
        yield from (here / name for name in matching)
        folders[:] = [name for name in folders if name not in NOT_OURS and name not in matching]


def check_leftovers(root: Path) -> Iterator[Finding]:
    """Folders of results whose entry is gone, such as a classifier that was under test.

    They count among what later stages depend on, so that DVC calls those changed, and evidence would list them.
    """
    try:
        with Repo(str(root)) as repo:
            stages = list(repo.index.stages)
            outs = {Path(out.fs_path) for stage in stages for out in stage.outs}
            needed = {Path(dep.fs_path) for stage in stages for dep in stage.deps if dep.is_in_repo}
    except DvcException as error:
        yield Finding(Level.NOTE, f"results that no stage makes were not looked for: {tell(error)}")
        return
    made = outs | {above for out in outs for above in out.parents}
    shared = sorted(path for path in needed & made - outs if path.is_dir())
    inside = [child for path in shared for child in sorted(path.iterdir()) if child.is_dir()]
    left = [child for child in inside if child not in made | needed]
    for path in left:
        shown, above = path.relative_to(root), path.parent.relative_to(root)
        yield find_wrong(f"{shown}: made by no stage now, but stages depend on {above}", path)
    if not left:
        yield Finding(Level.GOOD, "no results without a stage")


def examine(root: Path, needed_bytes: int = 2 * GIB) -> list[Finding]:
    """All findings, in the order in which they are best mended; root: of the project.

    needed_bytes: free disk below which a run may not end: a default run writes 0.3 GiB into data and as much into the
    cache, a trained generator twice that.
    """
    return [
        *check_versions(installed_versions()),
        *check_disk(root, needed_bytes),
        *check_files(root),
        *check_locks(root),
        *check_partial_files(root),
        *check_leftovers(root),
        *check_cache(root),
    ]
