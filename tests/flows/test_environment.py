"""State stays in the project, nobody is phoned, and what the user has set stays."""

import os
import sys
from pathlib import Path

import pytest

from flows.environment import prepare_environment


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("PREFECT_", "DVC_")) or name.upper() in ("NO_PROXY", "DO_NOT_TRACK"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(os, "environ", os.environ.copy())


@pytest.mark.usefixtures("bare")
def test_state_in_the_project_and_nobody_phoned(tmp_path: Path) -> None:
    prepare_environment(tmp_path)
    assert os.environ["PREFECT_HOME"] == str(tmp_path / ".prefect")
    assert os.environ["DVC_SITE_CACHE_DIR"] == str(tmp_path / ".dvc-site-cache")
    assert os.environ["DVC_NO_ANALYTICS"] == os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert os.environ["GOMP_SPINCOUNT"] == "1000"
    assert int(os.environ["MALLOC_TRIM_THRESHOLD_"]) >= int(os.environ["MALLOC_MMAP_THRESHOLD_"]) >= 2**28
    assert "PREFECT_API_URL" not in os.environ


@pytest.mark.usefixtures("bare")
def test_what_is_set_stays(tmp_path: Path) -> None:
    os.environ |= {"PREFECT_API_URL": "http://server/api", "PREFECT_HOME": "/elsewhere", "NO_PROXY": "intranet"}
    prepare_environment(tmp_path)
    prepare_environment(tmp_path)
    assert os.environ["PREFECT_API_URL"] == "http://server/api"
    assert os.environ["PREFECT_HOME"] == "/elsewhere"
    assert os.environ["NO_PROXY"] == "intranet,127.0.0.1,localhost"


@pytest.mark.usefixtures("bare")
def test_python_of_a_stage_is_the_python_of_the_flow(tmp_path: Path) -> None:
    prepare_environment(tmp_path)
    prepare_environment(tmp_path)
    folders = os.environ["PATH"].split(os.pathsep)
    assert folders[0] == str(Path(sys.executable).parent)
    assert folders.count(folders[0]) == 1
