"""The golden scan: nobody's brain, and the proof that a model still computes the same."""

import json

import nibabel as nib
import numpy as np
import pytest

from brainage.bundle.golden import TOLERANCE_YEARS, GoldenResult, replay_golden, write_golden_scan
from brainage.bundle.load import load_bundle
from brainage.bundle.model import AgePrediction
from brainage.errors import BundleError
from brainage.preprocess.template import load_template
from tests.bundle.conftest import edit_json

SAYS_41 = AgePrediction(41.0, {1: 9.0, 3: 41.0})


def test_the_golden_scan_is_the_template_and_carries_no_text(saved):
    image = nib.load(saved.folder / "golden/scan.nii.gz")
    expected = (load_template().brain_XYZ * 1000).astype(np.int16)
    np.testing.assert_array_equal(np.asarray(image.dataobj), expected)
    assert not np.allclose(image.affine, load_template().affine, atol=1)
    for field in ("descrip", "aux_file", "intent_name", "db_name"):
        assert image.header[field].item().strip(b"\0") == b"", field
    assert len(image.header.extensions) == 0


def test_its_brain_is_of_a_usual_size(saved):
    """Or narrow limits for a cohort's brains would refuse it, after all the training."""
    image = nib.load(saved.folder / "golden/scan.nii.gz")
    voxel_ml = abs(np.linalg.det(image.affine[:3, :3])) / 1000
    assert 1200 < np.count_nonzero(image.get_fdata()) * voxel_ml < 1500


def test_the_same_scan_is_written_every_time(saved, tmp_path):
    write_golden_scan(tmp_path)
    written = (tmp_path / "golden/scan.nii.gz").read_bytes()
    assert written == (saved.folder / "golden/scan.nii.gz").read_bytes()


def test_the_expected_age_is_stored_and_the_replay_agrees(saved):
    expected = json.loads((saved.folder / "golden/expected.json").read_text())
    bundle = load_bundle(saved.folder)
    result = replay_golden(bundle)
    assert result.expected_years == expected["predicted_age_years"] == result.obtained_years
    assert result.agrees
    assert expected["preprocessing_hash"] == bundle.preprocessing_hash
    assert set(expected["predicted_age_years_by_block"]) == {"1", "2", "3"}
    assert expected["predicted_age_years_by_block"]["3"] == expected["predicted_age_years"]


def test_another_age_than_the_expected_one_is_found_out(saved, monkeypatch):
    monkeypatch.setattr("brainage.bundle.golden.predict_golden", lambda bundle: SAYS_41)
    result = replay_golden(saved)
    assert result.obtained_years == 41.0
    assert result.expected_years != 41.0
    assert not result.agrees


@pytest.mark.parametrize(
    ("difference", "agrees"),
    [(0.0, True), (0.9 * TOLERANCE_YEARS, True), (-1.1 * TOLERANCE_YEARS, False)],
)
def test_small_differences_of_another_machine_are_allowed(difference, agrees):
    assert GoldenResult(40.0, 40.0 + difference).agrees is agrees


@pytest.mark.parametrize("age", [None, "forty", [40.0]])
def test_a_damaged_expectation_is_named(age, copied, monkeypatch):
    edit_json(copied / "golden/expected.json", predicted_age_years=age)
    bundle = load_bundle(copied)
    monkeypatch.setattr("brainage.bundle.golden.predict_golden", lambda bundle: SAYS_41)
    with pytest.raises(BundleError, match=r"expected\.json: damaged: expected an age, got "):
        replay_golden(bundle)
