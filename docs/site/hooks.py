"""What MkDocs calls while it builds the site: generated pages, navigation, the check of the result.

Pages that repeat something kept elsewhere (the command line, settings, cards, the changelog) are
made from it at every build and lie nowhere in the repository.
"""

import logging
from pathlib import Path

from checks import fetched_from_elsewhere
from generated import generated_pages
from included import with_shown_files
from line_breaks import with_line_breaks
from method_links import linked_names
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from modules import module_navigation
from navigation import with_core, with_pages_that_exist

log = logging.getLogger("mkdocs.hooks.brainage")
ROOT = Path(__file__).resolve().parents[2]

_generated: dict[str, str] = {}
"""The generated pages of this build."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Complete the navigation: pages of the core come in, pages that do not exist go."""
    names = {
        path.relative_to(config.docs_dir).as_posix() for path in Path(config.docs_dir).rglob("*.md")
    }
    _generated.clear()
    _generated.update(generated_pages(ROOT))
    nav = with_core(config.nav, module_navigation(_generated))
    config.nav = with_pages_that_exist(nav, names | _generated.keys())
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name, text in _generated.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_others: object) -> str:
    """Show files where a page asks for them; link names on the page about the method."""
    shown = with_shown_files(markdown, ROOT)
    return linked_names(shown, _generated) if page.file.src_uri == "method_map.md" else shown


def on_page_content(html: str, **_others: object) -> str:
    """Let long names in tables break."""
    return with_line_breaks(html)


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site that a reader's browser would fetch something from the network for."""
    for found in fetched_from_elsewhere(Path(config.site_dir)):
        log.warning("%s", found)
