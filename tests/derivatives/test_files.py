import gzip
import threading
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from brainage.derivatives.files import nifti_bytes, write_bytes, write_together
from brainage.errors import RunFolderError


def test_files_are_written_and_nothing_else_is_left(tmp_path):
    contents = {Path("a/b/one"): b"1", Path("two"): b"2"}
    write_together(tmp_path, contents)
    found = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert found == contents
    assert not list(tmp_path.glob(".*"))


def test_a_run_that_is_cut_off_leaves_no_old_file_that_vouches_for_new_ones(tmp_path, monkeypatch):
    contents = {Path("image"): b"old", Path("sidecar"): b"old"}
    write_together(tmp_path, contents)
    original, moved = Path.replace, []

    def fail_at_the_second(self, target):
        if moved:
            raise OSError(28, "No space left on device")
        moved.append(target)
        return original(self, target)

    monkeypatch.setattr(Path, "replace", fail_at_the_second)
    with pytest.raises(RunFolderError, match="No space left"):
        write_together(tmp_path, dict.fromkeys(contents, b"new"))
    assert (tmp_path / "image").read_bytes() == b"new"
    assert not (tmp_path / "sidecar").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_reader_never_sees_half_a_file(tmp_path):
    path, seen = tmp_path / "table", set()
    write_bytes(path, b"0" * 100_000)
    stop = threading.Event()

    def read():
        while not stop.is_set():
            seen.add(len(path.read_bytes()))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(30):
        write_bytes(path, b"%d" % (number % 10) * 100_000)
    stop.set()
    reader.join()
    assert seen == {100_000}


def test_a_volume_says_where_it_is_and_is_the_same_file_twice():
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-80, -112, -75]
    data = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    content = nifti_bytes(data, affine)
    image = nib.Nifti1Image.from_bytes(gzip.decompress(content))
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), data)
    np.testing.assert_array_equal(image.affine, affine)
    codes = (int(image.header["sform_code"]), int(image.header["qform_code"]))
    assert codes == (4, 4)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert nifti_bytes(data, affine) == content
