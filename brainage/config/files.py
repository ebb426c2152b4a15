"""Find a configuration file, resolve its base, and lay ``--set`` overrides on top."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import reduce
from pathlib import Path
from typing import Any

from brainage.config.sections import merge
from brainage.config.yaml_text import parse_yaml, read_yaml
from brainage.errors import ConfigError

FOLDER = "configs"
BASE_KEY = "base"


def installed_configs() -> Path | None:
    """The configurations that came with the package: in the wheel, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    wheel, checkout = package / FOLDER, package.parent / FOLDER
    if wheel.is_dir():
        return wheel
    is_checkout = (package.parent / "pyproject.toml").is_file() and checkout.is_dir()
    return checkout if is_checkout else None


def _search_folders() -> list[Path]:
    own, installed = Path(FOLDER), installed_configs()
    if installed is None or installed == own.resolve():
        return [Path(), own]
    return [Path(), own, installed]


def find_config(name: str | Path) -> Path:
    """Look for a file as given, then under ``configs/``, then among the installed ones.

    Raises:
        ConfigError: says where it looked and which names come near.
    """
    folders = _search_folders()
    for folder in folders:
        if (candidate := folder / name).is_file():
            return candidate
    looked = [str(folder / name) for folder in folders]
    if Path(name).is_absolute():
        looked = looked[:1]
    message = f"no configuration {name}: looked for {', '.join(looked)}"
    raise ConfigError(message + _near(str(name), dict.fromkeys(_known_names(Path(name), folders))))


def _known_names(name: Path, folders: Sequence[Path]) -> Iterator[str]:
    """Names that ``find_config`` would have found."""
    for found in sorted(name.parent.glob("*.yaml")):
        yield str(found)
    for folder in folders[1:]:
        for found in sorted(folder.rglob("*.yaml")):
            yield found.relative_to(folder).as_posix()


def _near(name: str, known: dict[str, None]) -> str:
    close = get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; there are: {', '.join(known)}" if known else ""


def read_config(section: type[Any], path: Path) -> dict[str, Any]:
    """Read a file and lay it on the file that its ``base`` names.

    A base has no base itself, and its ``name`` is not inherited: two runs of one name would share
    a folder.

    Raises:
        ConfigError: for a file that cannot be read and for a base that cannot be used.
    """
    content = read_yaml(path)
    if BASE_KEY not in content:
        return content
    base_path = find_base(path, content.pop(BASE_KEY))
    base = read_yaml(base_path)
    if BASE_KEY in base:
        raise ConfigError(f"{BASE_KEY}: {base_path} has a base itself; one level is allowed")
    base.pop("name", None)
    return merge(section, base, content)


def find_base(path: Path, name: object) -> Path:
    """Look for the base that a file names: relative to the file, then as ``find_config`` does.

    Raises:
        ConfigError: if it is no file name; or says where it looked.
    """
    if not isinstance(name, str):
        raise ConfigError(f"{BASE_KEY}: expected a file name, got {name!r} in {path}")
    folders = [path.parent, *_search_folders()[1:]]
    for folder in folders:
        candidate = folder / name
        if candidate.is_file() and candidate.resolve() != path.resolve():
            return candidate
    looked = ", ".join(dict.fromkeys(str(folder / name) for folder in folders))
    raise ConfigError(
        f"{BASE_KEY}: no configuration {name}, which {path} names: looked for {looked}"
    )


def parse_override(text: str) -> dict[str, Any]:
    """``trainer.epochs=3`` as keys and values; the value is read as YAML.

    Raises:
        ConfigError: for anything but dotted keys, an equals sign and a value.
    """
    path, equals, value = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set {text}: expected key=value, like --set trainer.epochs=3")
    parsed = parse_yaml(value, f"--set {text}")
    nested: dict[str, Any] = reduce(lambda inner, key: {key: inner}, reversed(keys), parsed)
    return nested


def apply_overrides(
    section: type[Any], content: dict[str, Any], overrides: Sequence[str]
) -> dict[str, Any]:
    """Lay overrides on the content of a file, in order."""
    for override in overrides:
        content = merge(section, content, parse_override(override))
    return content
