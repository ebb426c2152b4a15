"""Turn plain keys and values into dataclasses; every problem is told in the user's words."""

import copy
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, reduce
from operator import getitem
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from brainage.config.sections import all_paths, section_at, subsections, with_names
from brainage.errors import ConfigError

T = TypeVar("T")
Location = tuple[str | int, ...]

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "keys and values",
    "dataclass_type": "keys and values",
    "union_tag_not_found": "keys and values with a name",
    "model_attributes_type": "keys and values",
    "none_required": "null",
}
_NAMED_FIELD = re.compile(r"([A-Za-z_]\w*): ")


@cache
def _made_adapter(section: type[Any]) -> TypeAdapter[Any]:
    """Making one takes longer than everything else here."""
    return TypeAdapter(section)


def _adapter(section: type[T]) -> TypeAdapter[T]:
    return _made_adapter(cast("Any", section))


def validate(section: type[T], content: Mapping[str, Any]) -> T:
    """Build a section from plain keys and values.

    Types are strict: no text or truth value for a number, but a whole number where any number
    will do. Unknown keys are refused at every level.

    Raises:
        ConfigError: lists all problems, each after the path of its key.
    """
    content = with_names(section, content)
    problems = list(_not_plain(content, ()))
    if not problems:
        built, details = _build(section, content)
        if built is not None:
            return built
        problems = [
            _tell(section, content, detail) for detail in _with_masked(section, content, details)
        ]
    raise ConfigError("; ".join(problems))


def _build(section: type[T], content: Mapping[str, Any]) -> tuple[T | None, list[ErrorDetails]]:
    try:
        # JSON, because pydantic's strict mode takes keys and values for a dataclass, lists for
        # tuples and text for paths only from JSON.
        return _adapter(section).validate_json(json.dumps(content), strict=True), []
    except ValidationError as error:
        return None, error.errors()


def _with_masked(
    section: type[Any], content: Mapping[str, Any], details: list[ErrorDetails]
) -> list[ErrorDetails]:
    """The problems together with those that an unknown key beside them kept from being found."""
    unknown = [detail for detail in details if detail["type"] == "unexpected_keyword_argument"]
    if not unknown:
        return details
    known = copy.deepcopy(dict(content))
    for detail in unknown:
        *parents, key = _key_path(content, detail["loc"], last_is_absent=False)
        del reduce(getitem, parents, cast("Any", known))[key]
    return [*unknown, *_build(section, known)[1]]


def to_plain(config: object) -> dict[str, Any]:
    """The opposite of ``validate``: keys and values of plain types, every default written out."""
    plain: dict[str, Any] = _adapter(type(config)).dump_python(config, mode="json")
    return plain


def _not_plain(value: object, path: tuple[str, ...]) -> Iterator[str]:
    """Values that no key of a configuration takes."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                yield f"{_dotted((*path, str(key)))}: expected text as a key, got {shown(key)}"
            else:
                yield from _not_plain(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _not_plain(inner, (*path, str(index)))
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{_dotted(path)}: expected a finite number, got {shown(value)}"
    elif not isinstance(value, str | int | float | bool | None):
        yield f"{_dotted(path)}: expected a plain value, got {shown(value)}"


def shown(value: object) -> str:
    """A value as the user wrote it, shortened."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _dotted(path: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in path)


def _key_path(content: Any, location: Location, *, last_is_absent: bool) -> Location:
    """Pydantic's location without the names of types, which are no keys of the content."""
    path: list[str | int] = []
    for index, part in enumerate(location):
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            if not (last_is_absent and index == len(location) - 1):
                continue
        path.append(part)
    return tuple(path)


def _tell(section: type[Any], content: Mapping[str, Any], detail: ErrorDetails) -> str:
    """One problem as ``key.path: expected ..., got ...``."""
    kind = detail["type"]
    path = _key_path(content, detail["loc"], last_is_absent=kind == "missing")
    where = _dotted(path) or "configuration"
    if kind == "unexpected_keyword_argument":
        return f"{where}: unknown key, {_hint(section, content, path)}"
    if kind == "value_error":
        return _out_of_range(section, content, path, str(detail["ctx"]["error"]))
    if kind == "union_tag_invalid":
        got = shown(detail["input"]["name"])
        return f"{where}.name: expected {detail['ctx']['expected_tags']}, got {got}"
    if kind == "missing" and not isinstance(path[-1], int):
        return f"{where}: needed, but not given"
    if kind == "missing":
        return f"{_dotted(path[:-1])}: expected more values, got {shown(detail['input'])}"
    return f"{where}: {_expected(detail)}, got {shown(detail['input'])}"


def _expected(detail: ErrorDetails) -> str:
    """What a key takes, in the user's words."""
    kind = detail["type"]
    if kind == "literal_error":
        return f"expected {detail['ctx']['expected']}"
    if kind == "too_long":
        return f"expected {detail['ctx']['max_length']} values"
    return f"expected {_EXPECTED[kind]}" if kind in _EXPECTED else detail["msg"]


def _out_of_range(
    section: type[Any], content: Mapping[str, Any], path: Location, message: str
) -> str:
    """A section's own complaint; where it begins with a field, the path continues with it."""
    field = _NAMED_FIELD.match(message)
    owner = section_at(section, content, tuple(str(part) for part in path))
    if field and owner and field[1] in subsections(owner):
        return _dotted((*path, message))
    return f"{_dotted(path) or 'configuration'}: {message}"


def _hint(section: type[Any], content: Mapping[str, Any], path: Location) -> str:
    """What an unknown key may have been meant to be."""
    *parents, key = (str(part) for part in path)
    owner = section_at(section, content, tuple(parents))
    siblings = list(subsections(owner)) if owner else []
    if close := get_close_matches(key, siblings, n=1):
        return f"did you mean {close[0]}?"
    elsewhere = dict.fromkeys(
        known
        for known in all_paths(section)
        if known.split(".")[-1] == key and known != _dotted(path)
    )
    if elsewhere:
        return f"did you mean {' or '.join(elsewhere)}?"
    return f"known here: {', '.join(siblings)}"
