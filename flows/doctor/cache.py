"""Objects of DVC's cache against their names."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from flows.dag import tell
from flows.doctor.disk import GIB
from flows.doctor.finding import Finding, Level
from flows.doctor.locks import is_at_work

OBJECT_NAME = re.compile(r"[0-9a-f]{30}(\.dir)?")
FOLDER_NAME = re.compile(r"[0-9a-f]{2}")
READ_BYTES = 2**20


def check_cache(root: Path) -> Iterator[Finding]:
    """Objects of DVC's cache whose bytes do not match their names; DVC trusts them and never looks again."""
    folders, problem = _cache_folders(root)
    if problem:
        yield problem
    at_work = is_at_work(root)
    count, size = 0, 0
    clean = True
    for folder in folders:
        for path in _list_objects(folder):
            name = path.parent.name + path.name.removesuffix(".dir")
            shown = path.relative_to(root) if path.is_relative_to(root) else path
            if OBJECT_NAME.fullmatch(path.name) is None:
                if at_work:
                    continue  # a transfer that has not ended yet
                clean = False
                yield Finding(
                    Level.WRONG,
                    f"{shown}: no cache object, left by a transfer that was ended",
                    "failure-atlas doctor --repair moves it aside",
                    (path,),
                )
                continue
            found = _hash_object(path)
            count, size = count + 1, size + path.stat().st_size
            if found != name:
                clean = False
                yield Finding(
                    Level.WRONG,
                    f"{shown}: its bytes have the MD5 {found}",
                    "failure-atlas doctor --repair moves it aside; then: dvc commit --force puts a good output of the "
                    "workspace back, dvc pull or dvc repro --force STAGE makes it anew",
                    (path,),
                )
    if clean:
        yield Finding(Level.GOOD, f"{count:,} cache objects ({size / GIB:.2f} GiB) match their names")


def _cache_folders(root: Path) -> tuple[list[Path], Finding | None]:
    """The cache of DVC 3 and, beside it, that of older versions; and what keeps DVC from naming them."""
    try:
        with Repo(str(root)) as repo:
            return [Path(repo.cache.local.path), Path(repo.cache.legacy.path)], None
    except DvcException as error:
        usual = [root / ".dvc/cache/files/md5", root / ".dvc/cache"]
        return usual, Finding(Level.WRONG, f"DVC cannot open this project ({tell(error)})", "see `dvc config --list`")


def _list_objects(folder: Path) -> Iterator[Path]:
    """Files two levels down, in folders named by two hexadecimal digits; and what ended transfers left beside these."""
    yield from sorted(path for path in folder.glob(".*.tmp") if path.is_file())
    for two in sorted(folder.glob("[0-9a-f][0-9a-f]")):
        if two.is_dir() and FOLDER_NAME.fullmatch(two.name):
            yield from (path for path in sorted(two.iterdir()) if path.is_file())


def _hash_object(path: Path) -> str:
    """MD5 of the bytes: DVC's name for them, no protection against who forges them."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
