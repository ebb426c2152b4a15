"""The configuration of ``brainage compare``: one run's configuration, and arms that change it.

``base`` names a run's configuration; ``run`` changes it for all arms. What is
saved with a comparison has no base: ``run`` then holds everything.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from brainage.config.files import BASE_KEY, find_base, find_config, parse_override, read_config
from brainage.config.load import config_from_mapping
from brainage.config.names import is_folder_name
from brainage.config.run import RunConfig
from brainage.config.sections import merge, merge_plain
from brainage.config.validation import to_plain, validate
from brainage.config.yaml_text import read_yaml, to_yaml
from brainage.core.config import FORBID_UNKNOWN, require
from brainage.errors import ConfigError

BASELINES = "baselines"
"""What arms cannot be called: the rows of the baselines have this name."""
PAIRED = ("data", "split", "preprocess", "baselines", "num_threads", "parallel", "tracking")
"""Sections that all arms share, or their errors and times could not be paired."""
OWN = {"name": "name", "seed": "seeds"}
"""Keys of a run that a comparison sets itself, with its key for them."""

_RUN_NAME = "comparison"


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Several training rules on the same scans, parts and seeds."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: str
    """Name of the comparison and of its folder."""
    reference: str
    """The arm that every other one is compared with."""
    arms: dict[str, dict[str, Any]]
    """Changes of ``run`` by the arm's name: at least two arms."""
    run: RunConfig
    """What all arms share, as for ``brainage train``, without ``name`` and ``seed``."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Every arm is trained once with each: of the parts, the weights, the order, augmentation."""
    target_mae_years: float | None = None
    """Validation error that the time to a target is measured to. Null: in each seed and fold, the
    largest final validation error of all arms, which each of them reaches."""
    speed_rounds: int = 15
    """Timed steps of each arm, run in turn; 0 measures neither time nor memory."""

    def __post_init__(self) -> None:
        require(is_folder_name(self.name), "name", "letters, digits, '.', '_', '-'", self.name)
        valid = all(is_folder_name(name) and name != BASELINES for name in self.arms)
        expected = f"names of letters, digits, '.', '_', '-', none of them '{BASELINES}'"
        require(valid, "arms", expected, list(self.arms))
        require(len(self.arms) >= 2, "arms", "at least two", list(self.arms))
        known = self.reference in self.arms
        require(known, "reference", f"one of the arms {', '.join(self.arms)}", self.reference)
        different = len(set(self.seeds)) == len(self.seeds) > 0
        require(different, "seeds", "different numbers, at least one", list(self.seeds))
        in_range = all(0 <= seed < 2**32 for seed in self.seeds)
        require(in_range, "seeds", "numbers from 0 to 2**32 - 1", list(self.seeds))
        target = self.target_mae_years
        require(
            target is None or target > 0, "target_mae_years", "a positive number or null", target
        )
        enough = self.speed_rounds == 0 or self.speed_rounds >= 5
        require(enough, "speed_rounds", "at least 5, for a median, or 0", self.speed_rounds)

    def arm(self, name: str, seed: int) -> RunConfig:
        """What an arm runs with a seed.

        Raises:
            ConfigError: if the arm's changes cannot run, or would break the pairing.
        """
        changes = self.arms[name]
        _refuse_unpaired(name, changes)
        try:
            config = config_from_mapping(merge(RunConfig, to_plain(self.run), changes))
        except ConfigError as error:
            raise ConfigError(f"arms.{name}: {error}") from error
        if config.trainer.device != self.run.trainer.device:
            raise ConfigError(
                f"arms.{name}.trainer.device: arms are timed in turn on one device; set "
                "run.trainer.device instead"
            )
        return replace(config, seed=seed)

    def with_cuts(self, cuts: Mapping[str, tuple[int, ...]]) -> "CompareConfig":
        """The same comparison with the cuts that were measured for some arms."""
        found = {
            name: merge_plain(self.arms[name], {"blocks": {"cuts": list(places)}})
            for name, places in cuts.items()
        }
        return replace(self, arms=self.arms | found)


def load_compare_config(path: str | Path, overrides: Sequence[str] = ()) -> CompareConfig:
    """Load, override and validate; every arm is checked.

    Args:
        path: tried as given, then under ``configs/``, then among the installed configurations.
        overrides: like ``run.trainer.epochs=3`` or ``arms.bp.trainer.epochs=9``, applied in order;
            the value is read as YAML. ``arms.bp=null`` leaves an arm out.

    Raises:
        ConfigError: says what is wrong, after the path of its key.
    """
    found = find_config(path)
    content = _on_base(read_yaml(found), found)
    for override in overrides:
        content = _overridden(content, parse_override(override))
    return compare_config_from(content)


def compare_config_from(content: Mapping[str, Any]) -> CompareConfig:
    """Validate keys and values, and every arm.

    Raises:
        ConfigError: says what is wrong, after the path of its key.
    """
    run = content.get("run", {})
    if isinstance(run, Mapping):
        for key, ours in OWN.items():
            if key in run:
                raise ConfigError(f"run.{key}: not used here; a comparison has {ours} of its own")
        run = {**run, "name": _RUN_NAME}
    config = validate(CompareConfig, {**content, "run": run})
    _refuse_other_repeats(config.run)
    for name in config.arms:
        config.arm(name, config.seeds[0])
    return config


def dump_compare_config(config: CompareConfig) -> str:
    """The comparison as YAML with every default written out; loading it gives it back."""
    plain = to_plain(config)
    plain["run"] = {key: value for key, value in plain["run"].items() if key not in OWN}
    return to_yaml(plain)


def compare_config_hash(config: CompareConfig) -> str:
    """SHA-256 (hexadecimal) of the resolved comparison, whatever the order of its keys."""
    text = json.dumps(to_plain(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse_unpaired(name: str, changes: Mapping[str, Any]) -> None:
    """Arms that differ in what is measured cannot be paired."""
    for key in changes:
        if key in PAIRED:
            raise ConfigError(
                f"arms.{name}.{key}: arms are paired, so all have the same {', '.join(PAIRED)}; "
                f"set run.{key} for all of them, or make a comparison of its own"
            )
        if key in OWN:
            raise ConfigError(
                f"arms.{name}.{key}: arms are paired, so all have the same seeds; set {OWN[key]}"
            )


def _refuse_other_repeats(run: RunConfig) -> None:
    """A comparison repeats by its seeds, and its arms are what is chosen among."""
    if run.split.repeats > 1:
        raise ConfigError(
            f"run.split.repeats: expected 1, a comparison repeats by its seeds, got "
            f"{run.split.repeats}"
        )
    if run.split.inner_folds is not None or run.search.candidates:
        raise ConfigError(
            "run.split.inner_folds: expected null and no run.search, candidates are arms here, got "
            f"{run.split.inner_folds}"
        )


def _on_base(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """``run`` laid on the run configuration that ``base`` names."""
    base = content.pop(BASE_KEY, None)
    if base is None:
        return content
    run = read_config(RunConfig, find_base(path, base))
    shared = {key: value for key, value in run.items() if key not in OWN}
    changes = content.get("run", {})
    return {**content, "run": merge(RunConfig, shared, changes) if changes else shared}


def _overridden(content: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """One ``--set`` laid on the content; arms change key by key, and null leaves one out."""
    arms = change.get("arms")
    known = content.get("arms")
    if not (isinstance(arms, Mapping) and isinstance(known, Mapping)):
        return merge(CompareConfig, content, change)
    merged = dict(known)
    for name, changes in arms.items():
        if changes is None:
            merged.pop(name, None)
        elif isinstance(changes, Mapping) and isinstance(merged.get(name), Mapping):
            merged[name] = merge_plain(merged[name], changes)
        else:
            merged[name] = changes
    return {**content, "arms": merged}
