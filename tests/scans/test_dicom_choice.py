"""Which series of a study is taken, and what is said about it."""

import logging

import pytest

from brainage.scans.source import find_scans
from tests.scans.dicom_files import T2W, voxels, write_series

UNNAMED = dict.fromkeys(
    ("SeriesDescription", "ScanningSequence", "MRAcquisitionType", "EchoTime", "RepetitionTime",
     "InversionTime")
)  # fmt: skip


def series(folder, **header):
    """Two slices are enough to choose by."""
    return write_series(folder, voxels((24, 20, header.pop("slices", 2))), **header)


@pytest.fixture(autouse=True)
def subject_key(monkeypatch):
    monkeypatch.setenv("BRAINAGE_SUBJECT_KEY", "a key of the tests")


def taken(folder):
    (record,) = find_scans(folder).records
    return record


def test_the_t1w_series_of_a_study_is_taken_and_the_others_are_told_why_not(tmp_path, caplog):
    series(tmp_path / "a", number=1, SeriesDescription="localizer")
    series(tmp_path / "b", number=2, **T2W)
    t1w = series(tmp_path / "c", number=3)
    series(tmp_path / "d", number=4, ScanningSequence="EP", SeriesDescription=None)
    with caplog.at_level(logging.INFO):
        record = taken(tmp_path)
    assert record.scan == t1w[0]
    assert record.note == (
        "series 3 taken: 't1' in its name; 2 slices; "
        "series 1 left out ('localizer' in its name; 2 slices); "
        "series 2 left out ('t2' in its name; 2 slices); "
        "series 4 left out (echo-planar; 2 slices)"
    )
    assert f"{t1w[0]}: {record.note}" in caplog.text


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({}, {"SeriesDescription": "tfl3d_post_gd"}),
        ({}, {"ContrastBolusAgent": "agent"}),
        ({}, {"ImageType": ["DERIVED", "SECONDARY", "MPR"]}),
        ({}, {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"]}),
        ({}, {"MRAcquisitionType": "2D"}),
        ({}, {**UNNAMED}),
        ({}, {**UNNAMED, "ScanningSequence": "GR", "MRAcquisitionType": "3D", "EchoTime": 3.0}),
        ({**UNNAMED, "ScanningSequence": "SE", "EchoTime": 12.0, "RepetitionTime": 500.0}, UNNAMED),
        ({**UNNAMED}, {"SeriesDescription": "FLAIR"}),
        ({**UNNAMED}, {"ImageType": ["ORIGINAL", "PRIMARY", "P"]}),
        ({**UNNAMED}, {"Modality": "CT"}),
        (UNNAMED, {**UNNAMED, "ScanningSequence": "SE", "EchoTime": 9., "RepetitionTime": 3e3}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("better_is_first", [True, False])
def test_the_better_of_two_series_is_taken_whatever_their_order(
    tmp_path, better, worse, better_is_first
):
    files = series(tmp_path / "better", number=2 if better_is_first else 5, **better)
    series(tmp_path / "worse", number=5 if better_is_first else 2, **worse)
    assert taken(tmp_path).scan == files[0]


def test_more_slices_come_before_fewer_and_then_the_lower_number(tmp_path):
    series(tmp_path / "a", slices=1, number=1)
    lower = series(tmp_path / "b", number=2)
    series(tmp_path / "c", number=3)
    assert taken(tmp_path).scan == lower[0]


def test_a_study_without_a_t1w_series_keeps_a_row_that_says_so(tmp_path):
    series(tmp_path, **T2W)
    assert taken(tmp_path).note.startswith("series 4 is not T1w, and no other is: 't2'")


def test_words_of_the_description_that_are_not_ours_are_not_told(tmp_path):
    series(tmp_path, SeriesDescription="Quillon t1w for Dr Refersworth")
    assert taken(tmp_path).note == "series 4 taken: 't1' in its name; 2 slices"


def test_one_file_stands_for_its_series(tmp_path):
    files = series(tmp_path)
    (record,) = find_scans(files[1]).records
    assert (record.scan, record.age_years is None, record.note) == (files[1], False, None)
