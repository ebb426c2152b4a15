"""Names of the code on a page, as links to their reference."""

import re

NAME = re.compile(r"`brainage\.((?:core)\.[\w.]+)`")


def linked_names(markdown: str) -> str:
    """Turn each full name of something in the core into a cross-reference to it."""
    return NAME.sub(lambda found: f"[`{found[1]}`][brainage.{found[1]}]", markdown)
