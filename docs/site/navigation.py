"""The navigation as it is for the pages that there are."""

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


def with_core(nav: list[Any] | None, pages: list[str]) -> list[Any]:
    """Put the pages of the core's modules where ``reference/core/`` stands.

    Args:
        nav: the ``nav`` of ``mkdocs.yml``.
        pages: names of the pages, in order.
    Returns:
        The same tree with the pages in it.
    """

    def entry(item: Any) -> Any:
        if isinstance(item, str):
            return item
        ((title, below),) = item.items()
        if below == "reference/core/":
            return {title: list(pages)}
        return {title: [entry(one) for one in below]} if isinstance(below, list) else item

    return [entry(item) for item in nav or []]
