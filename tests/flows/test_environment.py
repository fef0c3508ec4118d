"""State stays in the project, nobody is phoned, and what the user has set stays."""

import getpass
import os
import sys
from pathlib import Path

import httpx
import pytest

from flows.environment import prepare_environment


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("PREFECT_", "DVC_")) or name.upper().endswith("_PROXY") or name == "DO_NOT_TRACK":
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


@pytest.mark.usefixtures("bare")
def test_git_acts_where_it_stands(tmp_path: Path) -> None:
    os.environ |= {"GIT_DIR": "/elsewhere", "GIT_CONFIG_COUNT": "1", "GIT_PAGER": "x", "GIT_AUTHOR_NAME": "me"}
    prepare_environment(tmp_path)
    assert {name for name in os.environ if name.startswith("GIT_")} - {"GIT_SSL_CAINFO"} == {"GIT_AUTHOR_NAME"}


PROXIES = {
    "http://proxy:8080": True, "proxy:8080": True, "https://me:secret@proxy": True, "socks5://127.0.0.1:9": True,
    "socks5h://127.0.0.1:9": True, "socks4://127.0.0.1:9": False, "socks://proxy": False, "http://[proxy": False,
    "http://proxy:port": False, "": False,
}  # fmt: skip


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("address", PROXIES)
@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
def test_no_proxy_keeps_the_client_from_this_machine(tmp_path: Path, name: str, address: str) -> None:
    """Prefect's client opens one connection for each variable when it starts, and stops if it cannot."""
    os.environ |= {name: address, "NO_PROXY": "10.0.0.0/8, *.intranet, [::1],b\u00fccher.example,,"}
    prepare_environment(tmp_path)
    assert (os.environ.get(name) == address) == PROXIES[address]
    assert os.environ["NO_PROXY"] == "10.0.0.0/8,*.intranet,::1,127.0.0.1,localhost"
    httpx.Client().close()


@pytest.mark.usefixtures("bare")
def test_a_user_id_without_a_name_or_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME"):
        os.environ.pop(name, None)

    def find_nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", find_nobody)
    prepare_environment(tmp_path)
    assert getpass.getuser() == f"user-{os.getuid()}"
    assert Path.home() == tmp_path / ".prefect"
