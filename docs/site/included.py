"""Pages of the repository that lie outside docs/."""

import posixpath
import re
from pathlib import Path

INCLUDED = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "cards/model.md": "brainage/bundle/demonstration_model/MODEL_CARD.md",
    "cards/sample.md": "data_manifests/open_t1w/README.md",
    "cards/cohort.md": "data_manifests/open_cohort/README.md",
    "cards/freesurfer_tables.md": "data_manifests/freesurfer_tables/README.md",
    "reference/manifest.md": "data_manifests/README.md",
}
"""Page of the site: file of the repository that it shows."""
SHOWN = re.compile(r"^<!-- show: (\S+) -->$", re.MULTILINE)
"""Where a page shows a file of the repository, if it is there."""
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def included_pages(root: Path) -> dict[str, str]:
    """Read the files of ``INCLUDED`` for the site.

    Args:
        root: the repository.
    Returns:
        Text in Markdown for each page, relative to ``docs``.
    """
    return {
        page: for_the_site((root / source).read_text(encoding="utf-8"), source, page)
        for page, source in INCLUDED.items()
    }


def for_the_site(text: str, source: str, page: str) -> str:
    """Make links that start from a file of the repository start from a page of the site.

    What the site has no page for keeps its words and loses its link.

    Args:
        text: Markdown of the file.
        source: name of the file, relative to the repository.
        page: name of the page, relative to ``docs``.
    Returns:
        Markdown of the page.
    """
    pages = {shown: name for name, shown in INCLUDED.items()} | {"README.md": "index.md"}

    def link(found: re.Match[str]) -> str:
        words, address = found.groups()
        target, _, anchor = address.partition("#")
        if re.match(r"[a-z]+:", address) or not target:
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        shown = path.removeprefix("docs/") if path.startswith("docs/") else pages.get(path)
        if shown is None:
            return words
        relative = posixpath.relpath(shown, posixpath.dirname(page) or ".")
        return f"[{words}]({relative}{'#' + anchor if anchor else ''})"

    return LINK.sub(link, text)


def with_shown_files(markdown: str, root: Path) -> str:
    """Put files of the repository where a page asks for them; one that does not exist is left out.

    Args:
        markdown: the page, with lines like ``<!-- show: scripts/x.sh -->``.
        root: the repository.
    Returns:
        The page with each file's name and text.
    """

    def block(found: re.Match[str]) -> str:
        path = root / found[1]
        if not path.is_file():
            return ""
        return f"`{found[1]}`:\n\n```sh\n{path.read_text(encoding='utf-8').rstrip()}\n```"

    return SHOWN.sub(block, markdown)
