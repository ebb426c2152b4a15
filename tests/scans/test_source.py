import json
import logging
import os
from pathlib import Path

import pytest

from brainage.errors import ManifestError
from brainage.scans.source import find_scans


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names(manifest, root):
    return [record.scan.relative_to(root).as_posix() for record in manifest.records]


def bids(root, participants, *scans):
    touch(root, *scans)
    (root / "participants.tsv").write_text("\n".join("\t".join(row) for row in participants))


def test_one_file_is_one_scan(tmp_path):
    touch(tmp_path, "sub-07_ses-2_T1w.nii.gz", "brain.nii")
    record = find_scans(tmp_path / "sub-07_ses-2_T1w.nii.gz").records[0]
    assert (record.subject, record.session, record.age_years) == ("sub-07", "ses-2", None)
    assert find_scans(tmp_path / "brain.nii").records[0].subject == "brain"


def test_a_relative_source_gives_absolute_scans(tmp_path, monkeypatch):
    touch(tmp_path, "deep/brain.nii")
    monkeypatch.chdir(tmp_path)
    for source in ("deep", "deep/brain.nii"):
        assert find_scans(Path(source)).records[0].scan == tmp_path / "deep" / "brain.nii"


def test_a_folder_is_searched_deep_and_sorted_without_hidden_files(tmp_path):
    touch(
        tmp_path, "b/x.nii", "a/y.nii.gz", "a/._y.nii.gz", ".cache/z.nii", "a/notes.txt", "b/v.mgz"
    )
    assert names(find_scans(tmp_path), tmp_path) == ["a/y.nii.gz", "b/v.mgz", "b/x.nii"]


def test_equal_base_names_in_different_folders_stay_different_subjects(tmp_path):
    touch(tmp_path, "anna/t1.nii.gz", "bert/t1.nii.gz", "x/sub-01.nii", "y/sub-01.nii")
    subjects = [record.subject for record in find_scans(tmp_path).records]
    assert subjects == ["anna/t1", "bert/t1", "x/sub-01", "y/sub-01"]


def test_links_are_followed_once_and_dead_links_keep_their_row(tmp_path):
    touch(tmp_path, "real/a.nii")
    source = tmp_path / "source"
    source.mkdir()
    (source / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "loop").symlink_to(source)
    (source / "gone.nii").symlink_to(tmp_path / "absent.nii")
    assert names(find_scans(source), source) == ["gone.nii", "linked/a.nii"]


def test_a_bids_folder_gives_its_t1w_scans_with_ages(tmp_path):
    bids(
        tmp_path,
        [("participant_id", "age", "sex", "site"), ("sub-01", "23,5", "F", "north"),
         ("02", "n/a", "n/a", "n/a")],
        "sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_T2w.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii", "sub-01/func/sub-01_bold.nii.gz",
        "derivatives/x/sub-01/anat/sub-01_T1w.nii.gz",
    )  # fmt: skip
    first, second = find_scans(tmp_path).records
    assert first.scan == tmp_path / "sub-01/anat/sub-01_T1w.nii.gz"
    assert (first.subject, first.session, first.age_years) == ("sub-01", None, 23.5)
    assert (first.sex, first.site) == ("F", "north")
    assert (second.subject, second.session, second.age_years) == ("sub-02", "ses-a", None)
    assert (second.sex, second.site) == (None, None)


def test_units_of_the_participants_file_are_obeyed(tmp_path):
    bids(tmp_path, [("participant_id", "age"), ("sub-01", "18")], "sub-01/anat/sub-01_T1w.nii")
    (tmp_path / "participants.json").write_text(json.dumps({"age": {"Units": "months"}}))
    assert find_scans(tmp_path).records[0].age_years == 1.5


@pytest.mark.parametrize("text", ['{"age": {"Units": "parsec"}}', "{"])
def test_unusable_units_are_refused(tmp_path, text):
    bids(tmp_path, [("participant_id", "age"), ("sub-01", "18")], "sub-01/anat/sub-01_T1w.nii")
    (tmp_path / "participants.json").write_text(text)
    with pytest.raises(ManifestError, match=r"participants\.json"):
        find_scans(tmp_path)


def test_the_age_at_the_session_comes_before_that_of_the_participant(tmp_path):
    bids(
        tmp_path,
        [("participant_id", "age"), ("sub-01", "20")],
        "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii", "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii",
    )  # fmt: skip
    (tmp_path / "sub-01" / "sub-01_sessions.tsv").write_text("session_id\tage\nses-2\t22.5\n")
    assert [r.age_years for r in find_scans(tmp_path).records] == [20.0, 22.5]


def test_bad_ages_of_participants_are_all_named(tmp_path):
    rows = [("participant_id", "age"), ("sub-01", "-1"), ("sub-02", "5"), ("sub-03", "ten")]
    bids(tmp_path, rows, "sub-01/anat/sub-01_T1w.nii")
    with pytest.raises(ManifestError, match=r"row 2: age: .*'-1'; row 4: age: .*'ten'"):
        find_scans(tmp_path)


def test_contradicting_rows_of_a_participant_are_refused(tmp_path):
    rows = [("participant_id", "age"), ("sub-01", "1"), ("sub-01", "2")]
    bids(tmp_path, rows, "sub-01/anat/sub-01_T1w.nii")
    with pytest.raises(ManifestError, match="row 3: sub-01 again"):
        find_scans(tmp_path)


def test_scans_of_unlisted_participants_stay_with_a_warning(tmp_path, caplog):
    rows = [("participant_id", "age"), ("sub-01", "1")]
    bids(tmp_path, rows, "sub-01/anat/sub-01_T1w.nii", "sub-02/anat/sub-02_T1w.nii")
    with caplog.at_level(logging.WARNING):
        assert len(find_scans(tmp_path).records) == 2
    assert "1 subjects not in it: sub-02" in caplog.text


def test_a_manifest_is_read_from_the_given_root(tmp_path):
    touch(tmp_path, "scans/sub-01.nii")
    (tmp_path / "m.csv").write_text("scan,age_years\nsub-01.nii,5\n")
    manifest = find_scans(tmp_path / "m.csv", tmp_path / "scans")
    assert manifest.records[0].scan == tmp_path / "scans" / "sub-01.nii"
    assert manifest.source == tmp_path / "m.csv"


def test_missing_ages_are_refused_where_needed(tmp_path):
    touch(tmp_path, "a.nii", "b.nii")
    with pytest.raises(ManifestError, match="none of its 2 scans has an age"):
        find_scans(tmp_path, require_ages=True)


def test_single_missing_ages_are_named(tmp_path):
    rows = [("participant_id", "age"), ("sub-01", "1"), ("sub-02", "n/a")]
    bids(tmp_path, rows, "sub-01/anat/sub-01_T1w.nii", "sub-02/anat/sub-02_T1w.nii")
    with pytest.raises(ManifestError, match=r"no age for sub-02_T1w\.nii$"):
        find_scans(tmp_path, require_ages=True)


def test_nothing_found_is_one_clear_line(tmp_path):
    touch(tmp_path, "other/notes.txt", "bids/sub-01/anat/sub-01_T2w.nii")
    with pytest.raises(ManifestError, match=f"no scans found in {tmp_path / 'other'}; "):
        find_scans(tmp_path / "other")
    with pytest.raises(ManifestError, match="as in BIDS"):
        find_scans(tmp_path / "bids")


def test_an_absent_source_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="no such file or folder"):
        find_scans(tmp_path / "absent")


def test_a_file_of_another_kind_is_refused(tmp_path):
    touch(tmp_path, "scan.img")
    with pytest.raises(ManifestError, match=r"got a file named scan\.img"):
        find_scans(tmp_path / "scan.img")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_manifest_is_refused(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("scan\na.nii\n")
    path.chmod(0)
    with pytest.raises(ManifestError, match="cannot be read"):
        find_scans(path)
