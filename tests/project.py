"""A copy of the whole project with params so small that its DAG runs in a minute."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests import yaml12 as yaml
from tests.house import ROOT

# Of data: what keeps the folder that the first stage depends on, and a released file that no params name.
KEPT = ("data/own_images/README.md", "data/released/outsider.safetensors")
TINY = ROOT / "tests/tiny_params.yaml"


def copy_project(folder: Path) -> Path:
    """Copy what git knows or would know of the project into a repository of its own, with tiny params."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        # Results of the default run stay behind: this project makes its own.
        kept = name.endswith(".gitignore") or name in KEPT
        if name == "dvc.lock" or (name.startswith("data/") and not kept):
            continue
        if (ROOT / name).is_file() or (ROOT / name).is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    shrink_params(folder / "params.yaml")
    git(folder, "init", "--quiet")
    commit(folder, "copy")
    return folder


def commit(project: Path, message: str) -> None:
    """Commit all that git does not ignore."""
    git(project, "add", "--all")
    git(project, "-c", "user.email=test@localhost", "-c", "user.name=test", "commit", "--quiet", "--message", message)


def shrink_params(path: Path) -> None:
    """Replace the costly values of a params file by tiny ones."""
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    for section, changes in yaml.safe_load(TINY.read_text(encoding="utf-8")).items():
        params[section].update(changes)
    for entry in params["train_classifiers"].values():
        entry.update({"training_images": 500, "width": 8})
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def environment(project: Path) -> dict[str, str]:
    """The environment of a user who has activated the virtual environment and stands in the project."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DVC_"))},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # The installed package is this checkout; the copy must run its own modules.
        "PYTHONPATH": str(project),
        "FAILURE_ATLAS_DEVICE": "cpu",
        "DVC_SITE_CACHE_DIR": str(project / ".dvc-site-cache"),
        "PREFECT_HOME": str(project / ".prefect"),
    }


def run(project: Path, *command: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run a command in the project and return what it printed."""
    return subprocess.run(
        command, cwd=project, env=environment(project), capture_output=True, text=True, timeout=timeout, check=False
    )


def git(project: Path, *arguments: str) -> str:
    """Run git in the project; its output."""
    return subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True, check=True).stdout
