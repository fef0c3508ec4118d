"""The result folders as the page reads them: every file that is read leaves its SHA-256."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import read_json, read_table, require
from failure_atlas.decisions.metrics import Metrics
from stages.report.page import Download

METRICS = "metrics.json"
TRAINED = "train_stylegan2"  # in the same: what made the generator, trained or brought
MADE = "classifiers"  # in tables of metrics: the stage that made the classifier, trained or brought
TEXT_COLUMNS = ("scope", "class", "predicted_class", "rival_class", "judge_class", "auditor_class", "method", "budget")


class Results:
    """Reads files by their name below the folder of all results, such as `rank_dimensions/clean/metrics.json`.

    The first part of a name is the stage that makes the file.
    classifiers: those under test, each with the stage that made it.  generator: the folder of the one that was used.
    digests: SHA-256 by name, of every file read.  metrics: the content of every metrics.json read, by name.
    """

    def __init__(self, folder: Path, classifiers: Mapping[str, str], generator: str = TRAINED) -> None:
        self.folder, self.classifiers, self.generator = folder, classifiers, generator
        self.digests: dict[str, str] = {}
        self.metrics: dict[str, Any] = {}

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.folder / name).exists()

    def find(self, folder: str, pattern: str) -> list[str]:
        """Names of the files of a folder that match a pattern, in order."""
        return sorted(f"{folder}/{path.name}" for path in (self.folder / folder).glob(pattern))

    def read(self, name: str) -> bytes:
        """The bytes of a file; StageError that names the stage to run if it is missing."""
        content = require(self.folder / name, _stage(name)).read_bytes()
        self.digests[name] = hashlib.sha256(content).hexdigest()
        return content

    def locate(self, name: str) -> Path:
        """The path of a file or folder that another room's reader opens; its files leave their digests too."""
        path = require(self.folder / name, _stage(name))
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                self.read(file.relative_to(self.folder).as_posix())
        return path

    def read_entries(self, name: str, key: str, keys: Sequence[str], verdicts: Sequence[str]) -> list[dict[str, Any]]:
        """The list `key` of a JSON file; StageError unless all of its entries have these keys and a known verdict."""
        path, held = self.folder / name, read_json(self.locate(name), _stage(name)).get(key)
        if not isinstance(held, list):
            raise StageError(f"{path}: holds no list '{key}'; {_again(name)}")
        for place, entry in enumerate(held, start=1):
            missing = [each for each in keys if not isinstance(entry, dict) or each not in entry]
            if missing:
                raise StageError(f"{path}: entry {place} of '{key}' has no {', '.join(missing)}; {_again(name)}")
            if entry["verdict"] not in verdicts:
                raise StageError(
                    f"{path}: entry {place} of '{key}' has the verdict '{entry['verdict']}'; allowed: "
                    f"{', '.join(verdicts)}; {_again(name)}"
                )
        return held

    def read_metrics(self, place: str) -> Metrics:
        """The metrics of a stage; place: its folder, such as `rank_dimensions/clean`."""
        place = self.generator if place == TRAINED else place
        name = f"{place}/{METRICS}"
        if name not in self.metrics:
            self.metrics[name] = read_json(self.locate(name), _stage(name))
        return Metrics(place, self.metrics[name], self.folder / name, _stage(name))

    def read_metrics_of(self, stage: str, name: str) -> Metrics:
        """What a stage measured of a classifier; stage `MADE`: the one that made it."""
        return self.read_metrics(f"{self.classifiers[name] if stage == MADE else stage}/{name}")

    def read_part(self, stage: str, name: str) -> Metrics:
        """The part of a stage's metrics that is about one classifier, judge or the like."""
        whole = self.read_metrics(stage)
        return Metrics(f"{stage}: {name}", whole.content.get(name, {}), whole.path, stage)

    def read_table(self, name: str, columns: Sequence[str] = (), text: Sequence[str] = TEXT_COLUMNS) -> pd.DataFrame:
        """A CSV with at least these columns; text: columns that are text even where they look like numbers or NaN."""
        path, options = self.locate(name), {"keep_default_na": False, "na_values": [""]}
        return read_table(path, _stage(name), columns, dtype=dict.fromkeys(text, str), **options)

    def offer(self, name: str, words: str = "Numbers") -> Download:
        """A CSV to save; its name tells the folders that it stands in.  words: what it holds."""
        return Download(name.replace("/", "_"), embed(self.read(name), "text/csv"), words)


def embed(content: bytes, kind: str) -> str:
    """Bytes as a data URI; kind: the MIME type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _stage(name: str) -> str:
    return name.split("/")[0]


def _again(name: str) -> str:
    return f"make it again with: dvc repro {_stage(name)}"
