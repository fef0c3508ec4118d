"""A real browser, for the pages that the project makes; no repository but that of each test; tests side by side."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from flows.git import without_git

for variable in os.environ.keys() - without_git(os.environ).keys():
    del os.environ[variable]  # tests call git themselves, and may be run by a hook

SIDE_BY_SIDE = "PYTEST_XDIST_WORKER" in os.environ
if SIDE_BY_SIDE:  # as many processes as cores: a second thread of each only waits
    os.environ.setdefault("OMP_NUM_THREADS", "1")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")  # Makefile's, too
WAY_OUT = "the tests of pages need Chromium: apt-get install chromium, or make test as root, which does it"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, one process takes a file, or a folder whose tests share costly fixtures.

    Slow ones come first and the smallest last, so that neither process waits long for the other at the end.
    """
    if SIDE_BY_SIDE:
        shared = ("stages", "flows")
        groups = {item: item.path.parent.name if item.path.parts[-3] in shared else item.path.stem for item in items}
        sizes, slow = Counter(groups.values()), {groups[item] for item in items if item.get_closest_marker("slow")}
        for item, group in groups.items():
            item.add_marker(pytest.mark.xdist_group(group))
        items.sort(key=lambda item: (groups[item] not in slow, -sizes[groups[item]]))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium of this machine, for one file of tests at a time; without one, these tests are skipped.

    Where CI is set that is an error. Playwright allows no second one beside it, and while it lives an event loop
    seems to run in this thread: Prefect would hand out coroutines that nobody awaits.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        try:
            if found is None:
                raise Error(f"no {', '.join(BROWSERS)} on PATH")
            opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except Error as error:  # a stand-in that asks for a snap is no browser either
            give_up = pytest.skip if os.environ.get("CI", "").lower() in ("", "0", "false") else pytest.fail
            give_up(f"{error.message.splitlines()[0]}; {WAY_OUT}")
        yield opened
        opened.close()
