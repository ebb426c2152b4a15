"""What a model answers where it is served: one row for each request, or why the request is wrong.

A request names a scan in one of three ways: ``scan`` is a path that the server can read,
``voxels`` with ``affine`` are the volume itself, ``image`` is a NIfTI file in base64. ``age_years``
may stand beside it. A scan that cannot be used has a row that says why, as in predictions.csv.
"""

import base64
import binascii
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from brainage.errors import ConfigError, ManifestError
from brainage.scans.ages import given_age
from brainage.workflows.predict.library import AgeModel, load_model
from brainage.workflows.predict.row import ScanPrediction

Request = Mapping[str, Any]

WAYS = ("scan", "voxels", "image")
COLUMNS = ("scan", "voxels", "affine", "image", "age_years")

_GZIP = b"\x1f\x8b"


class Served:
    """Answers requests of a served model, one after the other.

    Args:
        model: what is asked.
    """

    def __init__(self, model: AgeModel) -> None:
        self._model = model
        # A server calls from several threads; preprocessing uses all cores for one scan as it is.
        self._one_at_a_time = threading.Lock()

    def __call__(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """One row for each request, in their order, with the columns of predictions.csv.

        Args:
            requests: values by name; absent and None are the same.

        Raises:
            ConfigError: if one of them is wrong; none is answered then.
        """
        if not requests:
            raise ConfigError(f"expected rows with one of {', '.join(WAYS)}, got none")
        known = [_checked(request, f"row {n}") for n, request in enumerate(requests)]
        with self._one_at_a_time:
            return [
                self._row(request, f"row {number}").as_dict()
                for number, request in enumerate(known)
            ]

    def _row(self, request: Request, where: str) -> ScanPrediction:
        age = request.get("age_years")
        if "scan" in request:
            return self._of_path(Path(request["scan"]), age, where)
        if "image" in request:
            return self._of_file(request["image"], age, where)
        try:
            return self._model.predict_array(
                _array(request["voxels"]), _array(request["affine"]), age_years=age, name=where
            )
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error

    def _of_path(self, path: Path, age: float | None, where: str) -> ScanPrediction:
        try:
            return self._model.predict_one(path, age_years=age)
        except ManifestError:  # nothing is there: the row says so
            (row,) = self._model.predict([path], ages_years=[age])
            return row
        except ConfigError as error:  # several scans
            raise ConfigError(f"{where}: scan: {error}") from error

    def _of_file(self, content: bytes, age: float | None, where: str) -> ScanPrediction:
        suffix = ".nii.gz" if content.startswith(_GZIP) else ".nii"
        with tempfile.TemporaryDirectory(prefix="brainage-") as folder:
            path = Path(folder) / f"image{suffix}"
            path.write_bytes(content)
            row = self._of_path(path, age, where)
        return replace(row, scan=where, subject=where)


def load_server(folder: Path) -> Served:
    """The answering side of a model that MLflow serves.

    Args:
        folder: the bundle.

    Raises:
        BundleError: if it cannot be loaded.
    """
    return Served(load_model(folder))


def _checked(request: Request, where: str) -> dict[str, Any]:
    """The request with what it says, its image decoded; refused when it is not one way or wrong."""
    said = {name: value for name, value in request.items() if value is not None}
    if unknown := sorted(str(name) for name in set(said) - set(COLUMNS)):
        raise ConfigError(
            f"{where}: expected the columns {', '.join(COLUMNS)}, got {', '.join(unknown)}"
        )
    ways = [way for way in WAYS if way in said]
    if len(ways) != 1:
        got = " and ".join(ways) or "none"
        raise ConfigError(f"{where}: expected one of {', '.join(WAYS)}, got {got}")
    if ("affine" in said) != (ways == ["voxels"]):
        needed = "voxels need an affine" if ways == ["voxels"] else f"{ways[0]} has its own affine"
        raise ConfigError(f"{where}: affine: {needed}")
    for name in {"scan", "image"} & set(said):
        if not _is_text(said[name]):
            kind = type(said[name]).__name__
            raise ConfigError(f"{where}: {name}: expected text, got {kind} {said[name]!r:.40}")
    if "age_years" in said:
        try:
            said["age_years"] = given_age(said["age_years"])
        except ValueError as error:
            raise ConfigError(f"{where}: age_years: {error}") from error
    if "image" in said:
        said["image"] = _decoded(said["image"], where)
    return said


def _is_text(value: Any) -> bool:
    """Whether something is text that could be a path or base64."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _decoded(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError(f"{where}: image: expected base64: {error}") from error


def _array(values: Any) -> Any:
    """Nested lists as an array; what is none stays, and is refused by who needs it."""
    try:
        return np.asarray(values)
    except ValueError:  # lists of different lengths
        return values
