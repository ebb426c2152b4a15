"""All generated pages of the site: their names and texts."""

from pathlib import Path

from command_line import command_line_page
from included import included_pages
from modules import module_pages
from settings import settings_pages


def generated_pages(root: Path) -> dict[str, str]:
    """Make every page that is not written by hand.

    Args:
        root: the repository.
    Returns:
        Text in Markdown for each name, relative to ``docs``.
    """
    command_line = {"reference/command_line.md": command_line_page()}
    return included_pages(root) | command_line | settings_pages() | module_pages(root)
