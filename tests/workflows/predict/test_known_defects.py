"""Defects seen in other tools for brain age: each must stay away from this one."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from brainage.bundle.age_line import AgeLine
from brainage.bundle.answer import AgePrediction
from brainage.bundle.intervals import IntervalBin, Intervals
from brainage.bundle.load import load_bundle
from brainage.preprocess.contrast import Contrast
from brainage.scans.source import find_scans
from brainage.workflows.predict import stream
from brainage.workflows.predict.make_row import RowMaker
from brainage.workflows.predict.options import PredictOptions
from brainage.workflows.predict.row import COLUMNS
from brainage.workflows.predict.run import predict
from brainage.workflows.predict.stream import Answering, predict_each
from brainage.workflows.predict.volumes import MakeVolume, VolumeOutcome
from tests.scans.dicom_files import PATIENT, write_series
from tests.workflows.tiny import read_table, sample_scan


@pytest.fixture(scope="module")
def bundle(holdout):
    return load_bundle(holdout.summary.model_dir)


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "a.nii"
    path.touch()
    return replace(find_scans(path).records[0], age_years=40.0)


def outcome_of(record, bundle, **changes):
    shape = bundle.input_shape[1:]
    volume_XYZ = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    fields = {
        "scan": record.scan, "key": "k-h", "status": "ok", "stage": None, "reason": None,
        "cached": False, "seconds": 1.0, "quality": {}, "volume_XYZ": volume_XYZ,
        "contrast": Contrast(1.0, 1.0),
    }  # fmt: skip
    return VolumeOutcome(**{**fields, **changes})


def test_defect_1_a_scan_that_fails_is_never_given_the_brain_of_the_scan_before(predicted):
    """There a fixed temporary file survived, and the previous subject's brain was scored."""
    before, failed, _ = read_table(predicted.table)
    assert (before["status"], failed["status"]) == ("ok", "failed")
    assert {failed[name] for name in COLUMNS if "predicted" in name or "gap" in name} == {""}
    assert len(predicted.network_inputs) == 2, "nothing was asked about the failed scan"


def test_defect_1_no_file_of_a_scan_is_left_for_the_next(bundle, tmp_path, monkeypatch):
    """Volumes are handed over in memory: the folder that processes are given stays empty."""
    seen = []

    class Looking(MakeVolume):
        def __call__(self, path, config, cache):
            outcome = super().__call__(path, config, cache)
            seen.append([entry for entry in cache.folder.rglob("*") if entry.is_file()])
            return outcome

    monkeypatch.setattr(stream, "MakeVolume", Looking)
    records = find_scans(sample_scan("sub-ds00274801")).records
    ((_, row),) = predict_each(records, bundle, PredictOptions())
    assert row.status == "ok"
    assert seen == [[]]


def test_defect_3_scans_of_one_base_name_have_their_own_rows_and_ages(predicted):
    """There outputs were named by base name, and all rows got the last scan's age."""
    rows = read_table(predicted.table)
    assert {Path(row["scan"]).name for row in rows} == {"T1w.nii.gz"}
    assert len({row["subject"] for row in rows}) == 3
    first, _, last = rows
    assert first["predicted_age"] != last["predicted_age"]
    a, b = predicted.network_inputs
    assert not np.array_equal(a, b)


def test_defect_3_a_bad_scan_costs_its_row_and_not_the_table(predicted):
    assert [row["status"] for row in read_table(predicted.table)] == ["ok", "failed", "ok"]


def test_defect_4_a_scan_without_an_age_keeps_its_row_and_raw_stays_raw(bundle, record):
    """There such rows were dropped, and the correction put true age into the prediction."""
    line = AgeLine(slope=0.5, intercept_years=20.0, n=50)
    intervals = Intervals(
        coverage=0.9,
        bins=(IntervalBin(from_years=None, low_years=-4.0, high_years=6.0, n=50),),
    )
    knowing = replace(bundle, age_line=line, intervals=intervals)
    said = AgePrediction(30.0, {})
    outcome = outcome_of(record, bundle)
    with_age = RowMaker(knowing, "last").predicted(record, outcome, said, 0.5)
    assert (with_age.predicted_age, with_age.brain_age_gap) == (30.0, -10.0)
    assert (with_age.predicted_age_corrected, with_age.brain_age_gap_corrected) == (20.0, -20.0)
    assert (with_age.interval_low, with_age.interval_high) == (26.0, 36.0)
    assert with_age.coverage == 0.9
    unknown = RowMaker(knowing, "last").predicted(replace(record, age_years=None), outcome, said, 0)
    assert (unknown.predicted_age, unknown.predicted_age_corrected) == (30.0, 20.0)
    assert (unknown.age_years, unknown.brain_age_gap, unknown.brain_age_gap_corrected) == (
        None,
    ) * 3


def test_defect_4_line_and_intervals_are_of_the_last_block_only(bundle, record):
    line = AgeLine(slope=0.5, intercept_years=20.0, n=50)
    make = RowMaker(replace(bundle, age_line=line), "block2")
    row = make.predicted(record, outcome_of(record, bundle), AgePrediction(30.0, {}), 0.5)
    assert (row.predicted_age, row.predicted_age_corrected) == (30.0, None)
    assert row.model_hash.endswith("+block2")


def test_defect_5_every_row_names_its_subject_and_ages_are_years(predicted, bundle):
    rows = read_table(predicted.table)
    assert all(row["subject"] for row in rows)
    low, high = bundle.calibration["training_age_range_years"]
    assert all(low - 60 < float(row["predicted_age"]) < high + 60 for row in (rows[0], rows[2]))
    assert bundle.calibration["age_unit"] == "years"


def test_defect_6_nothing_of_a_dicom_header_s_person_is_written(holdout, tmp_path, caplog):
    """There PatientName was in the CSV, failed scans were not, and the exit code was 0."""
    write_series(tmp_path / "study", **PATIENT)
    out = tmp_path / "out.csv"
    model = holdout.summary.model_dir
    summary = predict(tmp_path / "study", model=model, out=out, resume=False, jobs=1)
    (row,) = read_table(out)
    assert (row["status"], summary.exit_code) == ("failed", 1)
    written = out.read_text() + caplog.text + json.dumps(summary.to_json())
    assert [value for value in PATIENT.values() if value in written] == []


@pytest.mark.slow
def test_defect_8_intensity_scaling_and_voxel_order_change_no_age(bundle, tmp_path):
    """There ages depended on an undocumented scaling, and head angle moved them by years."""
    image = nib.load(sample_scan("sub-ds00274801"))
    data, affine = np.asarray(image.dataobj, dtype=np.float32), image.affine
    flipped = nib.Nifti1Image(37.0 * data, affine).as_reoriented([[1, -1], [0, 1], [2, -1]])
    nib.save(nib.Nifti1Image(data, affine), tmp_path / "a.nii")
    nib.save(flipped, tmp_path / "b.nii")
    rows = dict(predict_each(find_scans(tmp_path).records, bundle, PredictOptions()))
    assert rows[0].predicted_age == pytest.approx(rows[1].predicted_age, abs=0.05)


def test_defect_8_weights_count_all_predictions_are_not_about_equal(bundle, record):
    other = replace(bundle, members=tuple(replace(m) for m in bundle.members))
    rng = np.random.default_rng(2)
    volumes = [rng.standard_normal(bundle.input_shape[1:]).astype(np.float32) for _ in range(3)]
    ages = [other.predict(volume).age_years for volume in volumes]
    assert len(set(ages)) == 3


def test_defect_8_a_volume_of_another_shape_or_without_numbers_costs_its_row(bundle, record):
    shape = bundle.input_shape[1:]
    good = outcome_of(record, bundle)
    small = outcome_of(record, bundle, volume_XYZ=np.zeros((3, 3, 3), np.float32))
    nothing = outcome_of(record, bundle, volume_XYZ=np.full(shape, np.nan, np.float32))
    rows = Answering(bundle, "last").rows([(record, each) for each in (small, good, nothing)])
    assert [(row.status, row.stage) for row in rows] == [
        ("failed", "network"), ("ok", None), ("failed", "network"),
    ]  # fmt: skip
    assert rows[0].reason.startswith("ValueError: expected a volume of shape (40, 48, 40), got")
    assert math.isfinite(rows[1].predicted_age)


def test_defect_8_a_machine_without_an_accelerator_predicts(bundle):
    device = PredictOptions(device="auto").place()
    assert device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert bundle.to(device).device.type == device.type


def test_the_table_is_one_that_any_reader_reads(predicted):
    with predicted.table.open(newline="", encoding="utf-8") as stream:
        assert all(len(row) == len(COLUMNS) for row in csv.reader(stream))
