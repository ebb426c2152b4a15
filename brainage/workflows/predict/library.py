"""Prediction without a command line: ``brainage.load_model`` and what it returns."""

import logging
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from brainage.bundle.demonstration import demonstration_limits
from brainage.bundle.load import load_bundle
from brainage.bundle.model import ModelBundle
from brainage.errors import ConfigError, ManifestError
from brainage.reporting.counts import counted
from brainage.scans.ages import given_age
from brainage.scans.record import ScanRecord
from brainage.scans.source import find_scans
from brainage.workflows.model_source import model_folder
from brainage.workflows.predict.flags import tell_flags
from brainage.workflows.predict.options import PredictOptions
from brainage.workflows.predict.row import COLUMNS, ScanPrediction
from brainage.workflows.predict.stream import predict_each

if TYPE_CHECKING:
    import pandas as pd

Place = str | os.PathLike[str]

LEAST_VOXEL_MM3 = 1e-6
"""Below it an affine is taken for a matrix without an inverse."""

_log = logging.getLogger(__name__)


class Predictions(list[ScanPrediction]):
    """The rows of scans, in input order: a list that can become a table."""

    def to_frame(self) -> "pd.DataFrame":
        """The rows as a pandas table with the columns of ``predictions.csv``."""
        import pandas as pd  # noqa: PLC0415 - not everybody wants a table

        return pd.DataFrame([row.as_dict() for row in self], columns=list(COLUMNS))


class AgeModel:
    """A loaded model: predicts ages of raw scans, with the preprocessing it was trained with.

    Args:
        bundle: the model.
        name: what it was loaded from.
        device: where its networks run, as `PredictOptions` has it.

    Raises:
        ConfigError: if there is no such device here.
    """

    def __init__(self, bundle: ModelBundle, name: str, device: str = "auto") -> None:
        self.name = name
        self.bundle = bundle.to(PredictOptions(device=device).place())

    @property
    def model_hash(self) -> str:
        """Changes with anything that could change a prediction."""
        return self.bundle.model_hash

    @property
    def preprocessing_hash(self) -> str:
        """Of steps, versions and template."""
        return self.bundle.preprocessing_hash

    @property
    def training_age_range_years(self) -> tuple[float, float]:
        """Youngest and oldest person it was trained on."""
        low, high = self.bundle.calibration["training_age_range_years"]
        return float(low), float(high)

    @property
    def held_out(self) -> Mapping[str, Any]:
        """Its errors on scans it had not seen, such as ``mae_years``; empty where unknown."""
        known: Mapping[str, Any] = self.bundle.calibration.get("held_out", {})
        return known

    @property
    def answers(self) -> tuple[str, ...]:
        """What it can be asked for."""
        return self.bundle.answers

    @property
    def limits(self) -> str:
        """What whoever uses it has to know, as one line."""
        low, high = self.training_age_range_years
        scans = self.bundle.calibration.get("training_scans", "an unknown number of")
        error = self.held_out.get("mae_years")
        told = "unknown" if error is None else f"{error:.1f} years"
        return (
            f"trained on {scans} scans, ages {low:.0f} to {high:.0f}; held-out error {told} there, "
            "unknown on other scanners; not for clinical use"
        )

    def predict(
        self,
        source: Place | Iterable[Place],
        *,
        ages_years: Sequence[float | None] | None = None,
        jobs: int = 1,
        answer: str = "last",
        batch_size: int = 1,
        cache_folder: Place | None = None,
        subject_from: str = "hash",
    ) -> Predictions:
        """Predict scans: one row each, in input order. A bad scan has a row that says why.

        Args:
            source: what ``brainage predict`` takes: a scan, a folder, a BIDS root, DICOM, an
                archive or a manifest; or several of these. What cannot be found is an error where
                it is the source, and a failed row where it is one of several.
            ages_years: ages of the people, in the order of the rows; else what the source tells.
            jobs: processes that preprocess. A script that asks for several needs the guard
                ``if __name__ == "__main__":``, as all Python programs that start processes do.
            answer: one of ``answers``.
            batch_size: volumes that an accelerator is given together.
            cache_folder: where preprocessed volumes are found and kept; None keeps none.
            subject_from: how DICOM subjects are named, see `find_scans`.

        Raises:
            BrainageError: if source, ages or settings cannot be used.
        """
        options = PredictOptions(
            answer=answer,
            jobs=jobs,
            batch_size=batch_size,
            device=str(self.bundle.device),
            cache_folder=None if cache_folder is None else Path(cache_folder),
        )
        records = _with_ages(_records(source, subject_from), ages_years)
        found = dict(predict_each(records, self.bundle, options))
        rows = Predictions(found[index] for index in range(len(records)))
        tell_flags([row.qc_flags for row in rows])
        return rows

    def predict_one(
        self, scan: Place, *, age_years: float | None = None, answer: str = "last"
    ) -> ScanPrediction:
        """Predict one scan.

        Args:
            scan: a file, or a folder with one DICOM study.
            age_years: of the person; else what the source tells.
            answer: one of ``answers``.

        Raises:
            BrainageError: if there is no scan, or are several.
        """
        records = _records(scan, "hash")
        if len(records) != 1:
            raise ConfigError(f"{scan}: expected one scan, got {len(records)}; ask predict()")
        ages = None if age_years is None else [age_years]
        (row,) = _rows(_with_ages(records, ages), self.bundle, answer)
        return row

    def predict_array(
        self,
        data_XYZ: npt.ArrayLike,
        affine: npt.ArrayLike,
        *,
        age_years: float | None = None,
        name: str = "array",
        answer: str = "last",
    ) -> ScanPrediction:
        """Predict a scan that is in memory.

        Args:
            data_XYZ: real intensities of a raw scan, not preprocessed.
            affine: (4, 4), voxel indices to millimetres in RAS, as nibabel has it.
            age_years: of the person.
            name: of the scan and its subject in the row.
            answer: one of ``answers``.

        Raises:
            ConfigError: if the arrays have another shape or no numbers, or the answer is unknown.
        """
        image = _image(data_XYZ, affine)
        with tempfile.TemporaryDirectory(prefix="brainage-") as folder:
            path = Path(folder) / "array.nii"
            nib.save(image, path)
            records = _with_ages([ScanRecord(path, name)], [age_years])
            (row,) = _rows(records, self.bundle, answer)
        return replace(row, scan=name)


def load_model(model: Place | None = None, *, device: str = "auto") -> AgeModel:
    """Load a model once, to predict any number of scans.

    Args:
        model: a bundle's folder, or ``models:/name@alias`` and the like of MLflow; None is the
            demonstration model, and a warning says what it is.
        device: ``cpu``, ``cuda``; ``auto`` takes an accelerator if there is one.

    Raises:
        BrainageError: if it cannot be loaded, or there is no such device.
    """
    name = None if model is None else os.fspath(model)
    with model_folder(name) as folder:
        bundle = load_bundle(folder)
    if name is None:
        _log.warning("%s", demonstration_limits(bundle))
    return AgeModel(bundle, name or "demonstration model", device)


def _rows(records: Sequence[ScanRecord], bundle: ModelBundle, answer: str) -> list[ScanPrediction]:
    options = PredictOptions(answer=answer, device=str(bundle.device))
    return [row for _, row in predict_each(records, bundle, options)]


def _records(source: Place | Iterable[Place], subject_from: str) -> list[ScanRecord]:
    if isinstance(source, str | os.PathLike):
        return list(find_scans(Path(source), subject_from=subject_from).records)
    records: list[ScanRecord] = []
    for place in source:
        path = Path(place)
        try:
            records += find_scans(path, subject_from=subject_from).records
        except ManifestError:  # reading it as a scan says in its row what ails it
            records.append(ScanRecord(path.absolute(), path.name))
    return records


def _with_ages(
    records: Sequence[ScanRecord], ages_years: Sequence[float | None] | None
) -> list[ScanRecord]:
    """The records, with the ages given."""
    if ages_years is None:
        return list(records)
    if len(ages_years) != len(records):
        raise ConfigError(
            f"ages_years: expected one for each of {counted(len(records), 'scan')}, "
            f"got {len(ages_years)}"
        )
    with_ages = []
    for record, age in zip(records, ages_years, strict=True):
        try:
            known = None if age is None else given_age(age)
        except ValueError as error:
            raise ConfigError(f"ages_years: {error}") from error
        with_ages.append(replace(record, age_years=known))
    return with_ages


def _image(data_XYZ: npt.ArrayLike, affine: npt.ArrayLike) -> nib.Nifti1Image:
    data, matrix = _numbers(data_XYZ, "data_XYZ"), _numbers(affine, "affine")
    if data.ndim != 3:
        raise ConfigError(f"data_XYZ: expected three axes, got {data.ndim}")
    if matrix.shape != (4, 4):
        raise ConfigError(f"affine: expected the shape (4, 4), got {matrix.shape}")
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < LEAST_VOXEL_MM3:
        raise ConfigError(f"affine: expected voxels with a volume, got {matrix.tolist()}")
    return nib.Nifti1Image(data.astype(np.float32), matrix.astype(np.float64))


def _numbers(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ConfigError(f"{name}: expected an array: {error}") from error
    if array.dtype.kind not in "biuf":
        raise ConfigError(f"{name}: expected real numbers, got {array.dtype}")
    return array
