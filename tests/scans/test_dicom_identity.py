"""Names and ages of DICOM subjects."""

import stat

import pytest

from brainage.errors import ConfigError
from brainage.scans.dicom.headers import Identity
from brainage.scans.dicom.identity import age_at_study, subject_name
from brainage.scans.source import find_scans
from tests.scans.dicom_files import voxels, write_series


def identity(*, age="", birth="", study="", patient="p", study_uid="1.2"):
    return Identity(patient, study_uid, "1.2.3", "1.2.3.4", age, birth, study, "")


@pytest.mark.parametrize(
    ("text", "years"),
    [("042Y", 42), ("018M", 1.5), ("010W", 70 / 365.25), ("003D", 3 / 365.25), ("42", 42),
     ("42y", 42), ("000Y", None), ("0Y", None), ("", None), ("old", None), ("-12Y", None),
     ("130Y", None)],
)  # fmt: skip
def test_stated_ages_are_read_in_their_unit(text, years):
    assert age_at_study(identity(age=text)) == (pytest.approx(years), None)


@pytest.mark.parametrize(
    ("birth", "study", "years"),
    [("19770313", "20190704", 42 + 113 / 365.25), ("1977.03.13", "2019.07.04", 42 + 113 / 365.25),
     ("20160309", "20160309", None), ("20190704", "19770313", None), ("", "20190704", None),
     ("19770313", "", None), ("19771399", "20190704", None), ("18000101", "20190704", None)],
)  # fmt: skip
def test_ages_come_from_dates_where_none_is_stated(birth, study, years):
    assert age_at_study(identity(birth=birth, study=study))[0] == pytest.approx(years, abs=0.01)


def test_dates_refine_the_stated_age_they_agree_with():
    years, doubt = age_at_study(identity(age="042Y", birth="19770313", study="20190704"))
    assert years == pytest.approx(42.31, abs=0.01)
    assert doubt is None


@pytest.mark.parametrize("age", ["041Y", "043Y", "030Y"])
def test_a_stated_age_comes_before_dates_that_contradict_it(age):
    years, doubt = age_at_study(identity(age=age, birth="19770313", study="20190704"))
    assert years == float(age[:3])
    assert "differ" in doubt


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("BRAINAGE_SUBJECT_KEY", "one key")


def test_a_patient_has_one_name_for_one_key_and_another_for_another(key, monkeypatch):
    name = subject_name(identity(patient="MRN-1"))
    assert name == subject_name(identity(patient="MRN-1", study_uid="9.9"))
    assert name != subject_name(identity(patient="MRN-2"))
    monkeypatch.setenv("BRAINAGE_SUBJECT_KEY", "another key")
    assert name != subject_name(identity(patient="MRN-1"))


def test_without_a_patient_number_the_study_stands_for_the_patient(key):
    names = {subject_name(identity(patient="", study_uid=uid)) for uid in ("1.2", "1.3")}
    assert len(names) == 2


def test_the_patient_number_itself_is_used_only_when_asked_for(key):
    assert subject_name(identity(patient="MRN-1 x"), "PatientID") == "sub-MRN1x"
    with pytest.raises(ConfigError, match="expected hash or PatientID, got 'PatientName'"):
        subject_name(identity(), "PatientName")


def test_the_key_is_made_once_and_only_the_user_can_read_it(monkeypatch, tmp_path):
    monkeypatch.delenv("BRAINAGE_SUBJECT_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    name = subject_name(identity())
    file = tmp_path / "brainage" / "subject.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    monkeypatch.setenv("BRAINAGE_SUBJECT_KEY", file.read_text())
    assert subject_name(identity()) == name


def test_visits_of_one_patient_become_sessions_in_order_of_time_without_their_dates(key, tmp_path):
    small = voxels((24, 20, 2))
    later = write_series(
        tmp_path / "a", small, study="1.2.1", StudyDate="20210101", PatientAge=None
    )
    first = write_series(
        tmp_path / "b", small, study="1.2.2", StudyDate="20190101", PatientAge="041Y"
    )
    other = write_series(tmp_path / "c", small, study="1.2.3", PatientID="someone else")
    records = {record.scan: record for record in find_scans(tmp_path).records}
    assert [records[files[0]].session for files in (later, first, other)] == [
        "ses-2",
        "ses-1",
        None,
    ]
    assert records[later[0]].subject == records[first[0]].subject != records[other[0]].subject
    assert records[first[0]].age_years == pytest.approx(41.8, abs=0.1)
    assert records[first[0]].sex == "F"
