"""BIDS: several scans of a visit, tables of sessions, units where JSON files can lie."""

import json
import logging

import pytest

from brainage.scans.manifest import read_manifest, write_manifest
from brainage.scans.source import find_scans


@pytest.fixture
def root(tmp_path):
    (tmp_path / "participants.tsv").write_text("participant_id\tage\tsex\nsub-01\t30\tF\n")
    return tmp_path


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_every_t1w_of_a_session_is_a_row_and_parts_that_are_no_magnitude_are_not(root, caplog):
    anat = "sub-01/ses-1/anat/sub-01_ses-1_"
    touch(
        root, f"{anat}T1w.nii.gz", f"{anat}run-1_T1w.nii.gz", f"{anat}run-2_T1w.nii.gz",
        f"{anat}acq-mprage_rec-norm_run-1_T1w.nii.gz", f"{anat}part-mag_T1w.nii.gz",
        f"{anat}part-phase_T1w.nii.gz", f"{anat}part-real_T1w.nii.gz", f"{anat}T2w.nii.gz",
    )  # fmt: skip
    with caplog.at_level(logging.INFO):
        records = find_scans(root).records
    runs = [record.run for record in records]
    assert len(runs) == 5
    assert set(runs) == {None, "acq-mprage_rec-norm_run-1", "part-mag", "run-1", "run-2"}
    assert {(record.subject, record.session) for record in records} == {("sub-01", "ses-1")}
    assert "5 T1w scans of 1 visits; 1 visits have several, each of which is a row" in caplog.text


def test_runs_of_a_session_survive_a_manifest(root):
    touch(root, *(f"sub-01/anat/sub-01_run-{run}_T1w.nii" for run in (1, 2)))
    records = find_scans(root).records
    write_manifest(records, root / "m.csv", root)
    assert (root / "m.csv").read_text().startswith("scan,subject,session,run,age_years,")
    assert read_manifest(root / "m.csv", require_ages=True).records == records


@pytest.mark.parametrize("place", ["sub-01/sub-01_sessions.json", "sessions.json"])
@pytest.mark.parametrize("column", ["age", "Age"])
def test_ages_of_sessions_have_units_of_their_own(root, place, column):
    touch(root, "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii")
    (root / "sub-01" / "sub-01_sessions.tsv").write_text(f"session_id\t{column}\nses-1\t6,5\n")
    (root / place).write_text(json.dumps({column: {"Units": "months"}}))
    assert find_scans(root).records[0].age_years == pytest.approx(6.5 / 12)


def test_units_of_sessions_are_not_those_of_participants(root):
    touch(root, "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii", "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii")
    (root / "sub-01" / "sub-01_sessions.tsv").write_text("session_id\tage\nses-1\t31\nses-2\tn/a\n")
    (root / "participants.tsv").write_text("participant_id\tage\nsub-01\t365.25\n")
    (root / "participants.json").write_text(json.dumps({"age": {"Units": "days"}}))
    assert [record.age_years for record in find_scans(root).records] == [31.0, pytest.approx(1.0)]


def test_open_ended_and_missing_ages_of_sessions(root, caplog):
    touch(root, "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii", "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii")
    (root / "sub-01" / "sub-01_sessions.tsv").write_text("session_id\tage\n1\t89+\nses-2\tn/a\n")
    assert [record.age_years for record in find_scans(root).records] == [89.0, 30.0]
    assert "sub-01_sessions.tsv: row 2: age: '89+' was read as 89" in caplog.text


def test_the_sex_of_a_participant_holds_for_every_session(root):
    touch(root, "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii")
    (root / "sub-01" / "sub-01_sessions.tsv").write_text("session_id\tage\nses-1\t31\n")
    assert find_scans(root).records[0].sex == "F"
