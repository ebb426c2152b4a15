"""From a name or a stored mapping to a checked ``RunConfig``, and back to text."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainage.config.candidates import candidate_configs
from brainage.config.checks import cross_checks
from brainage.config.files import apply_overrides, find_config, read_config
from brainage.config.run import RunConfig
from brainage.config.validation import to_plain, validate
from brainage.config.yaml_text import to_yaml

if TYPE_CHECKING:  # the module imports torch, which a configuration can do without
    from brainage.core.types import Scalar

_MEANS = frozenset({"memory_gb", "num_loader_workers", "preprocess_jobs"})


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Load, override, validate and cross-check a configuration.

    Args:
        path: tried as given, then under ``configs/``, then among the installed configurations.
        overrides: like ``trainer.epochs=3``, applied in order; the value is read as YAML.
    Raises:
        ConfigError: lists all problems, each after the path of its key.
    """
    content = read_config(RunConfig, find_config(path))
    return config_from_mapping(apply_overrides(RunConfig, content, overrides))


def config_from_mapping(content: Mapping[str, Any]) -> RunConfig:
    """Validate and cross-check keys and values, as a model bundle stores them.

    Raises:
        ConfigError: lists all problems, each after the path of its key.
    """
    config = validate(RunConfig, content)
    cross_checks(config)
    candidate_configs(config)
    return config


def dump_config(config: RunConfig) -> str:
    """The configuration as YAML with every default written out; loading it gives it back."""
    return to_yaml(to_plain(config))


def config_hash(config: RunConfig) -> str:
    """SHA-256 (hexadecimal) of the resolved configuration, whatever the order of its keys.

    How devices share the run, and with how much memory and how many processes data are prepared,
    is left out: the same run can go on with others.
    """
    content = {key: value for key, value in to_plain(config).items() if key != "parallel"}
    content["data"] = {k: v for k, v in content["data"].items() if k not in _MEANS}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def flatten(config: RunConfig) -> "dict[str, Scalar]":
    """Dotted names and plain values, for a tracker; a list becomes its JSON text."""
    return flatten_section(config)


def flatten_section(section: object) -> "dict[str, Scalar]":
    """The same for any section."""
    return dict(_flat(to_plain(section), ""))


def _flat(content: Mapping[str, Any], prefix: str) -> "Iterator[tuple[str, Scalar]]":
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, json.dumps(value) if isinstance(value, list) else value
