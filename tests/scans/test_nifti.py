"""Reading: what is understood, and what each kind of bad file is told."""

import gzip
import hashlib
import pickle
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from brainage.errors import ScanError
from brainage.scans.nifti import read_scan

SHAPE = (18, 20, 22)
ROBUSTNESS = Path(__file__).parents[3] / "shared" / "data" / "robustness" / "nibabel"


def volume(shape=SHAPE, dtype=np.int16):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def save(path, data=None, affine=None, image_class=nib.Nifti1Image, **header):
    image = image_class(volume() if data is None else data, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    image.to_filename(path)
    return path


def refused(path):
    with pytest.raises(ScanError) as info:
        read_scan(path)
    assert str(path) in str(info.value)
    return info.value


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("image_class", [nib.Nifti1Image, nib.Nifti2Image])
def test_values_affine_and_hash_are_those_of_the_file(tmp_path, name, image_class):
    affine = np.diag([1.0, 1.5, 2.0, 1.0])
    path = save(tmp_path / name, affine=affine, image_class=image_class)
    scan = read_scan(path)
    assert scan.data_XYZ.dtype == np.float32
    np.testing.assert_array_equal(scan.data_XYZ, volume())
    np.testing.assert_array_equal(scan.affine, affine)
    assert scan.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("codes", ["LPS", "PSR", "IAL", "RAS", "SRA"])
def test_any_orientation_is_turned_to_ras_and_keeps_every_voxel_in_its_place(tmp_path, codes):
    ras = nib.Nifti1Image(volume(), np.diag([1.0, 1.5, 2.0, 1.0]))
    turned = ras.as_reoriented(
        nib.orientations.ornt_transform(
            nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(codes)
        )
    )
    turned.to_filename(tmp_path / "scan.nii")
    scan = read_scan(tmp_path / "scan.nii")
    np.testing.assert_array_equal(scan.data_XYZ, volume())
    np.testing.assert_allclose(scan.affine, ras.affine, atol=1e-6)


def test_oblique_axes_are_kept_in_the_affine(tmp_path):
    angle = np.radians(20)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    scan = read_scan(save(tmp_path / "scan.nii", affine=affine))
    np.testing.assert_allclose(scan.affine, affine, atol=1e-6)
    np.testing.assert_array_equal(scan.data_XYZ, volume())


def test_big_endian_files_are_understood(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.Nifti1Image(volume(), np.eye(4), header).to_filename(tmp_path / "scan.nii")
    assert (tmp_path / "scan.nii").read_bytes()[:4] == b"\x00\x00\x01\x5c"
    np.testing.assert_array_equal(read_scan(tmp_path / "scan.nii").data_XYZ, volume())


def test_scaled_integers_are_scaled(tmp_path):
    image = nib.Nifti1Image(volume(), np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    image.to_filename(tmp_path / "scan.nii")
    np.testing.assert_array_equal(
        read_scan(tmp_path / "scan.nii").data_XYZ, 0.5 * volume() + np.float32(10)
    )


def test_trailing_axes_of_length_one_are_dropped(tmp_path):
    path = save(tmp_path / "scan.nii", data=volume()[..., None, None])
    assert read_scan(path).data_XYZ.shape == SHAPE


def test_gzip_is_recognised_by_content_and_not_by_name(tmp_path):
    save(tmp_path / "scan.nii")
    (tmp_path / "odd.nii").write_bytes(gzip.compress((tmp_path / "scan.nii").read_bytes()))
    np.testing.assert_array_equal(read_scan(tmp_path / "odd.nii").data_XYZ, volume())


def test_unstated_orientation_is_recorded_and_logged(tmp_path, caplog):
    image = nib.Nifti1Image(volume(), np.eye(4))
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    image.to_filename(tmp_path / "scan.nii")
    assert not read_scan(tmp_path / "scan.nii").orientation_stated
    assert "states no orientation" in caplog.text


def test_missing_file(tmp_path):
    error = refused(tmp_path / "absent.nii.gz")
    assert (error.stage, "nothing at this path" in error.reason) == ("read", True)


def test_folder_instead_of_a_file(tmp_path):
    assert "a folder" in refused(tmp_path).reason


def test_empty_file(tmp_path):
    (tmp_path / "scan.nii.gz").touch()
    error = refused(tmp_path / "scan.nii.gz")
    assert (error.stage, "0 bytes" in error.reason) == ("read", True)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.99])
def test_truncated_files(tmp_path, name, kept):
    path = save(tmp_path / name)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    error = refused(path)
    assert error.stage == "read"
    assert "truncated" in error.reason or "cut short" in error.reason


def test_damaged_gzip_stream(tmp_path):
    path = save(tmp_path / "scan.nii.gz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert refused(path).stage == "read"


@pytest.mark.parametrize("content", [b"\x89PNG\r\n" * 100, b"x", b"age,sex\n" * 100, b"\0" * 600])
def test_files_that_are_not_nifti(tmp_path, content):
    (tmp_path / "scan.nii").write_bytes(content)
    error = refused(tmp_path / "scan.nii")
    assert (error.stage, "expected NIfTI" in error.reason) == ("read", True)


def test_header_of_an_analyze_pair(tmp_path):
    nib.AnalyzeImage(volume(), np.eye(4)).to_filename(tmp_path / "scan.hdr")
    assert "Analyze" in refused(tmp_path / "scan.hdr").reason


def test_damaged_header(tmp_path):
    path = save(tmp_path / "scan.nii")
    content = bytearray(path.read_bytes())
    content[70:72] = b"\x77\x77"  # the code of the voxels' type
    path.write_bytes(content)
    assert "damaged NIfTI header" in refused(path).reason


def test_more_than_one_volume(tmp_path):
    error = refused(save(tmp_path / "scan.nii", data=volume((*SHAPE, 3))))
    assert (error.stage, "18 x 20 x 22 x 3" in error.reason) == ("check", True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_voxels_are_counted(tmp_path, value):
    data = volume(dtype=np.float32)
    data[1, 2, 3:5] = value
    error = refused(save(tmp_path / "scan.nii", data=data))
    assert (error.stage, "2 of 7920" in error.reason) == ("check", True)


@pytest.mark.parametrize("value", [0, 7])
def test_constant_volumes(tmp_path, value):
    error = refused(save(tmp_path / "scan.nii", data=np.full(SHAPE, value, np.int16)))
    assert (error.stage, f"the value {value} in every voxel" in error.reason) == ("check", True)


@pytest.mark.parametrize("shape", [(20, 20, 15), (20, 20, 1), (1025, 16, 16)])
def test_sizes_of_no_head(tmp_path, shape):
    error = refused(save(tmp_path / "scan.nii", data=volume(shape)))
    assert (error.stage, "voxels per axis" in error.reason) == ("check", True)


@pytest.mark.parametrize("spacing_mm", [0.01, 10.5, 1000.0])
def test_spacings_of_no_head(tmp_path, spacing_mm):
    affine = np.diag([1.0, spacing_mm, 1.0, 1.0])
    error = refused(save(tmp_path / "scan.nii", affine=affine))
    assert (error.stage, "voxel spacing" in error.reason) == ("check", True)


def test_singular_affine(tmp_path):
    path = save(tmp_path / "scan.nii", sform_code=2)
    content = bytearray(path.read_bytes())
    content[296:312] = content[280:296]  # sform: the second row becomes a copy of the first
    path.write_bytes(content)
    assert refused(path).stage == "check"


def test_two_equal_axes(tmp_path):
    affine = np.eye(4)
    affine[:3, 1] = [1, 0.01, 0]
    image = nib.Nifti1Image(volume(), np.eye(4))
    image.header.set_sform(affine, 2)
    image.header["qform_code"] = 0
    image = nib.Nifti1Image(volume(), None, image.header)
    image.to_filename(tmp_path / "scan.nii")
    assert "singular affine" in refused(tmp_path / "scan.nii").reason


def test_affine_that_is_not_finite(tmp_path):
    path = save(tmp_path / "scan.nii", sform_code=2)
    content = bytearray(path.read_bytes())
    content[280:284] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    assert "finite affine" in refused(path).reason


def test_colour_voxels(tmp_path):
    rgb = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    rgb["R"] = volume()
    assert "real-valued voxels" in refused(save(tmp_path / "scan.nii", data=rgb)).reason


def test_errors_survive_the_way_out_of_a_worker_process(tmp_path):
    error = refused(tmp_path / "absent.nii")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.scan, copy.stage, copy.reason) == (error.scan, error.stage, error.reason)


@pytest.mark.skipif(not ROBUSTNESS.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("standard.nii.gz", "check"),  # 4 x 5 x 7
        ("example4d.nii.gz", "check"),
        ("functional.nii", "check"),
        ("analyze.hdr", "read"),
        ("test.mgz", "check"),
    ],
)
def test_odd_readers_files_are_refused_with_a_reason(name, stage):
    assert refused(ROBUSTNESS / name).stage == stage


@pytest.mark.skipif(not ROBUSTNESS.is_dir(), reason="needs ../shared/data")
def test_foreign_big_endian_file_is_read():
    scan = read_scan(ROBUSTNESS / "anatomical.nii")
    expected = nib.as_closest_canonical(nib.load(ROBUSTNESS / "anatomical.nii"))
    np.testing.assert_array_equal(scan.data_XYZ, expected.get_fdata(dtype=np.float32))
