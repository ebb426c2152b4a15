"""The built site, where MkDocs is installed: strict, and whole when it is read from the disk."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PHONE = 390
WIDTH = "() => document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The site's folder, and the finished build. With --quiet it would not count warnings."""
    if not importlib.util.find_spec("material"):
        pytest.skip("needs the extra docs: make docs")
    site = tmp_path_factory.mktemp("built") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return site, done


def test_the_site_builds_without_a_warning(built):
    site, done = built
    said = (done.stdout + done.stderr).splitlines()
    assert (done.returncode, [line for line in said if not line.startswith("INFO")]) == (0, [])
    assert (site / "reference/core/leaders.html").is_file()
    assert "select_leaders" in (site / "method_map.html").read_text(encoding="utf-8")


@pytest.mark.browser
def test_search_works_from_the_disk_and_nothing_is_fetched(built, browser):
    page = browser.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((built[0] / "index.html").as_uri())
    page.fill(".md-search__input", "leaders")
    page.wait_for_selector(".md-search-result__item", state="attached", timeout=60_000)
    page.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [PHONE, 1280])
@pytest.mark.parametrize("name", ["index", "method_map", "reference/settings", "log"])
def test_no_page_is_wider_than_its_window(built, browser, name, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto((built[0] / f"{name}.html").as_uri())
    found = page.evaluate(WIDTH)
    page.close()
    assert found <= width
