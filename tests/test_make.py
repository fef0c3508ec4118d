"""`make test` on machines without a browser."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import ROOT

PAGE_TEST = """
import pytest
@pytest.mark.parametrize("n", range(3))
def test_page(browser, n):
    assert browser.version
"""


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("user", "apt_get", "calls"),
    [
        (0, "true", ["apt-get update", "apt-get install --yes --no-install-recommends chromium"]),
        (0, "false", ["apt-get update"]),
        (1000, "true", []),
        (0, "", []),
    ],
    ids=["root", "no network", "no root", "no apt-get"],
)
def test_chromium_is_installed_where_one_may(tmp_path: Path, user: int, apt_get: str, calls: list[str]) -> None:
    """The real Makefile, with stand-ins for all that it calls, which write down their calls."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt", ".venv/bin/ruff", ".venv/bin/mypy", ".venv/bin/python"):
        write_program(tmp_path / name, 'echo "$(basename $0) $*" >> calls')
    (tmp_path / ".venv/.installed").touch()
    machine = tmp_path / "machine"
    write_program(machine / "id", f"echo {user}")
    if apt_get:
        write_program(machine / "apt-get", f'echo "apt-get $*" >> calls; {apt_get}')
    for name in ("sh", "basename", "make"):
        (machine / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        ["make", "test"], cwd=tmp_path, env={"PATH": str(machine)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = (tmp_path / "calls").read_text().splitlines()
    assert [call for call in told if call.startswith("apt-get")] == calls
    assert told[-1].startswith("python -m pytest")
    (tmp_path / "calls").unlink()
    write_program(machine / "google-chrome", "")
    subprocess.run(["make", "test"], cwd=tmp_path, env={"PATH": str(machine)}, capture_output=True, check=True)
    assert "apt-get" not in (tmp_path / "calls").read_text()


@pytest.mark.parametrize(
    ("stand_in", "ci", "code"), [("", "", 0), ("", "true", 1), ("echo 'this needs a snap' >&2; exit 1", "false", 0)]
)
def test_without_a_browser_one_line_says_so(tmp_path: Path, stand_in: str, ci: str, code: int) -> None:
    (tmp_path / "test_page.py").write_text(PAGE_TEST)
    (tmp_path / "bin").mkdir()
    if stand_in:
        write_program(tmp_path / "bin/chromium", stand_in)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml"), "test_page.py"],
        cwd=tmp_path, env={**os.environ, "PATH": str(tmp_path / "bin"), "CI": ci, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout
    word = "ERROR" if code else "SKIPPED [3]"
    lines = [line for line in done.stdout.splitlines() if line.startswith(word)]
    assert all("the tests of pages need Chromium: apt-get install chromium" in line for line in lines)
    assert len(lines) == (3 if code else 1), done.stdout
