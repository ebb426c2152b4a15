"""The reference of Python modules: one page each, which mkdocstrings fills from docstrings."""

import ast
from pathlib import Path

CORE = "reference/core"


def module_pages(root: Path) -> dict[str, str]:
    """Name the modules of the core for mkdocstrings, and list them.

    Args:
        root: the repository.
    Returns:
        Text in Markdown for each page, relative to ``docs``.
    """
    pages: dict[str, str] = {}
    rows = []
    for path in sorted((root / "brainage/core").rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split(
            "\n\n"
        )[0]
        if path.stem == "__init__":
            continue
        name = module.removeprefix("brainage.core.")
        pages[f"{CORE}/{name}.md"] = f"# core.{name}\n\n::: {module}\n"
        rows.append(f"| [`{name}`]({name}.md) | {' '.join(first.split())} |")
    pages[f"{CORE}/index.md"] = "\n".join(
        (
            "# The core",
            "",
            "The method as a library: standard library and torch alone. Modules of",
            "`brainage.core`:",
            "",
            "| module | what |",
            "|---|---|",
            *rows,
            "",
        )
    )
    return pages


def module_navigation(pages: dict[str, str]) -> list[str]:
    """Names of the pages of the core in the order of the navigation, the list of them first."""
    names = sorted(name for name in pages if name.startswith(f"{CORE}/"))
    return [f"{CORE}/index.md", *(name for name in names if name != f"{CORE}/index.md")]
