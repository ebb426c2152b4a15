"""Reading ``calibration.json`` and the training space that belongs to it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from brainage.bundle.age_line import AgeLine, line_from_mapping
from brainage.bundle.files import (
    CALIBRATION,
    SCAN_HASHES,
    SUBJECT_HASHES,
    TRAINING_SPACE,
    finite,
    read_json,
)
from brainage.bundle.intervals import Intervals, intervals_from_mapping
from brainage.bundle.space_file import read_space
from brainage.bundle.training_space import TrainingSpace
from brainage.errors import BundleError

Read = TypeVar("Read")


class LoadedNumbers(NamedTuple):
    """What a bundle says of its predictions, where there were scans enough to say it."""

    age_line: AgeLine | None
    intervals: Intervals | None
    training_space: TrainingSpace | None


def load_calibration(folder: Path) -> dict[str, Any]:
    """The content of ``calibration.json``.

    Raises:
        BundleError: if it is damaged.
    """
    calibration = read_json(folder / CALIBRATION)
    path = folder / CALIBRATION
    ages = calibration.get("training_age_range_years")
    try:
        low, high = map(finite, ages)  # type: ignore[arg-type]  # what is no list is refused
        in_order = low <= high
    except (TypeError, ValueError):
        in_order = False
    if not in_order:
        raise BundleError(
            f"{path}: damaged: expected training_age_range_years as two ages, got {ages!r:.80}"
        )
    for name in (SCAN_HASHES, SUBJECT_HASHES):
        hashes = calibration.get(name, [])
        if not (isinstance(hashes, list) and all(isinstance(each, str) for each in hashes)):
            raise BundleError(f"{path}: damaged: {name}: expected a list of hashes")
    return calibration


def load_numbers(
    folder: Path, calibration: Mapping[str, Any], names: Sequence[str]
) -> LoadedNumbers:
    """Age line, intervals and training space.

    Args:
        folder: of the bundle.
        calibration: its ``calibration.json``.
        names: of its networks, in order.

    Raises:
        BundleError: if one is damaged, or the file of the space is not there.
    """
    most = _read(folder, calibration, "training_space", lambda values: finite(values["most"]))
    path = folder / TRAINING_SPACE
    if (most is not None) != path.is_file():
        there = "is there" if most is None else "is missing"
        raise BundleError(
            f"{path}: {there}, but {CALIBRATION} says otherwise under training_space; save the "
            "model again, or copy the whole folder"
        )
    return LoadedNumbers(
        _read(folder, calibration, "age_line", line_from_mapping),
        _read(folder, calibration, "intervals", intervals_from_mapping),
        None if most is None else read_space(path, names, most),
    )


def _read(
    folder: Path, calibration: Mapping[str, Any], name: str, read: Callable[[Any], Read]
) -> Read | None:
    """A part of the calibration; None where it says that there is none."""
    values = calibration.get(name)
    if values is None:
        return None
    try:
        return read(values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{folder / CALIBRATION}: damaged: {name}: {error}") from error
