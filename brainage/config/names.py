"""Names that a configuration gives to runs, arms and candidates."""

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


def is_name(text: str) -> bool:
    """Whether it has 1 to 64 letters of ASCII, digits, '.', '_' and '-', the first no sign."""
    return _NAME.match(text) is not None


def is_folder_name(text: str) -> bool:
    """Whether a folder can have the name everywhere: some systems drop a dot at the end."""
    return is_name(text) and not text.endswith(".")
