"""What can be compared: the workspace, a git revision or DVC experiment, an evidence bundle. All are read in place."""

from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import map_scm_exception, resolve_rev

from flows.dag import tell
from flows.errors import FlowError
from flows.evidence.reading import UnreadableError, list_plain, parse_json, parse_yaml, read_plain
from flows.git import read_git, run_git

WORKSPACE = "workspace"
LOCK, PARAMS = "dvc.lock", "params.yaml"
METRICS_FILE = "metrics.json"
ALLOWED = f"allowed: a git revision, a DVC experiment, the folder of an evidence bundle, or {WORKSPACE}"


class Source(ABC):
    """One side of a comparison; paths are relative to the project's root, with forward slashes."""

    has_environment = False

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None if it is not there."""

    @abstractmethod
    def list_paths(self) -> list[str]:
        """Paths of all files that can be read."""

    @abstractmethod
    def read_metrics(self) -> dict[str, dict[str, Any]]:
        """Contents of the metrics files, by the folder below data that holds them."""

    def find(self, *ending: str) -> list[str]:
        """Paths whose last parts match the given ones; `*` matches any part."""
        return [path for path in self.list_paths() if PurePosixPath(path).match("/".join(ending))]

    def read_text(self, path: str) -> str | None:
        """The text of a file; None if it is not there. FlowError if it is not text."""
        content = self.read(path)
        try:
            return None if content is None else content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FlowError(f"{self.name}: {path}: not text ({error}); restore it and try again") from error

    def read_yaml(self, path: str) -> dict[str, Any]:
        """A YAML mapping; empty if the file is not there. FlowError if it holds something else."""
        text = self.read(path)
        try:
            content = parse_yaml(text) if text else {}
        except ValueError as error:
            raise FlowError(f"{self.name}: {path}: not valid YAML ({error}); restore it and try again") from error
        if not isinstance(content, dict):
            raise FlowError(f"{self.name}: {path}: holds {type(content).__name__}, needed: a mapping; restore it")
        return content

    def read_json(self, path: str) -> Any:
        """The content of a JSON file; FlowError if it is none."""
        try:
            return parse_json(self.read(path) or b"")
        except ValueError as error:
            raise FlowError(f"{self.name}: {path}: no JSON ({error}); restore it and try again") from error


class Folder(Source):
    """Files below a folder."""

    def __init__(self, name: str, root: Path) -> None:
        super().__init__(name)
        self.root = root

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None if it is not there."""
        file = self.root / path
        return file.read_bytes() if file.is_file() else None

    def list_paths(self) -> list[str]:
        """Paths of all files."""
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())


class Workspace(Folder):
    """The project as it stands on disk, committed or not."""

    def __init__(self) -> None:
        super().__init__(WORKSPACE, Path())

    def list_paths(self) -> list[str]:
        """Paths of the files of the project's own folders; caches and virtual environments are none of its own."""
        top = [path for path in self.root.iterdir() if path.name == "data" or path.is_file()]
        below = [file for path in top if path.is_dir() for file in path.rglob("*") if file.is_file()]
        return sorted(path.as_posix() for path in [*below, *(path for path in top if path.is_file())])

    def read_metrics(self) -> dict[str, dict[str, Any]]:
        """Contents of the metrics files that dvc.yaml declares."""
        return _show_metrics(self.name, None)


class Revision(Source):
    """A commit, read through git without a checkout."""

    def __init__(self, name: str, commit: str) -> None:
        super().__init__(name)
        self.commit = commit

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None if it is not there."""
        try:
            return read_git(Path(), "show", f"{self.commit}:./{path}")
        except FlowError:
            return None

    def list_paths(self) -> list[str]:
        """Paths of all files below the current folder."""
        return [path for path in run_git(Path(), "ls-tree", "-r", "-z", "--name-only", self.commit).split("\0") if path]

    def read_metrics(self) -> dict[str, dict[str, Any]]:
        """Contents of the metrics files that dvc.yaml declares at this commit."""
        return _show_metrics(self.name, self.commit)


class Bundle(Folder):
    """An evidence bundle: a folder with dvc.lock, params.yaml and metrics of one run."""

    has_environment = True

    def read(self, path: str) -> bytes | None:
        """The bytes of a file, under whatever folder the bundle keeps it; None if it is not there."""
        paths = self.list_paths()
        found = [path] if path in paths else self.find(path.removeprefix("data/"))
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
        metrics = {}
        for path in self.list_paths():
            parts = PurePosixPath(path)
            if parts.name == METRICS_FILE or (parts.parts[0] == "metrics" and parts.suffix == ".json"):
                content = self.read_json(path)
                if isinstance(content, dict):
                    metrics[name_metrics(path)] = content
        return metrics


def open_source(name: str) -> Source:
    """What a person calls by this name; FlowError that tells what is allowed."""
    if name == WORKSPACE:
        return Workspace()
    folder = Path(name)
    if folder.is_dir():
        if (folder / ".dvc").is_dir():
            raise FlowError(
                f"{name}: a project, not a bundle; call this one '{WORKSPACE}', go to another one for its own"
            )
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


def _show_metrics(name: str, commit: str | None) -> dict[str, dict[str, Any]]:
    try:
        with Repo() as repo:
            shown = repo.metrics.show(revs=[commit] if commit else None, hide_workspace=True)
    except DvcException as error:
        raise FlowError(f"{name}: DVC cannot read its metrics ({tell(error)})") from error
    files = shown.get(commit or "", {}).get("data", {})
    # What is declared but was never made comes with an error instead of data.
    return {name_metrics(path): file["data"] for path, file in files.items() if isinstance(file.get("data"), dict)}
