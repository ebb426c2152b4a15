"""The configuration of ``brainage preprocess``: the section ``preprocess`` of a run, by itself."""

from collections.abc import Sequence
from pathlib import Path

from brainage.config.files import apply_overrides, find_config, read_config
from brainage.config.validation import validate
from brainage.preprocess.config import PreprocessConfig


def load_preprocess_config(path: str | Path, overrides: Sequence[str] = ()) -> PreprocessConfig:
    """Load, override and validate.

    Args:
        path: tried as given, then under ``configs/``, then among the installed configurations.
        overrides: like ``grid.spacing_mm=3``, applied in order; the value is read as YAML.

    Raises:
        ConfigError: lists all problems, each after the path of its key.
    """
    content = read_config(PreprocessConfig, find_config(path))
    return validate(PreprocessConfig, apply_overrides(PreprocessConfig, content, overrides))
