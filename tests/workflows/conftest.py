"""One cohort, one finished run and one table of predictions for all tests of the workflows."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from brainage.bundle.model import ModelBundle
from brainage.config.run import RunConfig
from brainage.workflows.predict.run import predict
from brainage.workflows.summary import PredictSummary, TrainSummary
from brainage.workflows.train.run import train
from tests.shared import made_once
from tests.workflows.tiny import TinyCohort, make_cohort, tiny_config


@pytest.fixture(autouse=True)
def _threads_as_before():
    """A run sets the number of torch's threads for its process; here tests share one."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory) -> TinyCohort:
    return made_once(tmp_path_factory, "cohort", make_cohort)


@dataclass(frozen=True)
class FinishedTraining:
    config: RunConfig
    summary: TrainSummary

    @property
    def folder(self) -> Path:
        return self.summary.run_dir


@pytest.fixture(scope="session")
def holdout(cohort, tmp_path_factory) -> FinishedTraining:
    """A finished run with one split and a scan to predict. Tests must not change its folder."""

    def trained(runs: Path) -> FinishedTraining:
        config = tiny_config(cohort, data={"unseen": str(cohort.unseen)})
        return FinishedTraining(config, train(config, runs_folder=runs, resume=None))

    return made_once(tmp_path_factory, "holdout", trained)


@dataclass(frozen=True)
class Predicted:
    """What ``predict`` made of a folder, and the volumes that the network was given.

    ``cache`` has the finished preprocessing of its scans, for tests about what comes after.
    """

    source: Path
    table: Path
    cache: Path
    summary: PredictSummary
    network_inputs: list[np.ndarray]


@pytest.fixture(scope="session")
def predicted(cohort, holdout, tmp_path_factory) -> Predicted:
    """A training scan, a file that is no scan and an unseen scan, all of the same name."""
    return made_once(
        tmp_path_factory, "predicted", lambda folder: _predicted(folder, cohort, holdout)
    )


def _predicted(folder: Path, cohort: TinyCohort, holdout: FinishedTraining) -> Predicted:
    source, table, cache = folder / "scans", folder / "predictions" / "table.csv", folder / "cache"
    for name, scan in (("1", cohort.scan("sub-real1")), ("3", cohort.unseen_scan)):
        (source / name).mkdir(parents=True)
        shutil.copy(scan, source / name / "T1w.nii.gz")
    (source / "2").mkdir()
    (source / "2" / "T1w.nii.gz").write_bytes(b"no scan")
    seen: list[np.ndarray] = []
    original = ModelBundle.predict_together

    def spy(bundle, volumes_XYZ, answer="last"):
        seen.extend(volume_XYZ.copy() for volume_XYZ in volumes_XYZ)
        return original(bundle, volumes_XYZ, answer)

    model = holdout.summary.model_dir
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelBundle, "predict_together", spy)
        summary = predict(source, model=model, out=table, resume=False, jobs=1, cache_folder=cache)
    return Predicted(source, table, cache, summary, seen)
