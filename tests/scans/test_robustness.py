"""Odd readers' files: each is a scan, or a row that says why not; never a traceback."""

import os
from pathlib import Path

import pytest

from brainage.errors import BrainageError, ManifestError, ScanError
from brainage.scans.nifti import read_scan
from brainage.scans.source import find_scans

SHARED = Path(os.environ.get("BRAINAGE_DATA", Path(__file__).parents[3] / "shared" / "data"))
ROBUSTNESS = SHARED / "robustness"
SERIES = SHARED / "dicom" / "t1w_series"

needs_data = pytest.mark.skipif(not ROBUSTNESS.is_dir(), reason="needs ../shared/data")

NOT_T1W = "check: expected a T1w series, got series "
ENDINGS = {
    "dicom/failing/slicecount/001/IM-0001-0001-0001.dcm": f"{NOT_T1W}4: an echo time of 394 ms",
    "dicom/failing/sliceorientation/001/IM-0001-0001-0001.dcm": f"{NOT_T1W}501: an echo time of 12",
    "dicom/generic/anatomical/002_non_isotropic/001.dcm": "check: series 201: expected at least 16",
    "dicom/generic/compressed/001/IM-0001-0001-0001.dcm": f"{NOT_T1W}4: an echo time of 394 ms",
    "dicom/siemens/anatomical/001/IM-0001-0112-0001.dcm": f"{NOT_T1W}4: an echo time of 394 ms",
    "dicom/siemens/anatomical/001_ground_truth.nii.gz": "check: expected 16 to 1024 voxels per ",
    "nibabel/analyze.hdr": "read: expected NIfTI, got an Analyze header",
    "nibabel/anatomical.nii": "a scan of 33 x 41 x 25",
    "nibabel/example4d.nii.gz": "check: expected one 3D volume, got shape 128 x 96 x 24 x 2, a ser",
    "nibabel/example_nifti2.nii.gz": "check: expected one 3D volume, got shape 32 x 20 x 12 x 2, ",
    "nibabel/functional.nii": "check: expected one 3D volume, got shape 17 x 21 x 3 x 20, a series",
    "nibabel/standard.nii.gz": "check: expected 16 to 1024 voxels per axis, got 4 x 5 x 7",
    "nibabel/test.mgz": "check: expected one 3D volume, got shape 3 x 4 x 5 x 2, a series of 2",
}


@pytest.fixture(autouse=True)
def subject_key(monkeypatch):
    monkeypatch.setenv("BRAINAGE_SUBJECT_KEY", "a key of the tests")


def ending(path):
    """What finding and reading come to, in one line; any other error than ours fails the test."""
    try:
        scan = read_scan(path)
    except ScanError as error:
        return f"{error.stage}: {error.reason}"
    return f"a scan of {' x '.join(map(str, scan.data_XYZ.shape))}"


def ending_alone(path):
    try:
        (record,) = find_scans(path).records
    except ManifestError as error:
        return str(error)
    return ending(record.scan)


@needs_data
def test_every_odd_file_of_a_folder_ends_as_it_should():
    endings = {
        r.scan.relative_to(ROBUSTNESS).as_posix(): ending(r.scan)
        for r in find_scans(ROBUSTNESS).records
    }
    assert endings.keys() == ENDINGS.keys()
    wrong = {name: got for name, got in endings.items() if not got.startswith(ENDINGS[name])}
    assert wrong == {}


@needs_data
def test_every_odd_file_alone_is_a_row_or_one_line():
    files = sorted(path for path in ROBUSTNESS.rglob("*") if path.is_file())
    endings = {path: ending_alone(path) for path in files}
    assert len(endings) >= 26
    assert [path for path, text in endings.items() if "\n" in text or ": " not in text[:60]] == [
        ROBUSTNESS / "nibabel" / "anatomical.nii"
    ]
    texts = [path.name for path, text in endings.items() if "got a file named" in text]
    assert texts == ["LICENSE", "COPYING"]


@pytest.mark.skipif(not SERIES.is_dir(), reason="needs ../shared/data")
def test_the_real_series_becomes_a_head_and_its_invented_patient_stays_unknown(caplog):
    caplog.set_level("DEBUG")
    (record,) = find_scans(SERIES).records
    scan = read_scan(record.scan)
    assert scan.data_XYZ.shape == (274, 384, 128)
    assert scan.spacing_mm == pytest.approx([0.7, 0.667, 2.0], abs=0.01)
    assert record.age_years == 42
    assert "series 401 taken: 't1' in its name; 128 slices" in str(record.note)
    told = f"{record} {caplog.text}".lower()
    assert [value for value in ("jane", "doe", "1966", "20130717") if value in told] == []


def test_a_path_that_no_file_can_have_is_a_row(tmp_path):
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(ScanError, match="found nothing at this path"):
            read_scan(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"\0" * 400, b"DICM" * 100, b"\x1f\x8b" + b"\0" * 50])
@pytest.mark.parametrize(
    "name", ["a.nii", "a.nii.gz", "a.mgh", "a.mgz", "a.hdr", "a.dcm", "a.zip", "a.tar.gz", "a.csv"]
)
def test_a_file_of_rubbish_is_a_row_or_one_line_whatever_its_name(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BrainageError) as caught:
        read_scan(find_scans(path).records[0].scan)
    assert "\n" not in str(caught.value)
