"""A model, two dozen people it has not seen, and what calibrating on them leaves behind."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from brainage.preprocess.cache import PreprocessCache
from brainage.workflows.calibrate.run import calibrate
from brainage.workflows.calibrate.summary import CalibrateSummary
from brainage.workflows.evaluate.run import Prediction
from tests.workflows.tiny import COLUMNS, PREPROCESS, TinyCohort, plant, sha256, write_table

AGES = np.linspace(21.0, 67.0, 24).round(1)


@dataclass(frozen=True)
class LocalPeople:
    folder: Path
    cohort: TinyCohort
    rows: list[list[object]]

    @property
    def manifest(self) -> Path:
        return self.folder / "controls.csv"

    @property
    def how(self) -> Prediction:
        return Prediction(cache_folder=self.cohort.cache)

    def table(self, path: Path, rows) -> Path:
        """A manifest of some of them, that lies elsewhere."""
        return write_table(path, [[self.folder / str(row[0]), *row[1:]] for row in rows], COLUMNS)


@pytest.fixture(scope="session")
def local(cohort, tmp_path_factory) -> LocalPeople:
    folder = tmp_path_factory.mktemp("local")
    cache = PreprocessCache(cohort.cache, PREPROCESS)
    base_key = cache.key(sha256(cohort.scan("sub-real1")))
    rows: list[list[object]] = []
    for index, age_years in enumerate(AGES):
        path = folder / f"sub-local{index}.nii.gz"
        plant(cohort, path, base_key, float(age_years), seed=100 + index)
        rows.append([path.name, f"sub-local{index}", age_years, "FM"[index % 2], "oslo"])
    people = LocalPeople(folder, cohort, rows)
    write_table(people.manifest, rows, COLUMNS)
    return people


@dataclass(frozen=True)
class Calibrated:
    base: Path
    out: Path
    summary: CalibrateSummary

    @property
    def beside(self) -> Path:
        return self.out.with_name(f"{self.out.name}-report")


@pytest.fixture(scope="session")
def calibrated(holdout, local, tmp_path_factory) -> Calibrated:
    """Tests must not change its folders."""
    out = tmp_path_factory.mktemp("calibrated") / "mymodel"
    base = holdout.summary.model_dir
    summary = calibrate(local.manifest, model=str(base), out=out, how=local.how)
    return Calibrated(base, out, summary)
