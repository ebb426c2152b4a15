"""What a built page would fetch from the network when it is looked at."""

import re
from html.parser import HTMLParser
from pathlib import Path

FETCHED = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "img": ("src", "srcset"),
    "input": ("src",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "video": ("src", "poster"),
}
"""Attributes that a browser follows by itself; of ``link`` see ``RELATIONS``."""
RELATIONS = {
    "dns-prefetch",
    "icon",
    "modulepreload",
    "preconnect",
    "prefetch",
    "preload",
    "stylesheet",
}
"""Kinds of ``link`` that a browser follows by itself."""
ELSEWHERE = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
IN_STYLES = re.compile(r"(?:url\(|@import)\s*['\"]?\s*((?:https?:)?//[^'\")\s]*)", re.IGNORECASE)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        names = FETCHED.get(tag, ())
        if tag == "link" and RELATIONS & set(values.get("rel", "").lower().split()):
            names = ("href",)
        found = [values[name] for name in names if ELSEWHERE.match(values.get(name, ""))]
        self.found += [f"{tag}: {value}" for value in found]


def fetched_by_page(html: str) -> list[str]:
    """Tag and address of everything that a page fetches from another place than the site."""
    page = _Page()
    page.feed(html)
    return page.found + [f"style: {address}" for address in IN_STYLES.findall(html)]


def fetched_from_elsewhere(site: Path) -> list[str]:
    """A line for each address outside the site that its pages and styles fetch."""
    lines = []
    for path in sorted((*site.rglob("*.html"), *site.rglob("*.css"))):
        text = path.read_text(encoding="utf-8")
        styles = [f"style: {address}" for address in IN_STYLES.findall(text)]
        found = fetched_by_page(text) if path.suffix == ".html" else styles
        lines += [f"{path.relative_to(site).as_posix()} fetches {what}" for what in found]
    return lines
