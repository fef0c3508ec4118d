"""What the stages upstream measured, and what of it claims and criteria name."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import read_json, require
from failure_atlas.decisions import claims
from failure_atlas.decisions.acceptance import Criterion
from failure_atlas.decisions.metrics import Metrics, find_estimate
from failure_atlas.statistics.estimates import Estimate


def read_metrics(folder: Path, stage: str, classifier: str = "") -> Metrics:
    """Read a result folder's metrics.json; StageError that names file and stage if it is missing or damaged."""
    path = folder / "metrics.json"
    return Metrics(f"{stage}/{classifier}" if classifier else stage, read_json(path, stage), path, stage)


def read_areas(folder: Path) -> list[dict[str, str]]:
    """Read areas.csv of compute_curves; StageError if it is missing or of another form."""
    path = require(folder / "areas.csv", "compute_curves")
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return claims.read_areas(lines)
    except ValueError as error:
        raise StageError(f"{path}: {error}; make it again with: dvc repro compute_curves") from error


def name_folders(results: Sequence[Path]) -> dict[str, Path]:
    """The folders that criteria may name: `STAGE`, or `STAGE/CLASSIFIER` where a stage has one for each classifier.

    results: result folders of stages.  A folder without metrics.json of its own or inside is left under its own name.
    """
    folders: dict[str, Path] = {}
    for folder in results:
        entries = sorted(path.parent for path in folder.glob("*/metrics.json"))
        folders |= {f"{folder.name}/{entry.name}": entry for entry in entries} or {folder.name: folder}
    return folders


def read_measures(criteria: Sequence[Criterion], folders: Mapping[str, Path], params: Path) -> dict[str, Estimate]:
    """What was measured, by the criterion's id; folders: result folders by the names that criteria call them.

    Raises StageError that names the criterion's key, what it held and what is there.
    """
    read: dict[str, Metrics] = {}
    found = {}
    for index, criterion in enumerate(criteria):
        place = f"{params}: acceptance.criteria.{index}.metric ({criterion.id}): got '{criterion.metric}'"
        if criterion.folder not in folders:
            raise StageError(f"{place}; allowed before the colon: {', '.join(folders)} (--results)")
        if criterion.folder not in read:
            stage, _, entry = criterion.folder.partition("/")
            read[criterion.folder] = read_metrics(folders[criterion.folder], stage, entry)
        metrics = read[criterion.folder]
        try:
            found[criterion.id] = find_estimate(metrics.content, criterion.key)
        except KeyError as error:
            raise StageError(f"{place}; {metrics.path} holds no such key, there: {error.args[0]}") from error
        except TypeError as error:
            raise StageError(f"{place}; {metrics.path} holds no number there but {error}") from error
    return found
