"""The one door to git: whatever the caller's environment and settings say, git acts on the folder that is named.

A git hook, `git rebase --exec` or a shell may export GIT_DIR and its like, and git obeys them before `-C`: a command
that is meant for a fresh clone then moves the HEAD of the user's repository.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from failure_atlas.core.text import escape
from flows.errors import FlowError

# Who the user is, and how a network is reached; all others of git's variables choose a repository, files or settings.
KEPT = (
    *("GIT_ASKPASS", "GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM"),
    *("GIT_EXEC_PATH", "GIT_HTTP_", "GIT_PROXY_", "GIT_SSH", "GIT_SSL_", "GIT_TERMINAL_PROMPT"),
)
# Bytes as they are committed, on every system; nothing of the user's runs on the way.
SETTINGS = ("core.autocrlf=false", "core.eol=lf", f"core.hooksPath={os.devnull}", "core.fsmonitor=false")
NEEDED = "a git repository with a commit is needed"


@dataclass(frozen=True)
class Revision:
    """The commit that is checked out.

    changed: paths in the project that differ from it or that it does not know; bytes that are no UTF-8 as `\\xff`.
    url: of the remote `origin`, without a password; empty if there is none.
    """

    commit: str
    changed: list[str]
    url: str


def read_revision(project: Path, leave_out: Path | None = None) -> Revision:
    """Ask git about a project, which may be a folder of a larger repository; FlowError if it has no commit.

    leave_out: a folder whose files do not count as changed, as the bundles themselves.
    """
    commit = run_git(project, "rev-parse", "--verify", "HEAD").strip()
    paths = ["--", "."]
    if leave_out is not None and leave_out.resolve().is_relative_to(project.resolve()):
        paths.append(f":(exclude,literal){leave_out.resolve().relative_to(project.resolve()).as_posix()}")
    status = run_git(project, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", *paths)
    prefix = find_prefix(project)  # git tells these paths from the top of the repository
    changed = sorted(entry[3:].removeprefix(prefix) for entry in status.split("\0") if entry)
    try:
        url = run_git(project, "remote", "get-url", "origin").strip()
    except FlowError:
        url = ""  # a project may well have no remote
    return Revision(commit, [escape(path) for path in changed], _without_password(url))


def clone_commit(project: Path, clone: Path, commit: str) -> Path:
    """Clone the repository that a project lies in, check a commit out, return the project's folder in the clone.

    FlowError if the repository does not hold the commit. No hard links: nothing that happens in the clone may reach
    the original.
    """
    if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", commit):
        raise FlowError(f"commit {commit[:80]!r}: no name of a commit; allowed: 40 or 64 digits of its hash")
    top = run_git(project, "rev-parse", "--show-toplevel").removesuffix("\n")
    prefix = find_prefix(project)
    run_git(
        project, "clone", "--quiet", "--no-hardlinks", "--no-checkout", "--template=", "--", top, str(clone.absolute())
    )
    # Later commands in the clone, DVC's too, see the same bytes.
    run_git(clone, "config", "core.autocrlf", "false")
    try:
        run_git(clone, "checkout", "--quiet", "--detach", f"{commit}^{{commit}}", "--")
    except FlowError as error:
        raise FlowError(f"commit {commit[:12]} is not in {project}; name a clone that has it with --data") from error
    return clone / prefix


def find_prefix(project: Path) -> str:
    """The project's folder in its repository, with `/` at its end; empty if it is the top."""
    return run_git(project, "rev-parse", "--show-prefix").removesuffix("\n")


def run_git(folder: Path, *arguments: str) -> str:
    """The output of one git command in a folder, as Python holds file names (`os.fsdecode`): any bytes can come."""
    return os.fsdecode(read_git(folder, *arguments))


def read_git(folder: Path, *arguments: str) -> bytes:
    """The same as bytes; FlowError with git's own words if it fails."""
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    command = ["git", *settings, "--no-pager", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, env=without_git(os.environ))
    except FileNotFoundError as error:
        raise FlowError(f"git is not installed; {NEEDED}") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "backslashreplace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise FlowError(f"git {arguments[0]} in {escape(folder)}: {said[-1]}; {NEEDED}")
    return done.stdout


def without_git(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without the variables that would send git, and DVC, to another repository than the one at hand."""
    return {name: value for name, value in environment.items() if not name.startswith("GIT_") or name.startswith(KEPT)}


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if not parts.scheme or "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[1]))
