"""What can be compared: the workspace, a git revision or DVC experiment, an evidence bundle. All are read in place."""

import io
import tarfile
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import map_scm_exception, resolve_rev

from flows.dag import tell
from flows.errors import FlowError
from flows.evidence.inventory import dvc_md5, hash_bytes, hash_path
from flows.evidence.reading import UnreadableError, list_plain, parse_json, parse_yaml, read_plain
from flows.git import read_git

WORKSPACE = "workspace"
LOCK, PARAMS, METRICS_FILE = "dvc.lock", "params.yaml", "metrics.json"
ALLOWED = f"allowed: a git revision, a DVC experiment, the folder of an evidence bundle, or {WORKSPACE}"
NETWORKS = ":(exclude)*.safetensors"  # megabytes that nobody compares


class Source(ABC):
    """One side of a comparison; paths are relative to the project's root, with forward slashes."""

    has_environment = False

    def __init__(self, name: str, commit: str = "") -> None:
        self.name, self.commit = name, commit

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None if it is not there."""

    @abstractmethod
    def list_paths(self) -> list[str]:
        """Paths of all files that can be read."""

    def read_metrics(self) -> dict[str, dict[str, Any]]:
        """Contents of the metrics files that dvc.yaml declares, by the folder below data that holds them."""
        try:
            with Repo() as repo:
                shown = repo.metrics.show(revs=[self.commit] if self.commit else None, hide_workspace=True)
        except DvcException as error:
            raise FlowError(f"{self.name}: DVC cannot read its metrics ({tell(error)})") from error
        files = shown.get(self.commit, {}).get("data", {})
        # What is declared but was never made comes with an error instead of data.
        return {name_metrics(path): file["data"] for path, file in files.items() if isinstance(file.get("data"), dict)}

    def hash(self, path: str) -> str | None:
        """What DVC would write in dvc.lock for a file or folder; None if it is not there."""
        below = [each for each in self.list_paths() if each == path or each.startswith(f"{path}/")]
        return dvc_md5({each: hash_bytes(self.read(each) or b"") for each in below}, path) if below else None

    def find(self, ending: str) -> list[str]:
        """Paths whose last parts match the given ones; `*` matches any part."""
        return [path for path in self.list_paths() if PurePosixPath(path).match(ending)]

    def read_mapping(self, path: str) -> dict[str, Any]:
        """A mapping in YAML or JSON; empty if the file is not there. FlowError if it holds something else."""
        content = self.read(path)
        parse, kind = (parse_json, "JSON") if path.endswith(".json") else (parse_yaml, "YAML")
        try:
            held = parse(content) if content else {}
        except ValueError as error:
            raise FlowError(f"{self.name}: {path}: not valid {kind} ({error}); restore it and try again") from error
        if not isinstance(held, dict):
            raise FlowError(f"{self.name}: {path}: holds {type(held).__name__}, needed: a mapping; restore it")
        return held


class Workspace(Source):
    """The project as it stands on disk, committed or not."""

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None if it is not there."""
        return Path(path).read_bytes() if Path(path).is_file() else None

    def list_paths(self) -> list[str]:
        """Paths of the results; caches and virtual environments are none of its own."""
        return sorted(path.as_posix() for path in Path("data").rglob("*") if path.is_file())

    def hash(self, path: str) -> str | None:
        """What DVC would write in dvc.lock for a file or folder, without what it ignores; None if it is not there."""
        found = hash_path(Path(), path)
        return dvc_md5(found, path) if found else None


class Revision(Source):
    """A commit, read through git without a checkout."""

    @cached_property
    def files(self) -> dict[str, bytes]:
        """What git holds below the current folder, save networks."""
        packed = io.BytesIO(read_git(Path(), "archive", "--format=tar", self.commit, ".", NETWORKS))
        with tarfile.open(fileobj=packed) as archive:
            opened = ((entry.name, archive.extractfile(entry)) for entry in archive if entry.isfile())
            return {name: file.read() for name, file in opened if file is not None}

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None if it is not there."""
        return self.files.get(path)

    def list_paths(self) -> list[str]:
        """Paths of all files below the current folder."""
        return sorted(self.files)


class Bundle(Source):
    """An evidence bundle: a folder with dvc.lock, params.yaml and metrics of one run."""

    has_environment = True

    def __init__(self, name: str, root: Path) -> None:
        super().__init__(name)
        self.root = root

    def read(self, path: str) -> bytes | None:
        """The bytes of a file, under whatever folder the bundle keeps it; None if it is not there."""
        found = [path] if path in self.list_paths() else self.find(path.removeprefix("data/"))
        try:
            return read_plain(self.root, found[0]) if found else None
        except UnreadableError as error:
            raise FlowError(f"{self.name}: {error}") from error

    def list_paths(self) -> list[str]:
        """Paths of all files; what is no plain file is none."""
        try:
            return sorted(path for path, size in list_plain(self.root)[0].items() if size >= 0)
        except UnreadableError as error:
            raise FlowError(f"{self.name}: {error}") from error

    def read_metrics(self) -> dict[str, dict[str, Any]]:
        """Contents of the metrics files: all metrics.json, and all JSON below a folder `metrics`."""
        paths = [*self.find(METRICS_FILE), *(path for path in self.find("*.json") if path.startswith("metrics/"))]
        return {name_metrics(path): self.read_mapping(path) for path in paths}


def open_source(name: str) -> Source:
    """What a person calls by this name; FlowError that tells what is allowed."""
    if name == WORKSPACE:
        return Workspace(WORKSPACE)
    folder = Path(name)
    if folder.is_dir():
        if (folder / ".dvc").is_dir():
            told = f"a project, not a bundle; call this one '{WORKSPACE}', go to another one for its own"
            raise FlowError(f"{name}: {told}")
        if not (folder / LOCK).is_file():
            raise FlowError(f"{name}: a folder without {LOCK}, so no evidence bundle; {ALLOWED}")
        return Bundle(name, folder)
    try:
        with Repo() as repo, map_scm_exception():
            return Revision(name, resolve_rev(repo.scm, name))
    except DvcException as error:  # no git, no commit yet, or no such revision
        raise FlowError(f"{name}: no such revision or folder ({tell(error)}); {ALLOWED}") from error


def name_metrics(path: str) -> str:
    """`data/rank_dimensions/clean/metrics.json`, in the project or in a bundle, as `rank_dimensions/clean`."""
    short = path.removeprefix("metrics/").removeprefix("data/")
    return short.removesuffix(f"/{METRICS_FILE}").removesuffix(".json")
