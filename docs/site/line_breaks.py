"""Places where long names in tables may break, so that they do not push the page aside."""

import re

CELL = re.compile(r"<td[^>]*>.*?</td>", re.DOTALL)
CODE = re.compile(r"<code>([^<]{24,})</code>")
BREAK = re.compile(r"(::|[._/,](?=\w))")


def with_line_breaks(html: str) -> str:
    """Let code of more than two dozen characters in cells of tables break behind its joints."""
    return CELL.sub(lambda cell: CODE.sub(_breakable, cell[0]), html)


def _breakable(code: re.Match[str]) -> str:
    return f"<code>{BREAK.sub(lambda joint: joint[0] + '<wbr>', code[1])}</code>"
