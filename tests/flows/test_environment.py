"""State stays in the project, nobody is phoned, and what the user has set stays."""

import getpass
import os
import sys
from pathlib import Path

import httpx
import pytest

from flows.environment import prepare_environment


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which nothing is set, and which is as before after the test."""
    unset = ("PREFECT_", "DVC_", "DO_NOT_TRACK", "GOMP_", "MALLOC_", "GIT_")
    held = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    monkeypatch.setattr(os, "environ", os.environ.copy())
    os.environ.clear()
    os.environ |= {name: value for name, value in held.items() if not name.upper().endswith("_PROXY")}


def test_state_in_the_project_and_nobody_phoned(tmp_path: Path) -> None:
    prepare_environment(tmp_path)
    assert os.environ["PREFECT_HOME"] == str(tmp_path / ".prefect")
    assert os.environ["DVC_SITE_CACHE_DIR"] == str(tmp_path / ".dvc-site-cache")
    assert os.environ["DVC_NO_ANALYTICS"] == os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert os.environ["GOMP_SPINCOUNT"] == "1000"
    assert int(os.environ["MALLOC_TRIM_THRESHOLD_"]) >= int(os.environ["MALLOC_MMAP_THRESHOLD_"]) >= 2**28
    assert "PREFECT_API_URL" not in os.environ


def test_what_is_set_stays_and_git_acts_where_it_stands(tmp_path: Path) -> None:
    kept = {"PREFECT_API_URL": "http://server/api", "PREFECT_HOME": "/elsewhere", "GIT_AUTHOR_NAME": "me"}
    gone = {"GIT_DIR": "/elsewhere", "GIT_CONFIG_COUNT": "1", "GIT_PAGER": "x"}
    os.environ |= {**kept, **gone, "NO_PROXY": "intranet"}
    for _ in range(2):
        prepare_environment(tmp_path)
    assert kept.items() <= os.environ.items()
    assert not gone.keys() & os.environ.keys()
    assert os.environ["NO_PROXY"] == "intranet,127.0.0.1,localhost"
    folders = os.environ["PATH"].split(os.pathsep)
    assert folders[0] == str(Path(sys.executable).parent), "the python of a stage is that of the flow"
    assert folders.count(folders[0]) == 1


PROXIES = {
    "http://proxy:8080": True, "proxy:8080": True, "https://me:secret@proxy": True, "socks5://127.0.0.1:9": True,
    "socks5h://127.0.0.1:9": True, "socks4://127.0.0.1:9": False, "socks://proxy": False, "http://[proxy": False,
    "http://proxy:port": False, "": False,
}  # fmt: skip


@pytest.mark.parametrize("address", PROXIES)
@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
def test_no_proxy_keeps_the_client_from_this_machine(tmp_path: Path, name: str, address: str) -> None:
    """Prefect's client opens one connection for each variable when it starts, and stops if it cannot."""
    os.environ |= {name: address, "NO_PROXY": "10.0.0.0/8, *.intranet, [::1],b\u00fccher.example,,"}
    prepare_environment(tmp_path)
    assert (os.environ.get(name) == address) == PROXIES[address]
    assert os.environ["NO_PROXY"] == "10.0.0.0/8,*.intranet,::1,127.0.0.1,localhost"
    httpx.Client().close()


def test_a_user_id_without_a_name_or_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME"):
        os.environ.pop(name, None)

    def find_nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", find_nobody)
    prepare_environment(tmp_path)
    assert getpass.getuser() == f"user-{os.getuid()}"
    assert Path.home() == tmp_path / ".prefect"
