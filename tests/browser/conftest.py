"""Pages that note what they do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import PAGES


@dataclass
class Opened:
    """A page in the browser, with everything it said and asked for."""

    page: Any
    url: str
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def unfold(self) -> None:
        self.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Every kind of page, written once."""
    folder = tmp_path_factory.mktemp("pages")
    written = {}
    for name, render in PAGES.items():
        written[name] = folder / f"{name}.html"
        written[name].write_text(render(folder), encoding="utf-8")
    return written


@pytest.fixture
def visit(browser, files) -> Iterator[Callable[..., Opened]]:
    """Open a page by its name, in a window of a given width; closed after the test."""
    contexts = []

    def open_page(name: str, width: int = 1280, **options: Any) -> Opened:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, offline=False, **options
        )
        contexts.append(context)
        page = context.new_page()
        opened = Opened(page, files[name].as_uri())
        page.on("console", lambda message: opened.complaints.append(message.text))
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.on("request", lambda request: opened.requests.append(request.url))
        page.goto(opened.url)
        return opened

    yield open_page
    for context in contexts:
        context.close()
