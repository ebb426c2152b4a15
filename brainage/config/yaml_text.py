"""YAML as a configuration means it: numbers are numbers, duplicate keys are mistakes.

PyYAML follows YAML 1.1, where ``1e-4`` is text, ``010`` is eight, ``1:30`` is ninety, ``no`` is
false and ``2026-01-01`` is a date. Here only ``true``, ``false``, ``null`` and plain numbers are
anything but text, as in YAML 1.2.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from brainage.errors import ConfigError

_FLOAT = re.compile(
    r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.inf)\Z"
    r"|\.nan\Z"
)
_RESOLVERS = (
    ("null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")),
    ("int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z"), list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
    ("merge", re.compile(r"<<\Z"), ["<"]),
)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the types above."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                line = key.start_mark.line + 1
                raise yaml.MarkedYAMLError(
                    problem=f"key {key.value!r} is given twice, again in line {line}"
                )
            seen.add(key.value if isinstance(key.value, str) else id(key))
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that either YAML version would read as something else; no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the same for all
        return True


for _tag, _pattern, _starts in _RESOLVERS:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, _starts)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def parse_yaml(text: str, origin: str, *, aliases: bool = True) -> Any:
    """Parse one YAML document.

    Args:
        text: the document.
        origin: what to call it in an error: a file or an option.
        aliases: whether a part may be used again. A few lines of that can mean gigabytes, so that
            text from elsewhere should do without; ``to_yaml`` writes none.
    Raises:
        ConfigError: for text that is no YAML, or gives a key twice.
    """
    try:
        if not aliases:
            _refuse_aliases(text)
        content = yaml.load(text, _Loader)  # noqa: S506 - a safe loader, see above
        json.dumps(content, default=str, skipkeys=True)  # an alias may make it contain itself
    except yaml.MarkedYAMLError as error:
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{origin}{where}: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{origin}: not readable as YAML: {reason}") from error
    return content


def _refuse_aliases(text: str) -> None:
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1 if event.start_mark else "?"
            raise yaml.MarkedYAMLError(
                problem=f"expected no aliases, got *{event.anchor} in line {line}"
            )


def read_yaml(path: Path, *, aliases: bool = True) -> dict[str, Any]:
    """Read a file that holds keys and values; an empty file holds none.

    ``aliases`` as for ``parse_yaml``.

    Raises:
        ConfigError: for a file that cannot be read, or holds anything else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8 text, got other bytes") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    content = parse_yaml(text, str(path), aliases=aliases)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(content).__name__}")
    return content


def to_yaml(content: dict[str, Any]) -> str:
    """Write keys and values so that ``parse_yaml`` gives them back."""
    text: str = yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None
    )
    return text
