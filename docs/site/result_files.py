"""The page of result files: what each one was made by, and where the log tells of it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from markdown.extensions.toc import slugify

LIST = "commands.yaml"
INTRODUCTION = (
    "Numbers behind the [log](log.md), as the commands wrote them unless a note says otherwise. A "
    "name ends in the device that it was measured on. `BRAINAGE_DATA` names the folder of the data "
    "sets."
)


def results_page(root: Path) -> str:
    """List the files of measured results with their commands.

    Args:
        root: the repository.
    Returns:
        Text in Markdown of the page ``results.md``.
    Raises:
        ValueError: if a result file has no command in the list, or more than one, or is not there.
    """
    folder = root / "docs/results"
    sections = yaml.safe_load((folder / LIST).read_text(encoding="utf-8"))
    log = (root / "docs/log.md").read_text(encoding="utf-8")
    _check(folder, [pattern for section in sections for pattern in section["files"]])
    lines = ["# Result files", "", INTRODUCTION]
    for section in sections:
        lines += ["", f"## {section['section']}"]
        if "note" in section:
            lines += ["", section["note"].strip()]
        for pattern, entry in section["files"].items():
            names = [path.relative_to(folder).as_posix() for path in sorted(folder.glob(pattern))]
            lines += ["", *_about(names, entry, log)]
    return "\n".join(lines) + "\n"


def _check(folder: Path, patterns: list[str]) -> None:
    listed = [path for pattern in patterns for path in folder.glob(pattern)]
    there = set(folder.rglob("*.json"))
    wrong = there.symmetric_difference(listed) | {path for path in listed if listed.count(path) > 1}
    wrong |= {folder / pattern for pattern in patterns if not list(folder.glob(pattern))}
    if wrong:
        names = ", ".join(sorted(path.relative_to(folder).as_posix() for path in wrong))
        raise ValueError(f"docs/results/{LIST}: expected each result file once, wrong are {names}")


def _about(names: list[str], entry: dict[str, Any], log: str) -> Iterator[str]:
    """Names, command, note and entries of the log."""
    yield ", ".join(f"**[{name}](results/{name})**" for name in names)
    yield ""
    yield f"```sh\n{entry['command'].strip()}\n```"
    told = "; ".join(_told(log, names))
    note = entry.get("note", "").strip()
    yield ""
    yield " ".join(part for part in (note, f"Log: {told}." if told else "") if part)


def _told(log: str, names: list[str]) -> Iterator[str]:
    """Links to the entries of the log that name a file, or the folder of several."""
    wanted = names if len(names) == 1 else [f"results/{names[0].partition('/')[0]}`"]
    for section in re.split(r"^## ", log, flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0].replace("`", "")
        if any(name in section for name in wanted):
            yield f"[{title}](log.md#{slugify(title, '-')})"
