"""A copy of the whole project with params so small that its DAG runs in a minute."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import yaml12 as yaml
from tests.house import ROOT

OWN_IMAGES = "data/own_images/README.md"  # keeps the folder that the first stage depends on
TINY: dict[str, dict[str, Any]] = {
    "train_stylegan2": {
        "resume": None,
        "total_kimg": 1,
        "snapshot_kimg": 1,
        "z_dim": 8,
        "w_dim": 8,
        "generator_channels": [8, 8, 8, 8],
        "discriminator_channels": [8, 8, 8, 8],
    },
    "train_judges": {
        "released": None,
        "accuracy_floor": 0.0,  # so short a training knows little
        "judge": [{"network": "residual", "width": 8, "seed": 2}, {"network": "plain", "width": 8, "seed": 3}],
        "auditor": [{"network": "plain", "width": 8, "seed": 4}],
        "training_images": 1500,
    },
    "qualify_generator": {"samples": 100, "repeats": 2, "frechet_ratio_ceiling": None},
    "sample_populations": {"samples": 300, "tsne_samples": 150, "perplexity": 10.0, "probe_folds": 2},
    "rank_dimensions": {"split_halves": 2},
    "compare_rankings": {
        "samples": 100,
        "attfind_samples": 10,
        "held_out_samples": 20,
        "random_draws": 2,
        "top_k": [1, 3],
        "shifts_std": [1.0, 2.0],
        "headline_k": 3,
        "headline_shift_std": 2.0,
        "walk_dimensions": 3,
        "max_shift_std": 5,
        "split_halves": 2,
        "bootstrap_replicates": 40,
    },
    "name_directions": {"dimensions": 2, "class_dimensions": 1, "samples": 10, "check_images": 10},
    "walk_corner_cases": {
        "dimensions": 3,
        "max_shift_std": 6.0,
        "grid_step_std": 1.0,
        "figure_classes": [3],
        "start_samples": list(range(100)),
    },
    "measure_robustness": {"samples": 20, "greedy_samples": 5, "max_shift_std": 2.0, "single_max_shift_std": 2.0},
    "judge_failures": {"contact_sheet_samples": 5},
    "report": {"dimensions": 2, "max_shift_std": 4.0, "step_std": 1.0},
    "compute_curves": {
        "top_k": [10, "all"],
        "headline_k": 10,
        "bins": 4,
        "shift_samples": 40,
        "random_draws": 2,
        "bootstrap_replicates": 100,
    },
}


def copy_project(folder: Path) -> Path:
    """Copy what git knows or would know of the project into a repository of its own, with tiny params."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        # Results of the default run stay behind: this project makes its own.
        kept = name.endswith(".gitignore") or name == OWN_IMAGES
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
    for section, changes in TINY.items():
        params[section].update(changes)
    for entry in params["train_classifiers"].values():
        entry.update({"training_images": 1500, "width": 8})
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
