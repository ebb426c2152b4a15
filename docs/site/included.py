"""Pages of the repository that lie outside docs/, and the list of result files."""

import json
import posixpath
import re
from pathlib import Path

INCLUDED = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "cards/model.md": "brainage/bundle/demonstration_model/MODEL_CARD.md",
    "cards/sample.md": "data_manifests/open_t1w/README.md",
    "cards/cohort.md": "data_manifests/open_cohort/README.md",
    "reference/manifest.md": "data_manifests/README.md",
}
"""Page of the site: file of the repository that it shows."""
SHOWN = re.compile(r"^<!-- show: (\S+) -->$", re.MULTILINE)
"""Where a page shows a file of the repository, if it is there."""
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def included_pages(root: Path) -> dict[str, str]:
    """Read the files of ``INCLUDED`` for the site, and list the results.

    Args:
        root: the repository.
    Returns:
        Text in Markdown for each page, relative to ``docs``.
    """
    pages = {
        page: for_the_site((root / source).read_text(encoding="utf-8"), source, page)
        for page, source in INCLUDED.items()
    }
    return pages | {"results.md": results_page(root)}


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


def results_page(root: Path) -> str:
    """List the files of measured results with the sections of the log that name them."""
    log = (root / "docs/log.md").read_text(encoding="utf-8")
    rows = []
    folder = root / "docs/results"
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder).as_posix()
        content = json.loads(path.read_text(encoding="utf-8"))
        rows.append(f"| [{name}](results/{name}) | {_about(content)} | {_told(log, name)} |")
    return "\n".join(
        (
            "# Result files",
            "",
            "Numbers behind the [log](log.md), as the commands wrote them (`--json`, or files of a",
            "run). A name ends in the device that it was measured on.",
            "",
            "| file | made by, or holds | told in the log |",
            "|---|---|---|",
            *rows,
            "",
        )
    )


def _about(content: object) -> str:
    """The command that made a file, where it says so; else its first keys."""
    if isinstance(content, dict) and isinstance(content.get("command"), str):
        command = str(content["command"]).replace("|", "\\|")
        return f"`{command}`"
    if isinstance(content, list):
        return f"{len(content)} rows"
    keys = list(content) if isinstance(content, dict) else []
    return ", ".join(f"`{key}`" for key in keys[:4]) + (", …" if len(keys) > 4 else "")


def _told(log: str, name: str) -> str:
    return "yes" if name in log else ""


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
