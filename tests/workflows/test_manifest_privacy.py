"""A patient planted in DICOM headers is in nothing that is written, logged, shown or raised."""

import logging
import re
import shutil
import traceback
import warnings
import zipfile

import pytest

from brainage.cli import run
from brainage.errors import ScanError
from brainage.scans.nifti import read_scan, read_scan_bytes
from brainage.scans.source import find_scans
from tests.scans.dicom_files import PATIENT, T2W, voxels, write_head, write_series
from tests.workflows.tiny import UNSEEN, read_table, sample_scan

IDENTIFIERS = "1.2.77"
"""How the identifiers of all studies and series begin."""

SHORTEST = 5
"""Shorter pieces of names and addresses are found in anything."""


@pytest.fixture(autouse=True)
def own_place(monkeypatch, tmp_path, caplog):
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    monkeypatch.setenv("BRAINAGE_SUBJECT_KEY", "a key of the tests")
    level = logging.getLogger("brainage").level
    caplog.set_level(logging.DEBUG)
    yield
    logging.getLogger("brainage").setLevel(level)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A study that can be used, and five that cannot. Tests must not change it."""
    folder = tmp_path_factory.mktemp("source") / "dicom"
    write_head(folder / "head", sample_scan(UNSEEN), study="1.2.77.0", series="1.2.77.0.1")
    write_series(folder / "gap", voxels((24, 20, 30)), study="1.2.77.1", leave_out=(9,))
    write_series(folder / "t2", study="1.2.77.2", **T2W)
    damaged = write_series(folder / "cut", study="1.2.77.3")
    for file in damaged:
        file.write_bytes(file.read_bytes()[:-300])
    (folder / "rubbish").mkdir()
    head = damaged[0].read_bytes()
    (folder / "rubbish" / "0.dcm").write_bytes(head[:140] + b"\xff" * 9 + head[160:900])
    # Values that pydicom quotes in its warnings and log, when it writes and when it reads.
    odd = {"PatientAge": "forty two Quillon", "StudyDate": "4th of July 2019",
           "series": "Quillon.1", "SpecificCharacterSet": "Quillonset"}  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_series(folder / "odd", voxels((24, 20, 3)), study="1.2.77.4", **odd)
    return folder


def planted():
    """Whatever of the headers could tell who and when."""
    pieces = {piece for value in PATIENT.values() for piece in re.split(r"[\^\s.]", str(value))}
    names = {piece.lower() for piece in pieces if len(piece) >= SHORTEST}
    return names | {"quillon", "july", IDENTIFIERS}


def found_in(text):
    return sorted(piece for piece in planted() if piece in text.lower())


def test_nothing_of_the_patient_is_written_logged_or_shown(
    source, holdout, caplog, capfd, tmp_path
):
    archive = tmp_path / "dicom.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(source.rglob("*.dcm")):
            file.write(path, path.relative_to(source))
    model = str(holdout.summary.model_dir)
    assert run(["predict", str(source), "--model", model, "--out", "p.csv", "-vv"]) == 1
    assert run(["manifest", "build", str(source), "--out", "m.csv", "-vv"]) == 1
    assert run(["manifest", "check", "m.csv", "--json", "-vv"]) == 1
    assert run(["manifest", "build", str(archive), "--out", "z.csv", "-vv"]) == 1
    rows = {row["scan"].split("/")[-2]: row for row in read_table(tmp_path / "out" / "p.csv")}
    assert rows["head"]["status"] == "ok"
    assert {name: row["stage"] for name, row in rows.items() if name != "head"} == {
        "gap": "check", "t2": "check", "cut": "read", "rubbish": "read", "odd": "check",
    }  # fmt: skip
    captured = capfd.readouterr()
    everything = [captured.out, captured.err, caplog.text]
    for path in sorted((tmp_path / "out").rglob("*")):
        everything += [path.name, path.read_bytes().decode("latin-1") if path.is_file() else ""]
    assert len("".join(everything)) > 2000
    assert found_in("\n".join(everything)) == []


def test_nothing_of_the_patient_is_in_an_exception_a_record_or_the_converted_bytes(source, caplog):
    told = []
    for record in find_scans(source).records:
        told.append(repr(record))
        try:
            read_scan(record.scan)
        except ScanError as error:
            told.append("".join(traceback.format_exception(error)))
        else:
            told.append(read_scan_bytes(record.scan)[0].decode("latin-1"))
    assert len(told) == 12
    assert found_in("\n".join(told) + caplog.text) == []


def test_the_search_would_find_what_it_searches(source):
    headers = [
        file.read_bytes().decode("latin-1")
        for file in (source / "head" / "IM0001.dcm", source / "odd" / "IM0001.dcm")
    ]
    assert found_in("".join(headers)) == sorted(planted())


@pytest.mark.slow
def test_a_head_from_dicom_is_predicted_as_the_same_head_from_nifti(source, holdout, tmp_path):
    shutil.copy(sample_scan(UNSEEN), tmp_path / "same.nii.gz")
    model = str(holdout.summary.model_dir)
    ages = []
    for scan in (source / "head", tmp_path / "same.nii.gz"):
        assert run(["predict", str(scan), "--model", model, "--out", "p.csv"]) == 0
        ages.append(float(read_table(tmp_path / "out" / "p.csv")[0]["predicted_age"]))
    assert ages[0] == pytest.approx(ages[1], abs=0.05)
