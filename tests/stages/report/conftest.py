"""A small tree of results, and the page made of it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.report.__main__ import main
from tests import yaml12 as yaml
from tests.stages.report.results_tree import NAMES, write_tree

SECTION = {"dimensions": 2, "max_shift_std": 6.0, "step_std": 1.0, "batch_size": 64}


@pytest.fixture(scope="session")
def results(
    tmp_path_factory, tiny_generator, tiny_population, tiny_classifier, tiny_judge, tiny_ranking, tiny_names
) -> Path:
    """The folder of all results; read only."""
    networks = {
        "generator": tiny_generator, "population": tiny_population, "classifier": tiny_classifier,
        "judge": tiny_judge, "ranking": tiny_ranking, "names": tiny_names
    }  # fmt: skip
    return write_tree(tmp_path_factory.mktemp("results"), networks)


@pytest.fixture
def changed(results, tmp_path) -> Path:
    """A copy of the results that a test may change."""
    shutil.copytree(results, tmp_path / "data")
    return tmp_path / "data"


def name_classifiers(names: tuple[str, ...]) -> dict[str, Any]:
    """The sections of params that say which classifiers are under test."""
    made = "train_classifiers"
    return {"classifiers": dict.fromkeys(names, made), made: {name: {"train_on": "clean"} for name in names}}


@pytest.fixture
def run(tmp_path) -> Callable[..., Path]:
    """A function that makes the page and returns its path."""

    def start(results: Path, out: str = "out", names: tuple[str, ...] = NAMES, **changes: Any) -> Path:
        params = tmp_path / "params.yaml"
        sections = name_classifiers(names) | {
            "rank_dimensions": {"seed": 17, "top_k": 3}, "report": SECTION | changes
        }  # fmt: skip
        params.write_text(yaml.safe_dump(sections), encoding="utf-8")
        main(results, tmp_path / out, params)
        return tmp_path / out / "report.html"

    return start


@pytest.fixture(scope="session")
def page_file(results, tmp_path_factory) -> Path:
    """The page of `results`, made once."""
    folder = tmp_path_factory.mktemp("page")
    params = folder / "params.yaml"
    sections = name_classifiers(NAMES) | {"rank_dimensions": {"seed": 17}, "report": SECTION}
    params.write_text(yaml.safe_dump(sections), encoding="utf-8")
    main(results, folder, params)
    return folder / "report.html"
