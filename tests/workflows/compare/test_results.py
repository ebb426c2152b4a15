from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from brainage.reporting.comparison import ArmCost
from brainage.reporting.csv_text import csv_text
from brainage.scans.manifest import ScanRecord
from brainage.workflows.compare.fit import FitRow, RowStore
from brainage.workflows.compare.results import Results, median_or_none
from brainage.workflows.train.cohort import Cohort
from tests.workflows.tiny import tiny_config

AGES = [20.0, 40.0, 60.0]
COST = ArmCost(
    step_seconds=0.5,
    step_seconds_iqr=0.0,
    samples_per_second=6.0,
    peak_memory_bytes=1,
    activation_bytes=1,
    joules_per_step=None,
    energy_counter="no counter",
    device_name="CPU",
)


def row(arm, predicted, validation=(), **fields):
    history = [
        {"epoch": float(epoch), "seconds": 10.0 * epoch, "val/mae_years": mae}
        for epoch, mae in enumerate(validation, start=1)
    ]
    filled = {
        "seed": 0,
        "fold": 1,
        "fingerprint": "f",
        "scans": [0, 1, 2],
        "predicted": {"last": predicted},
        "history": history,
        "num_training_scans": 7,
    }
    return FitRow(arm=arm, **(filled | fields))


def results(rows, *, seeds=(0,), target=None, costs=None) -> Results:
    """Three people of 20, 40 and 60 years, batches of 3."""
    records = tuple(
        ScanRecord(scan=f"{name}.nii", subject=name, session=None, age_years=age)
        for name, age in zip("pqr", AGES, strict=True)
    )
    cohort = Cohort(records, None, np.array(AGES, np.float32), ("a", "b", "c"), (), 0, (1, 2, 2, 2))
    config = SimpleNamespace(seeds=seeds, target_mae_years=target, reference="bp")
    arms = {
        name: tiny_config(objective={"name": "bp"}) for name in dict.fromkeys(r.arm for r in rows)
    }
    mean = [
        replace(row("baselines", AGES), seed=seed, predicted={"mean": [40.0] * 3}) for seed in seeds
    ]
    return Results(config, arms, cohort, rows, mean, costs or {})


def test_a_contrast_worked_out_by_hand():
    """Errors of a: 4, 3, 8, of bp: 3, 1, 2; differences 1, 2, 6 (see the statistics' test)."""
    found = results([row("bp", [23, 41, 62]), row("a", [24, 43, 68])])
    contrasts = {(each.a, each.b): each.difference_years for each in found.contrasts()}
    ours = contrasts["a", "bp"]
    assert (ours.value, ours.low, ours.high) == (3.0, 1.0, 6.0)
    assert contrasts["a", "mean"].value == pytest.approx(5 - 40 / 3)
    assert ("bp", "mean") in contrasts


def test_errors_not_predictions_are_averaged_over_seeds():
    """Seeds miss by 2 years above and 6 below: the mean prediction would be 2 years off."""
    rows = [row("bp", [22, 42, 62], seed=0), row("bp", [14, 34, 54], seed=1)]
    arm = results(rows, seeds=(0, 1)).arm_result("bp")
    assert arm.mae_years.value == 4.0
    assert arm.mae_by_seed == (2.0, 6.0)


def test_the_target_is_what_the_slowest_arm_of_a_seed_and_fold_ends_with():
    rows = [row("bp", AGES, [9, 5, 4, 3]), row("a", AGES, [8, 7, 6, 5.5])]
    found = results(rows)
    assert [found.target_of(each) for each in rows] == [5.5, 5.5]
    assert [found.epochs_to_target(each) for each in rows] == [2, 4]
    assert [found.seconds_to_target(each) for each in rows] == [20, 40]
    timed = results(rows, costs={"bp": COST, "a": COST})
    # 7 scans in batches of 3 are 3 steps of half a second an epoch
    assert [timed.seconds_to_target(each) for each in rows] == [3.0, 6.0]


def test_a_target_that_is_never_reached_has_no_time():
    rows = [row("bp", AGES, [9, 5]), row("a", AGES, [8, 7])]
    found = results(rows, target=5.0)
    assert [found.epochs_to_target(each) for each in rows] == [2, None]
    assert found.arm_result("a").seconds_to_target is None
    assert found.arm_result("a").num_reached == 0


def test_weights_of_an_earlier_epoch_count_with_its_validation_error():
    stopped = row("bp", AGES, [9, 3, 4, 5], kept_epoch=2)
    assert stopped.final_validation_mae_years == 3
    assert row("bp", AGES, [9, 3, 4, 5]).final_validation_mae_years == 5


def test_a_failed_fit_takes_its_arm_out_of_errors_and_contrasts():
    rows = [row("bp", AGES), replace(row("a", AGES), predicted={}, reason="nan")]
    found = results(rows)
    arm = found.arm_result("a")
    assert arm.mae_years is None
    assert arm.failures == ("seed 0, fold 1: nan",)
    assert {(each.a, each.b) for each in found.contrasts()} == {("bp", "mean")}


def test_a_median_counts_never_as_later_than_everything():
    assert median_or_none([1, 2, None]) == 2
    assert median_or_none([1, None, None]) is None
    assert median_or_none([]) is None


def test_rows_are_found_again_unless_of_other_scans_or_damaged(tmp_path, caplog):
    store = RowStore(tmp_path / "rows")
    kept = row("a", AGES, [2, 1])
    store.keep(kept)
    assert store.load("a", 0, 1, "f", (0, 1, 2)) == kept
    assert store.load("a", 0, 2, "f", (0, 1, 2)) is None
    assert store.load("a", 0, 1, "other", (0, 1, 2)) is None
    assert store.load("a", 0, 1, "f", (0, 1)) is None
    store.path("a", 0, 1).write_text('{"arm": "a"}')
    assert store.load("a", 0, 1, "f", (0, 1, 2)) is None
    assert "damaged" in caplog.text


def test_tables_hold_lists_and_what_is_not_known():
    rows = [{"a": 1.23456789, "b": [1.5, 2], "c": None, "d": {"x": 0.25}}]
    assert csv_text(rows) == "a,b,c,d\n1.23457,1.5;2,,x=0.25\n"
