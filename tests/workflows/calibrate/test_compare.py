"""What is said of calibrating is measured on people it was not fitted on."""

from dataclasses import dataclass

import numpy as np
import pytest

from brainage.bundle.age_line import AgeLine
from brainage.bundle.intervals import IntervalBin, Intervals
from brainage.reporting.run_report import PredictedScan
from brainage.workflows.calibrate.compare import (
    LOCAL,
    LOCAL_INTERVALS,
    OWN,
    OWN_INTERVALS,
    RAW,
    compare,
    corrected_by_others,
)
from brainage.workflows.calibrate.controls import Controls, choose_controls
from brainage.workflows.calibrate.report import verdict
from brainage.workflows.evaluate.table import PredictedTable


@dataclass(frozen=True)
class Known:
    """What a comparison asks of a model."""

    age_line: AgeLine | None = None
    intervals: Intervals | None = None


def people(n=100, slope=0.7, shift=15.0, noise=1.5, spread=25.0):
    rng = np.random.default_rng(5)
    age = 45 + spread * rng.uniform(-1, 1, n)
    predicted = shift + slope * age + rng.normal(0, noise, n)
    return Controls(age_years=age, predicted_age=predicted, sites=(None,) * n, left_out=0)


def test_a_scanner_s_bias_is_taken_out_and_the_gap_no_longer_moves_with_age():
    compared = compare(people(), Known(), 0.9, seed=0)
    rows = {row.name: row for row in compared.rows}
    assert rows[RAW].mae_years.value > 4
    assert rows[LOCAL].mae_years.value == pytest.approx(1.5 / 0.7 * 0.8, abs=0.4)
    assert rows[LOCAL].mae_change_years.high < 0
    assert rows[RAW].spearman_gap_age.high < -0.8
    assert abs(rows[LOCAL].spearman_gap_age.value) < 0.2
    assert abs(rows[LOCAL].mean_gap_years.value) < 0.3
    assert "makes the error smaller" in verdict(rows[LOCAL])


def test_where_correcting_makes_it_worse_that_is_said_loudly():
    """A flat line, little bias near the mean: inverting it multiplies the noise."""
    compared = compare(people(shift=27.0, slope=0.4, noise=5.0, spread=12.0), Known(), 0.9, 0)
    row = {row.name: row for row in compared.rows}[LOCAL]
    assert row.mae_change_years.low > 0
    assert "LARGER" in verdict(row)


def test_the_model_s_own_line_and_intervals_are_what_it_was_before():
    bins = (IntervalBin(from_years=None, low_years=-3.0, high_years=3.0, n=50),)
    own = Known(AgeLine(slope=1.0, intercept_years=2.0, n=50), Intervals(coverage=0.8, bins=bins))
    controls = people()
    compared = compare(controls, own, 0.9, seed=0)
    np.testing.assert_allclose(compared.ages[OWN], controls.predicted_age - 2)
    before, after = compared.intervals
    assert (before.name, before.nominal) == (OWN_INTERVALS, 0.8)
    assert before.width_years.value == pytest.approx(6.0)
    assert before.coverage.value < 0.6
    assert after.name == LOCAL_INTERVALS
    assert 0.84 < after.coverage.value <= 0.97


def test_nobody_s_own_age_moves_their_corrected_age():
    controls = people(30)
    before = corrected_by_others(controls.age_years, controls.predicted_age, seed=2)
    moved = controls.age_years.copy()
    moved[4] += 30
    after = corrected_by_others(moved, controls.predicted_age, seed=2)
    assert after[4] == before[4]
    assert (after != before).any()


def test_ages_too_alike_move_everybody_by_the_mean_gap_of_others():
    controls = people(spread=7.0)
    corrected = corrected_by_others(controls.age_years, controls.predicted_age, seed=0)
    assert np.ptp(controls.predicted_age - corrected) < 0.7, "nearly the same for all"


def test_a_line_too_flat_corrects_nobody():
    compared = compare(people(slope=0.05, noise=0.3), Known(), 0.9, seed=0)
    assert [row.name for row in compared.rows] == [RAW]


def test_one_scan_of_each_person_is_a_control():
    scans = tuple(
        PredictedScan(scan=f"{k}.nii", subject=f"s{k // 3}", age_years=40.0 + k, predicted_age=41.0)
        for k in range(75)
    )
    table = PredictedTable(scans=scans, failed=(), model="m", nominal_coverage=None)
    controls = choose_controls(table, seed=1)
    assert (controls.n, controls.left_out) == (25, 50)
    assert len({int(age - 40) // 3 for age in controls.age_years}) == 25
