"""What the stages upstream measured."""

import json
from dataclasses import dataclass
from pathlib import Path

from failure_atlas import claims, metrics
from stages.common.errors import StageError
from stages.common.files import require


@dataclass(frozen=True)
class Metrics(metrics.Metrics):
    """The metrics.json of one stage."""

    path: Path
    stage: str

    def fault(self, what: str) -> Exception:
        """A StageError that names file and stage."""
        return StageError(f"{self.path}: {what}; make it again with: dvc repro {self.stage}")


def read_metrics(folder: Path, stage: str, classifier: str = "") -> Metrics:
    """Read a result folder's metrics.json; StageError that names file and stage if it is missing or damaged."""
    path = require(folder / "metrics.json", stage)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StageError(f"{path}: no JSON ({error}); make it again with: dvc repro {stage}") from error
    if not isinstance(content, dict):
        raise StageError(f"{path}: holds no metrics by name; make it again with: dvc repro {stage}")
    return Metrics(f"{stage}/{classifier}" if classifier else stage, content, path, stage)


def read_areas(folder: Path) -> list[dict[str, str]]:
    """Read areas.csv of compute_curves; StageError if it is missing or of another form."""
    path = require(folder / "areas.csv", "compute_curves")
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return claims.read_areas(lines)
    except ValueError as error:
        raise StageError(f"{path}: {error}; make it again with: dvc repro compute_curves") from error
