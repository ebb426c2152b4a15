"""Names of the code on a page, as links to their reference."""

import re

NAME = re.compile(r"`brainage\.(core(?:\.[A-Za-z]\w*)+)`")
"""Public names alone: the reference has no others."""


def linked_names(markdown: str) -> str:
    """Turn each full public name of something in the core into a cross-reference to it."""
    return NAME.sub(lambda found: f"[`{found[1]}`][brainage.{found[1]}]", markdown)
