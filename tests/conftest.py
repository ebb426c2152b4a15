"""Settings of the whole suite, and the browser that several folders open pages with."""

import hashlib
import pickle
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from brainage.environment import prepare_environment
from tests.shared import made_once

# As the program does before anything imports MLflow, which MONAI does unasked.
prepare_environment()

# Two busy cores are slow at times: an example's duration tells nothing about the code.
settings.register_profile(
    "brainage", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("brainage")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ABOUT_REGISTRATION = {
    "test_registration", "test_pipeline", "test_template_extraction", "test_invariance",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _registrations_once(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """The same volume is registered once in each run of the suite: it is what takes the time.

    Modules that are about registration, and processes that tests start, compute every one.
    """
    if request.module.__name__.rpartition(".")[2] in ABOUT_REGISTRATION:
        yield
        return
    from brainage.preprocess import registration, template_extraction

    register = registration.register_linear

    def once(moving_XYZ: Any, moving_affine: Any, **options: Any) -> Any:
        content = pickle.dumps((moving_XYZ, moving_affine, sorted(options.items())))
        name = f"registration-{hashlib.sha256(content).hexdigest()[:32]}"
        return made_once(
            tmp_path_factory, name, lambda _: register(moving_XYZ, moving_affine, **options)
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registration, "register_linear", once)
        patch.setattr(template_extraction, "register_linear", once)
        yield


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
