"""A real browser, for the pages that the project makes; and no repository but that of each test."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from flows.git import without_git

for variable in os.environ.keys() - without_git(os.environ).keys():
    del os.environ[variable]  # tests call git themselves, and may be run by a hook

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium of this machine, for one file of tests at a time.

    Playwright allows no second one beside it, and while it lives an event loop seems to run in this thread: Prefect
    would hand out coroutines that nobody awaits.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail(
            f"no {', '.join(BROWSERS)} on PATH; the tests of pages need one: apt-get install chromium", pytrace=False
        )
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()
