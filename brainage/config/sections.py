"""What the configuration's dataclasses declare: sections, their keys, and how two files merge."""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

Sections = tuple[type[Any], ...]


def _sections_in(hint: Any) -> Sections:
    """The dataclasses that a value of this type may be, in declared order."""
    origin = typing.get_origin(hint)
    if origin is Annotated:
        return _sections_in(typing.get_args(hint)[0])
    if origin in {typing.Union, types.UnionType}:
        return tuple(found for arg in typing.get_args(hint) for found in _sections_in(arg))
    return (hint,) if isinstance(hint, type) and dataclasses.is_dataclass(hint) else ()


def subsections(section: type[Any]) -> dict[str, Sections]:
    """The keys of a section, each with the sections it may hold: several where ``name`` chooses.

    A key with a plain value has none.
    """
    hints = typing.get_type_hints(section, include_extras=True)
    fields = dataclasses.fields(section)
    return {field.name: _sections_in(hints[field.name]) for field in fields if field.init}


def _default_of(section: type[Any], key: str, name: str) -> object:
    """The default of ``name`` in the section that ``key`` holds when it is left out."""
    (field,) = (field for field in dataclasses.fields(section) if field.name == key)
    if field.default_factory is not dataclasses.MISSING:
        return getattr(field.default_factory(), name, None)
    return getattr(field.default, name, None)


def choose(options: Sections, name: object) -> type[Any] | None:
    """The section that ``name`` chooses among several; the only one where there is no choice."""
    if len(options) == 1:
        return options[0]
    for option in options:
        hint = typing.get_type_hints(option).get("name")
        if name in typing.get_args(hint):
            return option
    return None


def with_names(section: type[Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """Name the default kind in sections of several kinds that do not name theirs."""
    named = dict(content)
    for key, options in subsections(section).items():
        value = named.get(key)
        if not isinstance(value, Mapping):
            continue
        if len(options) > 1 and "name" not in value:
            value = {"name": _default_of(section, key, "name"), **value}
        chosen = choose(options, value.get("name")) if options else None
        named[key] = with_names(chosen, value) if chosen else value
    return named


def merge(section: type[Any], base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``over`` on ``base``: sections merge key by key, any other value is replaced.

    A section whose ``name`` chooses another kind replaces the base's: its other keys belong to the
    kind that is gone.
    """
    base = with_names(section, base)
    merged = dict(base)
    keys = subsections(section)
    for key, value in over.items():
        before = base.get(key)
        options = keys.get(key, ())
        if not (options and isinstance(value, Mapping) and isinstance(before, Mapping)):
            merged[key] = value
            continue
        name = value.get("name", before.get("name"))
        other_kind = len(options) > 1 and name != before.get("name")
        chosen = choose(options, name)
        merged[key] = value if other_kind or not chosen else merge(chosen, before, value)
    return merged


def section_at(section: type[Any], content: object, path: tuple[str, ...]) -> type[Any] | None:
    """The section that ``path`` leads to in ``content``, or None where it leads to none."""
    for key in path:
        content = content.get(key) if isinstance(content, Mapping) else None
        name = content.get("name") if isinstance(content, Mapping) else None
        found = choose(subsections(section).get(key, ()), name)
        if found is None:
            return None
        section = found
    return section


def all_paths(section: type[Any], prefix: str = "") -> Iterator[str]:
    """The dotted name of every key below a section, of all kinds where ``name`` chooses."""
    for key, options in subsections(section).items():
        yield prefix + key
        for option in options:
            yield from all_paths(option, f"{prefix}{key}.")


def merge_plain(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``over`` on ``base``, key by key at every level, whatever sections they change."""
    merged = dict(base)
    for key, value in over.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = merge_plain(before, value) if both else value  # type: ignore[arg-type]
    return merged
