"""Archives: what is in them is read as from a folder, what is dangerous is refused by name."""

import io
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from brainage.errors import ManifestError, ScanError
from brainage.scans import archive as archive_module
from brainage.scans.nifti import read_scan, read_scan_bytes
from brainage.scans.source import find_scans
from brainage.scans.workspace import workspace
from tests.scans.dicom_files import write_series


@pytest.fixture(autouse=True)
def workspace_of_the_test(monkeypatch, tmp_path):
    """A workspace of this test's own, as a parent process would hand it down."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / ".in-use").touch()
    monkeypatch.setenv("BRAINAGE_WORKSPACE", str(folder))
    monkeypatch.setenv("BRAINAGE_SUBJECT_KEY", "a key of the tests")
    return folder


def volume():
    data = np.random.default_rng(0).integers(0, 200, (18, 20, 22)).astype(np.int16)
    return nib.Nifti1Image(data, np.eye(4))


def pack(path, folder):
    """Everything below a folder as an archive of the kind that the name says."""
    names = sorted(p for p in folder.rglob("*") if p.is_file())
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                file.write(name, name.relative_to(folder))
    else:
        with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as file:
            file.add(folder, ".")
    return path


KINDS = ["a.zip", "a.tar", "a.tar.gz", "a.tgz"]


@pytest.mark.parametrize("kind", KINDS)
def test_scans_of_an_archive_are_those_of_the_folder_under_the_archive_s_name(tmp_path, kind):
    folder = tmp_path / "f"
    (folder / "deep").mkdir(parents=True)
    volume().to_filename(folder / "deep" / "x.nii.gz")
    volume().to_filename(folder / "sub-01_ses-2_T1w.nii")
    path = pack(tmp_path / kind, folder)
    records = find_scans(path).records
    assert [r.scan for r in records] == [path / "deep/x.nii.gz", path / "sub-01_ses-2_T1w.nii"]
    assert [(r.subject, r.session) for r in records] == [("deep/x", None), ("sub-01", "ses-2")]
    for record in records:
        original = folder / record.scan.relative_to(path)
        assert read_scan_bytes(record.scan) == read_scan_bytes(original)
    assert read_scan(records[0].scan).source == path / "deep/x.nii.gz"


@pytest.mark.parametrize("kind", KINDS)
def test_a_dicom_series_in_an_archive_is_read(tmp_path, kind):
    files = write_series(tmp_path / "f" / "scan")
    path = pack(tmp_path / kind, tmp_path / "f")
    (record,) = find_scans(path).records
    assert record.scan == path / "scan" / "IM0000.dcm"
    assert read_scan_bytes(record.scan) == read_scan_bytes(files[0])


def test_a_bids_folder_inside_an_archive_keeps_its_ages(tmp_path):
    root = tmp_path / "f" / "ds000001"
    (root / "sub-01" / "anat").mkdir(parents=True)
    volume().to_filename(root / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    (root / "participants.tsv").write_text("participant_id\tage\nsub-01\t23,5\n")
    (record,) = find_scans(pack(tmp_path / "a.zip", tmp_path / "f")).records
    assert (record.subject, record.age_years) == ("sub-01", 23.5)


def test_a_table_that_is_wrong_is_named_by_its_place_in_the_archive(tmp_path):
    root = tmp_path / "f"
    (root / "sub-01" / "anat").mkdir(parents=True)
    (root / "sub-01" / "anat" / "sub-01_T1w.nii.gz").touch()
    (root / "participants.tsv").write_text("participant_id\tage\nsub-01\tten\n")
    path = pack(tmp_path / "a.zip", root)
    with pytest.raises(ManifestError, match=rf"^{path}/participants\.tsv: row 2: age: "):
        find_scans(path)


def zipped(path, name, content=b"x", mode=0):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("good.nii", b"x")
        file.writestr(info, content)
    return path


def taped(path, name, kind=tarfile.REGTYPE, **attributes):
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in attributes.items():
        setattr(info, key, value)
    with tarfile.open(path, "w") as file:
        file.addfile(tarfile.TarInfo("good.nii"))
        file.addfile(info, io.BytesIO(bytes(info.size)))
    return path


def refusal(path, workspace):
    with pytest.raises(ManifestError) as caught:
        find_scans(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    # Nothing of a refused archive stays, and nothing was written beside it.
    assert [p.name for p in workspace.iterdir()] == [".in-use"]
    assert {p.name for p in path.parent.iterdir()} <= {path.name, "workspace", "f"}
    return message.removeprefix(f"{path}: ")


OUTSIDE = ["../evil.nii", "a/../../evil.nii", "/evil.nii", "..\\evil.nii", "C:\\evil.nii", "C:evil"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("make", [zipped, taped])
def test_members_that_leave_the_folder_are_refused(tmp_path, workspace_of_the_test, name, make):
    path = make(tmp_path / ("a.zip" if make is zipped else "a.tar"), name)
    message = refusal(path, workspace_of_the_test)
    assert message == f"refused: the member {name!r} would land outside the folder"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFBLK])
def test_links_and_devices_of_a_zip_are_refused(tmp_path, workspace_of_the_test, kind):
    path = zipped(tmp_path / "a.zip", "odd", b"/etc/passwd", kind | 0o777)
    message = refusal(path, workspace_of_the_test)
    assert message == "refused: the member 'odd' is a link or a device"


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_of_a_tar_are_refused(tmp_path, workspace_of_the_test, kind):
    path = taped(tmp_path / "a.tar", "odd", kind, linkname="good.nii")
    message = refusal(path, workspace_of_the_test)
    assert message == "refused: the member 'odd' is a link, a device or sparse"


def test_a_member_that_is_there_twice_is_refused(tmp_path, workspace_of_the_test):
    path = taped(tmp_path / "a.tar", "./good.nii")
    assert refusal(path, workspace_of_the_test) == (
        "refused: the member './good.nii' is there twice"
    )


@pytest.mark.parametrize("kind", ["a.zip", "a.tar.gz"])
def test_a_bomb_is_refused_by_its_ratio_before_it_is_unpacked(
    tmp_path, workspace_of_the_test, monkeypatch, kind
):
    monkeypatch.setattr(archive_module, "RATIO_FLOOR_BYTES", 10**6)
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "zeros.nii").write_bytes(bytes(5 * 10**6))
    path = tmp_path / kind
    if kind == "a.zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.write(tmp_path / "f" / "zeros.nii", "zeros.nii")
    else:
        pack(path, tmp_path / "f")
    message = refusal(path, workspace_of_the_test)
    assert "zeros.nii' unpacks to 5000000 bytes" in message
    assert message.endswith("a bomb, or not scans")


def test_an_archive_without_room_for_it_is_refused(tmp_path, workspace_of_the_test, monkeypatch):
    monkeypatch.setattr(archive_module, "MAX_BYTES", 100)
    path = zipped(tmp_path / "a.zip", "b.nii", bytes(200))
    assert "'b.nii' does not fit: 201 bytes so far, room for 100" in refusal(
        path, workspace_of_the_test
    )


def test_too_many_members_are_refused(tmp_path, workspace_of_the_test, monkeypatch):
    monkeypatch.setattr(archive_module, "MAX_MEMBERS", 1)
    path = zipped(tmp_path / "a.zip", "b.nii")
    assert "'b.nii' is one more than 1 files" in refusal(path, workspace_of_the_test)


def test_an_encrypted_member_is_refused(tmp_path, workspace_of_the_test):
    path = zipped(tmp_path / "a.zip", "b.nii")
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02")  # the directory's entry of the last member
    content[place + 8] |= 1
    path.write_bytes(content)
    assert refusal(path, workspace_of_the_test) == "refused: the member 'b.nii' is encrypted"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_archive_is_refused(tmp_path, workspace_of_the_test, kind, kept):
    (tmp_path / "f").mkdir()
    noise = np.random.default_rng(0).bytes(200_000)
    (tmp_path / "f" / "x.nii").write_bytes(noise)
    path = pack(tmp_path / kind, tmp_path / "f")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    message = refusal(path, workspace_of_the_test)
    assert message.startswith(("damaged archive: ", "expected a zip or tar archive"))


def test_an_altered_member_of_a_zip_is_noticed(tmp_path, workspace_of_the_test):
    path = zipped(tmp_path / "a.zip", "b.nii", np.random.default_rng(0).bytes(5000))
    content = bytearray(path.read_bytes())
    content[2000] ^= 255
    path.write_bytes(content)
    assert refusal(path, workspace_of_the_test).startswith("damaged archive: Bad CRC-32")


def test_an_archive_without_scans_says_so(tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "notes.txt").write_text("x")
    path = pack(tmp_path / "a.zip", tmp_path / "f")
    with pytest.raises(ManifestError, match=f"^no scans found in {path}; "):
        find_scans(path)


def test_a_member_that_is_not_there_is_a_row(tmp_path):
    path = zipped(tmp_path / "a.zip", "b.nii")
    with pytest.raises(ScanError, match="found nothing at this path") as caught:
        read_scan(path / "c.nii")
    assert caught.value.scan == str(path / "c.nii")


def test_a_place_inside_an_archive_is_a_source_of_its_own(tmp_path):
    (tmp_path / "f" / "deep").mkdir(parents=True)
    volume().to_filename(tmp_path / "f" / "deep" / "x.nii")
    path = pack(tmp_path / "a.zip", tmp_path / "f")
    for source in (path / "deep", path / "deep" / "x.nii"):
        assert [record.scan for record in find_scans(source).records] == [path / "deep" / "x.nii"]
    with pytest.raises(ManifestError, match=r"a\.zip/none: no such file or folder in the archive"):
        find_scans(path / "none")


def test_a_manifest_can_name_scans_inside_an_archive(tmp_path):
    (tmp_path / "f").mkdir()
    volume().to_filename(tmp_path / "f" / "x.nii")
    pack(tmp_path / "a.zip", tmp_path / "f")
    (tmp_path / "m.csv").write_text("scan,age_years\na.zip/x.nii,30\n")
    (record,) = find_scans(tmp_path / "m.csv").records
    assert read_scan(record.scan).data_XYZ.shape == (18, 20, 22)


def test_archives_inside_a_folder_are_told_of(tmp_path, caplog):
    volume().to_filename(tmp_path / "x.nii")
    zipped(tmp_path / "more.zip", "b.nii")
    assert len(find_scans(tmp_path).records) == 1
    assert "1 archives inside it are not opened, e.g. more.zip" in caplog.text


READS_AND_ENDS = """
import os, sys
from pathlib import Path
from brainage.scans.source import find_scans
from brainage.scans.nifti import read_scan
records = find_scans(Path(sys.argv[1])).records
read_scan(records[0].scan)
folder = os.environ["BRAINAGE_WORKSPACE"]
print(folder, len(os.listdir(folder)), oct(os.stat(folder).st_mode & 0o777), flush=True)
{end}
"""


def run_apart(tmp_path, path, end):
    program = READS_AND_ENDS.format(end=end)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    del environment["BRAINAGE_WORKSPACE"]
    done = subprocess.run(
        [sys.executable, "-c", program, path],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    folder, number, mode = done.stdout.split()
    assert (number, mode) == ("2", "0o700"), done.stderr  # the lock and one archive
    return Path(folder)


def test_the_folder_of_unpacked_files_goes_with_the_process_or_with_the_next(tmp_path):
    (tmp_path / "f").mkdir()
    volume().to_filename(tmp_path / "f" / "x.nii")
    path = pack(tmp_path / "a.zip", tmp_path / "f")
    ended = run_apart(tmp_path, path, "")
    assert not ended.exists()
    killed = run_apart(tmp_path, path, "os.kill(os.getpid(), 9)")
    assert killed.is_dir()
    assert not run_apart(tmp_path, path, "sys.exit(3)").exists()
    assert not killed.exists()


def test_children_share_the_folder_of_their_parent(workspace_of_the_test):
    assert workspace() == workspace_of_the_test
