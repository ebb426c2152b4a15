"""MGH files, packed bombs, and headers of pairs."""

import gzip
import struct

import nibabel as nib
import numpy as np
import pytest

from brainage.errors import ScanError
from brainage.scans import formats
from brainage.scans.nifti import parse_scan, read_scan
from brainage.scans.source import find_scans

SHAPE = (18, 20, 22)
TURNED = np.array([[-1.0, 0, 0, 90], [0, 0, 1.2, -80], [0, -1.5, 0, 70], [0, 0, 0, 1]])


def volume(dtype=np.int16):
    return np.random.default_rng(0).integers(0, 200, SHAPE).astype(dtype)


def refused(path):
    with pytest.raises(ScanError) as caught:
        read_scan(path)
    return caught.value.reason


@pytest.mark.parametrize("name", ["scan.mgh", "scan.mgz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
def test_an_mgh_file_is_the_scan_that_the_same_nifti_is(tmp_path, name, dtype):
    nib.MGHImage(volume(dtype), TURNED).to_filename(tmp_path / name)
    nib.Nifti1Image(volume(dtype), TURNED).to_filename(tmp_path / "scan.nii")
    scan, same = read_scan(tmp_path / name), read_scan(tmp_path / "scan.nii")
    np.testing.assert_array_equal(scan.data_XYZ, same.data_XYZ)
    np.testing.assert_allclose(scan.affine, same.affine, atol=1e-4)
    assert scan.orientation_stated


def test_an_mgh_file_that_states_no_orientation_says_so(tmp_path, caplog):
    content = bytearray(nib.MGHImage(volume(), np.eye(4)).to_bytes())
    content[28:30] = b"\0\0"
    (tmp_path / "scan.mgh").write_bytes(content)
    assert not read_scan(tmp_path / "scan.mgh").orientation_stated
    assert "states no orientation" in caplog.text


def test_a_truncated_mgh_file_is_refused(tmp_path):
    content = nib.MGHImage(volume(), np.eye(4)).to_bytes()
    (tmp_path / "scan.mgh").write_bytes(content[:9000])
    assert refused(tmp_path / "scan.mgh").startswith("truncated: the header promises ")


def test_a_series_of_mgh_volumes_is_refused_with_their_number(tmp_path):
    nib.MGHImage(np.stack([volume()] * 3, axis=3), np.eye(4)).to_filename(tmp_path / "scan.mgz")
    assert refused(tmp_path / "scan.mgz") == (
        "expected one 3D volume, got shape 18 x 20 x 22 x 3, a series of 3 volumes"
    )


def test_mgh_files_are_found_in_a_folder_and_named_without_their_suffix(tmp_path):
    nib.MGHImage(volume(), np.eye(4)).to_filename(tmp_path / "anna.mgz")
    (record,) = find_scans(tmp_path).records
    assert (record.scan.name, record.subject) == ("anna.mgz", "anna")


def test_a_stream_that_unpacks_to_more_than_its_header_promises_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "SPARE_BYTES", 1000)
    content = nib.Nifti1Image(volume(), np.eye(4)).to_bytes()
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(gzip.compress(content + bytes(1000)))
    assert read_scan(path).data_XYZ.shape == SHAPE
    path.write_bytes(gzip.compress(content + bytes(1001)))
    assert "the gzip stream holds more than the" in refused(path)


def test_a_header_that_promises_more_than_any_scan_is_refused_before_unpacking(tmp_path):
    header = nib.Nifti1Header()
    header.set_data_shape((1024, 1024, 1024))
    header["magic"], header["vox_offset"] = b"n+1", 352
    (tmp_path / "scan.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(10_000)))
    assert refused(tmp_path / "scan.nii.gz").startswith("expected at most 268435456 voxels")


def test_a_header_that_puts_the_voxels_beyond_any_file_is_refused_before_unpacking(tmp_path):
    """Found by altering bytes: such a number was asked for as memory."""
    content = bytearray(nib.Nifti2Image(volume(), np.eye(4)).to_bytes())
    content[168:176] = struct.pack("<q", 2**62)  # vox_offset
    (tmp_path / "scan.nii.gz").write_bytes(gzip.compress(content))
    assert refused(tmp_path / "scan.nii.gz").startswith("damaged NIfTI header: ")


@pytest.mark.parametrize("image_class", [nib.Nifti1Pair, nib.Nifti2Pair])
def test_a_nifti_pair_is_named_as_what_it_is(tmp_path, image_class):
    image_class(volume(), np.eye(4)).to_filename(tmp_path / "scan.hdr")
    assert "the header of an .hdr/.img pair; convert it to one file" in refused(
        tmp_path / "scan.hdr"
    )


def test_an_analyze_header_has_a_row_that_says_what_it_lacks(tmp_path):
    nib.AnalyzeImage(volume(), np.eye(4)).to_filename(tmp_path / "scan.hdr")
    (record,) = find_scans(tmp_path).records
    assert "Analyze does not say which side is left" in refused(record.scan)


def test_what_is_repaired_in_silence_elsewhere_warns_nobody_here(tmp_path):
    """An extension of an odd size makes nibabel warn; the voxels are read all the same."""
    image = nib.Nifti1Image(volume(), np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x"))
    content = bytearray(image.to_bytes())
    content[352:356] = struct.pack("<i", 15)
    assert parse_scan(tmp_path, bytes(content), "").data_XYZ.shape == SHAPE
