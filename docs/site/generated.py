"""All generated pages of the site: their names and texts."""

from functools import cache
from pathlib import Path

from included import included_pages


@cache
def generated_pages(root: Path) -> dict[str, str]:
    """Make every page that is not written by hand.

    Args:
        root: the repository.
    Returns:
        Text in Markdown for each name, relative to ``docs``.
    """
    return included_pages(root)
