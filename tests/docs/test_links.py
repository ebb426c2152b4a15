"""Links and the navigation, by the files alone; `make docs` checks anchors as well."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md"))
OTHERS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "data_manifests/README.md")
GENERATED = ("reference/", "cards/", "changelog.md", "contributing.md", "results.md")
"""Pages that the build makes (docs/site/generated.py); `make docs` checks links to them."""
TARGET = re.compile(r"(?<!`)\[[^\]\n]+\]\(([^)\s]+)\)")


def local_targets(text: str) -> Iterator[str]:
    """Files that links lead to, without those of other sites and places on the same page."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for address in TARGET.findall(prose):
        path = address.partition("#")[0]
        if path and not re.match(r"[a-z]+:", path):
            yield path


@pytest.mark.parametrize("name", [*PAGES, *OTHERS])
def test_links_lead_to_files(name):
    folder = posixpath.dirname(name)
    missing = []
    for target in local_targets((ROOT / name).read_text(encoding="utf-8")):
        path = posixpath.normpath(posixpath.join(folder, target))
        if not (ROOT / path).exists() and not path.removeprefix("docs/").startswith(GENERATED):
            missing.append(target)
    assert missing == []


def test_a_link_to_nothing_would_be_seen():
    text = "[a](gone.md#x), [b](https://example.org), [c](#here)\n```\n[d](code.md)\n```"
    assert list(local_targets(text)) == ["gone.md"]


def entries(nav: list[Any]) -> Iterator[str]:
    for item in nav:
        for below in [item] if isinstance(item, str) else item.values():
            if isinstance(below, str):
                yield below
            else:
                yield from entries(below)


NAV = list(entries(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))


def test_every_page_is_in_the_navigation():
    pages = {page.removeprefix("docs/") for page in PAGES}
    assert pages - {entry.removesuffix("?") for entry in NAV} == set()


def test_the_navigation_names_no_page_twice():
    assert len(set(NAV)) == len(NAV)
