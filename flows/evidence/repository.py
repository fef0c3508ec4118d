"""What git says of the project: the commit, and what differs from it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from flows.errors import FlowError


@dataclass(frozen=True)
class Revision:
    """The commit that is checked out.

    changed: paths that differ from it or that it does not know.  url: of the remote `origin`, without a password;
    empty if there is none.
    """

    commit: str
    changed: list[str]
    url: str


def read_revision(project: Path, leave_out: Path | None = None) -> Revision:
    """Ask git about a project; FlowError if it is no repository or has no commit.

    leave_out: a folder whose files do not count as changed, as the bundles themselves.
    """
    commit = run_git(project, "rev-parse", "--verify", "HEAD").strip()
    paths = ["--", "."]
    if leave_out is not None and leave_out.resolve().is_relative_to(project.resolve()):
        inside = leave_out.resolve().relative_to(project.resolve()).as_posix()
        paths.append(f":(exclude){inside}")
    status = run_git(project, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", *paths)
    changed = sorted(entry[3:] for entry in status.split("\0") if entry)
    try:
        url = run_git(project, "remote", "get-url", "origin").strip()
    except FlowError:
        url = ""  # a project may well have no remote
    return Revision(commit, changed, _without_password(url))


def run_git(project: Path, *arguments: str) -> str:
    """The output of one git command; FlowError with git's own words if it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(project), *arguments],  # noqa: S607  the one that is found on PATH
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise FlowError("git is not installed; evidence names the commit that it was made from") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise FlowError(f"git {arguments[0]} in {project}: {said}; evidence needs a git repository with a commit")
    return done.stdout


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if not parts.scheme or "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[1]))
