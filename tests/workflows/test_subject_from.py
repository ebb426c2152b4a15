"""DICOM subjects have their patient number as a name only where somebody asks for it."""

import pytest

from brainage.cli import run
from tests.scans.dicom_files import PATIENT, T2W, write_series
from tests.workflows.tiny import read_table

NUMBER = "sub-" + PATIENT["PatientID"].replace("-", "")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A study that is refused: its row has a subject none the less."""
    folder = tmp_path_factory.mktemp("source") / "dicom"
    write_series(folder, **T2W)
    return folder


def command(name, source, out, model):
    return {
        "manifest build": ["manifest", "build", str(source), "--out", str(out / "rows.csv")],
        "preprocess": ["preprocess", str(source), "--out", str(out), "--cache", str(out / "c")],
        "predict": ["predict", str(source), "--model", model, "--out", str(out / "rows.csv")],
    }[name]


@pytest.mark.parametrize("name", ["manifest build", "preprocess", "predict"])
def test_a_subject_is_named_by_its_number_only_when_asked(
    name, source, holdout, tmp_path, monkeypatch
):
    monkeypatch.setenv("BRAINAGE_SUBJECT_KEY", "a key of the tests")
    subjects = []
    for number, option in enumerate(([], ["--subject-from", "PatientID"])):
        out = tmp_path / str(number)
        words = command(name, source, out, str(holdout.summary.model_dir))
        assert run([*words, *option]) == 1
        table = out / ("qc.csv" if name == "preprocess" else "rows.csv")
        (row,) = read_table(table)
        subjects.append(row["subject"])
    assert subjects[0] != NUMBER
    assert PATIENT["PatientID"][-8:] not in subjects[0]
    assert subjects[1] == NUMBER


def test_another_name_of_the_option_is_one_line(source, tmp_path, capsys):
    words = ["manifest", "build", str(source), "--out", str(tmp_path / "m.csv")]
    assert run([*words, "--subject-from", "PatientName"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "PatientName" in line
    assert "hash" in line
