"""What all pages share: one self-contained HTML file from a template, a style sheet and scripts."""

from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from brainage.errors import RunFolderError
from brainage.reporting.formatting import FILTERS

TEMPLATES = "templates"


def page_environment() -> Environment:
    """Templates that escape what they are given and refuse what they are not."""
    environment = Environment(
        loader=PackageLoader("brainage.reporting", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment


def verbatim(*names: str) -> Markup:
    """Style sheets or scripts of ours, which go into the page as they are."""
    folder = resources.files("brainage.reporting") / TEMPLATES
    text = "\n".join((folder / name).read_text(encoding="utf-8") for name in names)
    return Markup(text)  # noqa: S704


def write_page(page: str, path: Path) -> None:
    """Write a page; it appears at once or not at all.

    Raises:
        RunFolderError: if the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Names of files are bytes; those that are no UTF-8 are shown with a question mark.
            part.write_bytes(page.encode("utf-8", "replace"))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be written: {error.strerror}") from error
