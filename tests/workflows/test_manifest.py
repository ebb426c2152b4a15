"""Manifests: built from any source, examined row by row."""

import hashlib
import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from brainage.cli import run
from brainage.errors import ManifestError, RunFolderError
from brainage.scans.manifest import read_manifest
from brainage.workflows.manifest import build_manifest, check_manifest
from tests.scans.dicom_files import write_series


def write_scan(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(seed).integers(0, 200, (18, 20, 22)).astype(np.int16)
    nib.Nifti1Image(data, np.eye(4)).to_filename(path)
    return path


@pytest.fixture
def bids(tmp_path):
    """Two people, one of them with two visits."""
    root = tmp_path / "bids"
    for seed, name in enumerate(("sub-01/anat/sub-01", "sub-02/ses-1/anat/sub-02_ses-1",
                                 "sub-02/ses-2/anat/sub-02_ses-2")):  # fmt: skip
        write_scan(root / f"{name}_T1w.nii.gz", seed)
    (root / "participants.tsv").write_text(
        "participant_id\tage\tsex\nsub-01\t23,5\tF\nsub-02\tn/a\tM\n"
    )
    (root / "sub-02" / "sub-02_sessions.tsv").write_text("session_id\tage\nses-2\t41\n")
    return root


def problems(summary):
    return [(bad.row, bad.problem) for bad in summary.bad]


def test_a_manifest_of_a_bids_folder_knows_who_when_how_old_and_the_bytes(bids, tmp_path):
    summary = build_manifest(bids, out=tmp_path / "m.csv")
    assert (summary.exit_code, summary.rows, summary.subjects, summary.without_age) == (0, 3, 2, 1)
    assert summary.age_range_years == (23.5, 41.0)
    header, first, *_, last = (tmp_path / "m.csv").read_text().splitlines()
    scan = bids / "sub-01/anat/sub-01_T1w.nii.gz"
    digest = hashlib.sha256(scan.read_bytes()).hexdigest()
    assert header == "scan,subject,session,age_years,sex,site,sha256"
    assert first == f"bids/sub-01/anat/sub-01_T1w.nii.gz,sub-01,,23.5,F,,{digest}"
    assert last.startswith("bids/sub-02/ses-2/anat/sub-02_ses-2_T1w.nii.gz,sub-02,ses-2,41,M,,")


def test_a_built_manifest_is_found_good(bids, tmp_path):
    build_manifest(bids, out=tmp_path / "m.csv")
    assert check_manifest(tmp_path / "m.csv").bad == ()
    assert len(read_manifest(tmp_path / "m.csv", require_ages=False).records) == 3


def test_a_dicom_folder_becomes_a_manifest_that_can_be_trained_from(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINAGE_SUBJECT_KEY", "a key of the tests")
    write_series(tmp_path / "dicom")
    build_manifest(tmp_path / "dicom", out=tmp_path / "m.csv")
    assert check_manifest(tmp_path / "m.csv").bad == ()
    (record,) = read_manifest(tmp_path / "m.csv", require_ages=True).records
    assert record.age_years == pytest.approx(42.3, abs=0.1)


def test_a_scan_that_cannot_be_used_keeps_its_row_and_is_named(bids, tmp_path):
    (bids / "sub-01/anat/sub-01_T1w.nii.gz").write_bytes(b"no scan")
    summary = build_manifest(bids, out=tmp_path / "m.csv")
    assert summary.exit_code == 1
    ((row, problem),) = problems(summary)
    assert row == 2
    assert problem.startswith("read: expected NIfTI")
    assert len((tmp_path / "m.csv").read_text().splitlines()) == 4


def test_a_copy_of_a_scan_is_named(bids, tmp_path):
    copy = bids / "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz"
    shutil.copy(bids / "sub-01/anat/sub-01_T1w.nii.gz", copy)
    summary = build_manifest(bids, out=tmp_path / "m.csv")
    assert problems(summary) == [(3, "sha256: the same content as row 2")]


def test_a_manifest_is_relative_to_its_root(bids, tmp_path):
    out = tmp_path / "elsewhere" / "m.csv"
    build_manifest(bids, out=out, root=tmp_path)
    assert "\nbids/sub-01" in out.read_text()
    assert check_manifest(out, root=tmp_path).bad == ()
    assert len(check_manifest(out).bad) == 3


def test_a_source_is_not_overwritten_by_its_manifest(bids, tmp_path):
    build_manifest(bids, out=tmp_path / "m.csv")
    before = (tmp_path / "m.csv").read_text()
    with pytest.raises(RunFolderError, match="give --out another name"):
        build_manifest(tmp_path / "m.csv", out=tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text() == before


def test_every_bad_row_is_named_with_everything_that_is_wrong_with_it(bids, tmp_path):
    good = write_scan(tmp_path / "a.nii", 7)
    digest = hashlib.sha256(good.read_bytes()).hexdigest()
    write_scan(tmp_path / "b.nii", 8)
    shutil.copy(good, tmp_path / "copy.nii")
    (tmp_path / "m.csv").write_text(
        "scan,subject,age_years,sha256\n"
        f"a.nii,anna,30,{digest}\n"
        "missing.nii,bert,31,\n"
        f"b.nii,cora,32,{'0' * 64}\n"
        "b.nii,dora,33,\n"
        "c.nii,emil,old,xyz\n"
        "copy.nii,fred,35,\n"
        "a.nii,gina,36,5,\n"
    )
    summary = check_manifest(tmp_path / "m.csv")
    found = dict(problems(summary))
    assert list(found) == [3, 4, 5, 6, 7, 8]
    assert found[3] == "read: expected a scan, found nothing at this path"
    assert found[4].startswith(f"sha256: expected {'0' * 64}, the file's is ")
    assert found[5] == "scan: the file of row 4 again, got b.nii"
    assert found[6] == (
        "age_years: expected an age in years from 0 up, got 'old'; "
        "sha256: expected 64 hexadecimal digits, got 'xyz'"
    )
    assert found[7] == "scan: the same content as row 2"
    assert found[8].startswith("expected 4 cells as in the header, got 5")
    assert (summary.exit_code, summary.rows) == (1, 7)


@pytest.mark.parametrize("content", ["", "scan\n", "file,age\nx,1\n"])
def test_a_table_that_is_no_manifest_is_refused(tmp_path, content):
    (tmp_path / "m.csv").write_text(content)
    with pytest.raises(ManifestError, match=f"^{tmp_path / 'm.csv'}: "):
        check_manifest(tmp_path / "m.csv")


def test_the_commands_tell_rows_as_text_and_as_json(bids, tmp_path, capsys):
    build = ["manifest", "build", str(bids), "--out", str(tmp_path / "m.csv"), "--json"]
    assert run(build) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["ok"], told["bad"]) == (3, 3, [])
    (bids / "sub-01/anat/sub-01_T1w.nii.gz").unlink()
    assert run(["manifest", "check", str(tmp_path / "m.csv")]) == 1
    bad, *rest = capsys.readouterr().out.splitlines()
    assert bad.startswith("row 2: ")
    assert bad.endswith("sub-01_T1w.nii.gz: read: expected a scan, found nothing at this path")
    assert rest == [
        "rows: 3; 2 good, 1 bad",
        "subjects: 2; ages 23.5 to 41.0 years, 1 without age",
        f"manifest: {tmp_path / 'm.csv'}",
    ]
    assert run(["manifest", "check", str(tmp_path / "m.csv"), "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["bad"]
    assert (row["row"], row["problem"]) == (
        2,
        "read: expected a scan, found nothing at this path",
    )
