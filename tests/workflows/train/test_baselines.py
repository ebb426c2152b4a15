from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainage.baselines.config import BaselinesConfig
from brainage.data.splits import Split
from brainage.data.volumes import ArrayVolumes
from brainage.errors import CohortError
from brainage.scans.manifest import ScanRecord
from brainage.workflows.train import baselines
from brainage.workflows.train.baselines import METHODS, BaselineData, baseline_ages
from brainage.workflows.train.cohort import Cohort
from brainage.workflows.train.run import train
from tests.workflows.tiny import read_table, tiny_config

SPLIT = Split(tuple(range(36)), tuple(range(36, 40)), tuple(range(40, 60)))


@pytest.fixture(scope="module")
def data():
    """Voxels and nine volumes that follow age, at two sites."""
    rng = np.random.default_rng(0)
    ages = rng.uniform(20, 60, 60).astype(np.float32)
    volumes = rng.normal(size=(60, 6, 6, 6)) + (ages[:, None, None, None] - 40) / 10
    sites = ["ab"[index % 2] for index in range(60)]
    tissue = rng.normal(size=(60, 9)) - (ages[:, None] - 40) / 5
    records = tuple(
        ScanRecord(Path(f"{i}.nii"), f"p{i}", age_years=float(age), sex="FM"[i // 2 % 2], site=site)
        for i, (age, site) in enumerate(zip(ages, sites, strict=True))
    )
    keys = tuple(str(index) for index in range(60))
    held = ArrayVolumes(volumes.astype(np.float32))
    cohort = Cohort(records, held, ages, keys, (), 0, (1, 6, 6, 6))
    return BaselineData(cohort, tissue)


def errors(data, split=SPLIT):
    ages = data.cohort.ages_years[list(split.test)]
    return {name: np.abs(found - ages).mean() for name, found in baseline_ages(data, split).items()}


def test_all_beat_the_mean_on_a_planted_signal(data):
    ages = data.cohort.ages_years
    of_mean = np.abs(ages[:40].mean() - ages[40:]).mean()
    found = errors(data)
    assert list(found) == list(METHODS)
    assert all(error < of_mean / 2 for error in found.values()), found


def test_a_test_scan_s_age_changes_no_prediction(data):
    ages = data.cohort.ages_years.copy()
    ages[40:] = 99.0
    other = replace(data, cohort=replace(data.cohort, ages_years=ages))
    for config in (BaselinesConfig(), BaselinesConfig(harmonise="combat")):
        before, after = (baseline_ages(replace(d, config=config), SPLIT) for d in (data, other))
        for name in METHODS:
            np.testing.assert_array_equal(after[name], before[name])


def test_harmonising_helps_where_sites_differ(data):
    at_b = np.array([record.site == "b" for record in data.cohort.records])
    # stronger in some features than in others, as a site's contrast is
    larger = replace(
        data, tissue_volumes=data.tissue_volumes + at_b[:, None] * np.linspace(2, 20, 9)
    )
    combat = errors(replace(larger, config=BaselinesConfig(harmonise="combat")))
    assert combat["tissue_ridge"] < 0.9 * errors(larger)["tissue_ridge"]


def test_a_site_that_is_only_tested_cannot_be_harmonised(data):
    sites = Split(tuple(range(0, 60, 2)), (), tuple(range(1, 60, 2)))
    with pytest.raises(CohortError, match="got b; how a new site differs"):
        baseline_ages(replace(data, config=BaselinesConfig(harmonise="combat")), sites)


def test_a_run_that_cannot_be_harmonised_is_refused_before_it_trains(cohort, tmp_path):
    config = tiny_config(
        cohort,
        baselines={"harmonise": "combat"},
        split={"leave_one_site_out": True, "min_site_subjects": 2},
    )
    with pytest.raises(
        CohortError, match=r"baselines\.harmonise: site-a: .* \(b\), got a; how a new"
    ):
        train(config, runs_folder=tmp_path, resume=None)
    assert not list(tmp_path.iterdir())


def test_of_many_scans_kernels_learn_from_some_at_all_ages(data, monkeypatch):
    monkeypatch.setattr(baselines, "MOST_SCANS", 10)
    learned = baselines._at_most(data.cohort, range(40), 10)
    assert len(set(learned)) == 10
    ages = np.sort(data.cohort.ages_years[:40])
    chosen = np.sort(data.cohort.ages_years[learned])
    np.testing.assert_array_equal(chosen, ages[::4])
    assert errors(data)["gaussian_process"] < 10


def test_a_run_shows_every_baseline_with_its_predictions(holdout):
    rows = read_table(holdout.folder / "held_out_predictions.csv")
    assert all(np.isfinite(float(row[f"{name}_age"])) for row in rows for name in METHODS)
    report = (holdout.folder / "report.html").read_text()
    told = "\n".join(holdout.summary.describe())
    for name, method in METHODS.items():
        column = np.array([float(row[f"{name}_age"]) for row in rows])
        ages = np.array([float(row["age_years"]) for row in rows])
        mae = holdout.summary.baselines[method.label]["mae_years"]
        assert mae == pytest.approx(np.abs(column - ages).mean(), abs=1e-3)
        assert method.label in report
        assert f"{method.label}: {mae:.2f} years" in told
