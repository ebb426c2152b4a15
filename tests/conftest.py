"""Settings of the whole suite, and the browser that several folders open pages with."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from brainage.environment import prepare_environment

# As the program does before anything imports MLflow, which MONAI does unasked.
prepare_environment()

# Two busy cores are slow at times: an example's duration tells nothing about the code.
settings.register_profile(
    "brainage", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("brainage")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


# Of one module only: as long as it runs, the thread has a running event loop, in which no second
# one can start. A process of the suite comes to several modules that want it.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright; without either the test is skipped."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
