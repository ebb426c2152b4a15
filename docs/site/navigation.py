"""The navigation, without the entries whose pages do not exist."""

from collections.abc import Set as AbstractSet
from typing import Any


def with_pages_that_exist(nav: list[Any] | None, pages: AbstractSet[str]) -> list[Any]:
    """Leave out optional entries; everything else stays, so that MkDocs can refuse it.

    An entry is optional if its page's name ends in ``?``, e.g. ``Tables: paper_tables.md?``.

    Args:
        nav: the ``nav`` of ``mkdocs.yml``.
        pages: names of the pages that exist, relative to ``docs``.
    Returns:
        The same tree without marks.
    """
    kept = (_entry(item, pages) for item in nav or [])
    return [item for item in kept if item]


def _entry(item: Any, pages: AbstractSet[str]) -> Any:
    if isinstance(item, str):
        page = item.removesuffix("?")
        return page if page == item or page in pages else None
    ((title, below),) = item.items()
    inner = with_pages_that_exist(below, pages) if isinstance(below, list) else _entry(below, pages)
    return {title: inner} if inner else None
