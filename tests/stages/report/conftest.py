"""A small tree of results, and the page made of it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.report.__main__ import main
from tests import yaml12 as yaml
from tests.stages.report.results_tree import NAMES, write_tree
from tests.stages.running import demanding_noise

SECTION = {"dimensions": 2, "max_shift_std": 6.0, "step_std": 1.0, "batch_size": 50}


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


@pytest.fixture(scope="session")
def run() -> Callable[..., Path]:
    """A function that makes the page in a folder and returns its path; changes: of the section `report`."""

    def start(results: Path, out: Path, **changes: Any) -> Path:
        made, params = "train_classifiers", out.parent / "params.yaml"
        sections = {"classifiers": dict.fromkeys(NAMES, made), made: {name: {"train_on": "clean"} for name in NAMES}}
        sections |= {"rank_dimensions": {"seed": 17, "top_k": 3}, "report": SECTION | changes}
        params.write_text(yaml.safe_dump(sections), encoding="utf-8")
        with demanding_noise():
            main(results, out, params)
        return out / "report.html"

    return start


@pytest.fixture(scope="session")
def page_file(results, run, tmp_path_factory) -> Path:
    """The page of `results`, made once."""
    return run(results, tmp_path_factory.mktemp("page") / "out")
