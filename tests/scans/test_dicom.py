"""DICOM: converted voxels are in their place, and what is no single T1w volume is refused."""

import logging
import shutil
import struct

import numpy as np
import pytest

from brainage.errors import ScanError
from brainage.scans.nifti import read_scan, read_scan_bytes
from brainage.scans.source import find_scans
from tests.scans.dicom_files import T2W, voxels, write_enhanced, write_series

# DICOM counts left and posterior positive, NIfTI right and anterior: both axes are turned.
IN_RAS = np.flip(voxels().transpose(1, 0, 2), (0, 1))


@pytest.fixture(autouse=True)
def subject_key(monkeypatch):
    monkeypatch.setenv("BRAINAGE_SUBJECT_KEY", "a key of the tests")


def refused(path):
    with pytest.raises(ScanError) as caught:
        read_scan(path)
    assert "\n" not in str(caught.value)
    return caught.value.reason


def test_a_series_becomes_the_volume_that_its_headers_describe(tmp_path):
    files = write_series(tmp_path)
    scan = read_scan(files[0])
    np.testing.assert_array_equal(scan.data_XYZ, IN_RAS)
    # The last voxel in x and y is the first of the file, at (-10, -12) mm in DICOM's axes.
    last = scan.affine @ [19, 23, 0, 1]
    np.testing.assert_allclose(last[:3], [10, 12, 5], atol=1e-4)
    np.testing.assert_allclose(scan.spacing_mm, [0.9, 1.0, 1.5], atol=1e-5)
    assert scan.orientation_stated


def test_one_file_with_many_frames_becomes_the_same_volume(tmp_path):
    scan = read_scan(write_enhanced(tmp_path / "e.dcm"))
    np.testing.assert_array_equal(scan.data_XYZ, IN_RAS)
    np.testing.assert_allclose(scan.spacing_mm, [0.9, 1.0, 1.5], atol=1e-5)


def test_scaled_values_are_scaled(tmp_path):
    files = write_series(tmp_path, RescaleSlope=0.5, RescaleIntercept=3.0)
    np.testing.assert_allclose(read_scan(files[0]).data_XYZ, 0.5 * IN_RAS + 3)


def test_the_same_series_gives_the_same_bytes_from_any_of_its_files_and_its_folder(tmp_path):
    files = write_series(tmp_path)
    expected = read_scan_bytes(files[0])
    assert read_scan_bytes(files[7]) == expected
    assert read_scan_bytes(tmp_path) == expected


def test_files_without_suffix_and_in_any_order_of_names_are_found(tmp_path):
    for number, file in enumerate(reversed(write_series(tmp_path))):
        file.rename(tmp_path / f"MR.{number:03d}")
    (record,) = find_scans(tmp_path).records
    np.testing.assert_array_equal(read_scan(record.scan).data_XYZ, IN_RAS)


def test_missing_slices_are_counted(tmp_path):
    files = write_series(tmp_path, voxels((24, 20, 30)), leave_out=(8, 9, 20))
    assert refused(files[0]) == (
        "series 4: about 3 slices are missing: steps of 1.5 mm, but 2 of up to 4.5 mm"
    )


def mixed(folder, data=None, **header):
    """The files of another stack with the series' own number among those of the series."""
    files = write_series(folder, series="1.2.3")
    for file in write_series(folder / "b", data, series="1.2.3", **header):
        shutil.move(file, folder / f"b{file.name}")
    return files[0]


def test_slices_of_several_sizes(tmp_path):
    other = np.ascontiguousarray(np.swapaxes(voxels(), 0, 1))
    assert "got 18 of 20 x 24, 18 of 24 x 20" in refused(mixed(tmp_path, other))


def test_a_second_volume_in_the_same_place(tmp_path):
    assert "one slice at each place, got 36 at 18 places" in refused(mixed(tmp_path))


def test_uneven_steps_between_slices(tmp_path):
    files = write_series(tmp_path)
    _edit(files[3], ImagePositionPatient=[-10.0, -12.0, 9.2])
    assert refused(files[0]) == "series 4: expected even steps between slices, got 1.2 to 1.8 mm"


def test_slices_in_other_directions(tmp_path):
    files = write_series(tmp_path)
    _edit(files[3], ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    assert "1 of 18 in other directions" in refused(files[0])


def test_slices_shifted_sideways(tmp_path):
    files = write_series(tmp_path)
    _edit(files[3], ImagePositionPatient=[-5.0, -12.0, 9.5])
    assert "shifted sideways" in refused(files[0])


def test_slices_without_a_place(tmp_path):
    files = write_series(tmp_path)
    _edit(files[3], ImagePositionPatient=None)
    assert "1 of 18 slices do not say where they are" in refused(files[0])


def test_too_few_slices(tmp_path):
    files = write_series(tmp_path, voxels((24, 20, 5)))
    assert "expected at least 16 slices, got 5" in refused(files[0])


def test_a_series_with_another_contrast(tmp_path):
    files = write_series(tmp_path, **T2W)
    assert refused(files[0]) == "expected a T1w series, got series 4: 't2' in its name"


def test_a_damaged_file_is_its_own_row(tmp_path):
    write_series(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "0001.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 300)
    bad, good = find_scans(tmp_path).records
    assert refused(bad.scan) == "expected an image, got a damaged DICOM file"
    assert read_scan(good.scan).data_XYZ.shape == (20, 24, 18)


def test_damaged_files_among_good_ones_are_told_of(tmp_path, caplog):
    files = write_series(tmp_path)
    files[5].write_bytes(b"\0" * 128 + b"DICM")
    with caplog.at_level(logging.WARNING):
        (record,) = find_scans(tmp_path).records
    assert "1 files named or marked as DICOM cannot be read" in caplog.text
    assert "about 1 slices are missing" in refused(record.scan)


def test_damaged_voxels_are_refused(tmp_path):
    files = write_series(tmp_path)
    content = files[5].read_bytes()
    files[5].write_bytes(content[: len(content) // 2])
    assert refused(files[0]).startswith("series 4: ")


def test_a_file_without_an_image_is_no_scan(tmp_path):
    file = write_series(tmp_path)[0]
    _edit(file, Rows=None, Columns=None, PixelData=None)
    assert refused(file) == "expected an image, got a DICOM file without an image"


def test_a_folder_without_a_scan(tmp_path):
    assert "a folder without DICOM files" in refused(tmp_path)


def test_a_folder_with_two_studies_is_no_one_scan(tmp_path):
    write_series(tmp_path / "a", study="1.2.3")
    write_series(tmp_path / "b", study="1.2.4")
    assert "found 2 DICOM studies" in refused(tmp_path)


def test_a_series_spread_over_folders_is_read_whole(tmp_path):
    files = write_series(tmp_path)
    (tmp_path / "x" / "1").mkdir(parents=True)
    (tmp_path / "x" / "2").mkdir()
    for number, file in enumerate(files):
        file.rename(tmp_path / "x" / str(1 + number % 2) / file.name)
    (record,) = find_scans(tmp_path).records
    assert record.scan == tmp_path / "x"
    np.testing.assert_array_equal(read_scan(record.scan).data_XYZ, IN_RAS)


def test_copies_of_a_series_in_another_folder_count_once(tmp_path):
    files = write_series(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    (record,) = find_scans(tmp_path).records
    assert record.scan == files[0]


def _edit(file, **elements):
    import pydicom

    image = pydicom.dcmread(file)
    for name, value in elements.items():
        if value is None:
            delattr(image, name)
        else:
            setattr(image, name, value)
    image.save_as(file)


def test_the_affine_is_that_of_a_straight_reading_of_the_slices(tmp_path):
    """Oblique axes: against the formula of the DICOM standard, C.7.6.2.1.1."""
    files = write_series(tmp_path)
    turn = np.radians(25)
    row = np.array([np.cos(turn), np.sin(turn), 0])
    column = np.array([-np.sin(turn), np.cos(turn), 0])
    for index, file in enumerate(files):
        place = [-10.0, -12.0, 5 + 1.5 * index]
        _edit(file, ImageOrientationPatient=[*row, *column], ImagePositionPatient=place)
    scan = read_scan(files[0])
    for i, j, k in ((0, 0, 0), (3, 7, 11), (23, 19, 17)):  # row, column, slice
        lps = np.array([-10, -12, 5 + 1.5 * k]) + row * 0.9 * j + column * 1.0 * i
        index = np.linalg.solve(scan.affine, [-lps[0], -lps[1], lps[2], 1])[:3]
        np.testing.assert_allclose(index, np.rint(index), atol=1e-3)
        assert scan.data_XYZ[tuple(np.rint(index).astype(int))] == voxels()[i, j, k]


def test_bytes_hold_no_time_of_the_scan(tmp_path):
    content, _ = read_scan_bytes(write_series(tmp_path)[0])
    descrip, aux_file = struct.unpack("80s24s", content[148:252])
    assert (descrip.strip(b"\0"), aux_file.strip(b"\0")) == (b"", b"")
