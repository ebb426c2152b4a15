"""Names of the code on a page, as links to their reference."""

import re
from collections.abc import Collection

NAME = re.compile(r"`brainage\.core\.([A-Za-z]\w*(?:\.[A-Za-z]\w*)*)`")
"""Public names alone: the reference has no others."""


def linked_names(markdown: str, pages: Collection[str]) -> str:
    """Turn each full public name of something in the core into a link to its reference.

    Args:
        markdown: a page at the top of ``docs``.
        pages: names of all pages; a module has one, what is in it a place on it.
    Returns:
        The page with links, whose targets MkDocs checks.
    """

    def link(found: re.Match[str]) -> str:
        name = found[1]
        page = f"reference/core/{name}.md"
        target = f"({page})" if page in pages else f"[brainage.core.{name}]"
        return f"[`core.{name}`]{target}"

    return NAME.sub(link, markdown)
