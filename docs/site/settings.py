"""The reference of all settings, read from the dataclasses that own them."""

import ast
import dataclasses
import inspect
import json
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from brainage.config.compare import CompareConfig
from brainage.config.images import ImagesConfig
from brainage.config.plan import PlanConfig
from brainage.config.run import RunConfig
from brainage.config.speed import SpeedConfig
from brainage.config.tables import TableConfig

INTRODUCTIONS = {
    "settings.md": """# Settings of a run

What a configuration of `brainage train` may say and `--set KEY=VALUE` may change, e.g.
`--set trainer.epochs=3`. A key that is unknown, or a value of another type or outside its range,
is refused before anything runs. The section `preprocess` by itself is what a configuration of
`brainage preprocess` says.
""",
    "other_settings.md": """# Settings of other commands

Each of these is one kind of configuration file. Sections that a run has, too, are described under
[Settings of a run](settings.md).
""",
}
FOLDER = "reference"

WORDS: dict[Any, str] = {
    bool: "`true`, `false`",
    float: "number",
    int: "whole number",
    str: "text",
    type(None): "`null`",
}
"""What may be written for a simple type."""

Keys = tuple[str, ...]
Places = dict[type, str]


def settings_pages() -> dict[str, str]:
    """Describe the settings of runs on one page, those of the other commands on another."""
    roots: tuple[tuple[str, str, type], ...] = (
        ("settings.md", "train", RunConfig),
        ("other_settings.md", "compare", CompareConfig),
        ("other_settings.md", "benchmark images", ImagesConfig),
        ("other_settings.md", "benchmark speed", SpeedConfig),
        ("other_settings.md", "plan", PlanConfig),
        ("other_settings.md", "tables", TableConfig),
    )
    pages = dict(INTRODUCTIONS)
    places: Places = {}
    for page, command, root in roots:
        places[root] = f"{page}#{command.replace(' ', '-')}"
        for keys, kind in _below(root):
            anchor = "-".join((command.replace(" ", "-"), *keys, *_choice(kind)))
            places.setdefault(kind, f"{page}#{anchor.lower()}")
    described: set[type] = set()
    for page, command, root in roots:
        pages[page] += "\n" + _section(root, f"brainage {command}", (), places)
        for keys, kind in _below(root):
            if kind not in described and places[kind].startswith(places[root] + "-"):
                described.add(kind)
                pages[page] += "\n" + _section(kind, _title(keys, kind), keys, places)
    return {f"{FOLDER}/{page}": text for page, text in pages.items()}


def _title(keys: Keys, kind: type) -> str:
    return ", ".join((f"`{'.'.join(keys)}`", *(f"name: `{name}`" for name in _choice(kind))))


def _section(kind: type, title: str, keys: Keys, places: Places) -> str:
    """Heading, docstring and table of one dataclass."""
    told = inspect.cleandoc(kind.__doc__ or "").partition("\n\nSource")[0]
    anchor = places[kind].partition("#")[2]
    lines = [f"{'###' if keys else '##'} {title} {{#{anchor}}}", "", _literal(told), ""]
    lines += ["| key | values | default | what |", "|---|---|---|---|"]
    texts, hints = field_texts(kind), typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        values = _values(hints[field.name], places)
        words = (f"`{field.name}`", values, _default(field), _literal(texts.get(field.name, "")))
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join((*lines, ""))


def field_texts(kind: type) -> dict[str, str]:
    """Find the docstrings that stand below the fields of a dataclass and its bases.

    Args:
        kind: the dataclass.
    Returns:
        The text of each field that has one, in one line.
    """
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                found[ast.unparse(field.target)] = " ".join(
                    str(ast.literal_eval(text.value)).split()
                )
    return found


def _below(kind: type, keys: Keys = ()) -> Iterator[tuple[Keys, type]]:
    """All dataclasses below one, each with the keys that lead to it."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        for middle, inner in _dataclasses_in(hints[field.name]):
            yield (*keys, field.name, *middle), inner
            yield from _below(inner, (*keys, field.name, *middle))


def _dataclasses_in(hint: Any) -> Iterator[tuple[Keys, type]]:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        yield (), hint
    origin = typing.get_origin(hint)
    middle = ("NAME",) if isinstance(origin, type) and issubclass(origin, Mapping) else ()
    for inner in typing.get_args(hint):
        for keys, kind in _dataclasses_in(inner):
            yield (*middle, *keys), kind


def _choice(kind: type) -> tuple[str, ...]:
    """The value of ``name`` that chooses this kind among several; nothing if it is the only one."""
    hint = typing.get_type_hints(kind).get("name")
    values = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
    return (str(values[0]),) if len(values) == 1 else ()


def _values(hint: Any, places: Places) -> str:
    """What may be written for a type, in words."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return ", ".join(f"`{_yaml(value)}`" for value in inner)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(dict.fromkeys(_values(one, places) for one in inner))
    if hint in places:
        return f"[{''.join(_choice(hint)) or 'section'}]({places[hint]})"
    sections = "".join(
        dict.fromkeys(f" ([section]({places[one]}))" for one in inner if one in places)
    )
    if origin in {tuple, list, Sequence}:
        return f"list{sections}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"names and values{sections}"
    return WORDS.get(hint, "path" if _is_path(hint) else "any")


def _is_path(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, PurePath)


def _default(field: "dataclasses.Field[Any]") -> str:
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    elif field.default is not dataclasses.MISSING:
        value = field.default
    else:
        return "required"
    return "" if dataclasses.is_dataclass(value) else f"`{_yaml(value)}`"


def _yaml(value: object) -> str:
    if isinstance(value, tuple | frozenset | list):
        return "[" + ", ".join(_yaml(one) for one in value) + "]"
    return value if isinstance(value, str) and value else json.dumps(value, default=str)


def _literal(text: str) -> str:
    """Docstring text as Markdown: its double backquotes are code, all else is literal."""
    parts = text.split("``")
    for index in range(0, len(parts), 2):
        for mark in ("\\", "|", "*", "_", "<", "["):
            parts[index] = parts[index].replace(mark, "\\" + mark)
    joined = "".join(f"`{part}`" if index % 2 else part for index, part in enumerate(parts))
    return "\n\n".join(" ".join(one.split()) for one in joined.split("\n\n"))
