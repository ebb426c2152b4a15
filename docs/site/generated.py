"""All generated pages of the site: their names and texts."""

from pathlib import Path

from command_line import command_line_page
from included import included_pages
from modules import module_pages
from result_files import results_page
from settings import settings_pages


def generated_pages(root: Path) -> dict[str, str]:
    """Make every page that is not written by hand.

    Args:
        root: the repository.
    Returns:
        Text in Markdown for each name, relative to ``docs``.
    """
    single = {
        "reference/command_line.md": command_line_page(),
        "results.md": results_page(root),
    }
    return included_pages(root) | single | settings_pages() | module_pages(root)
