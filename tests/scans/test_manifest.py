import logging
from pathlib import Path

import pytest

from brainage.errors import ManifestError
from brainage.scans.manifest import ScanRecord, read_manifest, write_manifest

SAMPLE = Path(__file__).parents[2] / "data_manifests" / "open_t1w"


@pytest.fixture
def table(tmp_path):
    """Write a manifest whose scans sub-01, sub-02 and sub-03 exist."""
    for name in ("sub-01.nii", "sub-02.nii", "sub-03.nii"):
        (tmp_path / name).write_bytes(b"")

    def write(*lines, encoding="utf-8"):
        path = tmp_path / "manifest.csv"
        path.write_bytes("\n".join(lines).encode(encoding))
        return path

    return write


def refusal(path, *, require_ages=True, root=None):
    with pytest.raises(ManifestError) as caught:
        read_manifest(path, root, require_ages=require_ages)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def test_all_columns_are_read(table, tmp_path):
    digest = "ab" * 32
    path = table(
        "scan,subject,session,age_years,sex,site,sha256,notes",
        f"sub-01.nii,anna,ses-1,23.5,F,north,{digest.upper()},x",
    )
    record = ScanRecord(tmp_path / "sub-01.nii", "anna", "ses-1", 23.5, "F", "north", digest)
    assert read_manifest(path, require_ages=True).records == (record,)


def test_subject_and_session_default_to_the_entities_of_the_path(table):
    path = table("scan,age_years", "sub-01/ses-b/anat/sub-01_ses-b_T1w.nii,5", "sub-02.nii,6")
    first, second = read_manifest(path, require_ages=True).records
    assert (first.subject, first.session) == ("sub-01", "ses-b")
    assert (second.subject, second.session) == ("sub-02", None)


def test_a_scan_without_subject_is_its_own_only_where_no_split_depends_on_it(table, tmp_path):
    (tmp_path / "brain.nii").write_bytes(b"")
    path = table("scan,age_years", "brain.nii,5")
    assert read_manifest(path, require_ages=False).records[0].subject == "brain.nii"
    assert "row 2: subject: expected a name" in refusal(path)


def test_semicolons_decimal_commas_and_byte_order_mark_are_read(table):
    path = table("scan;age_years", "sub-01.nii;23,5", "", "sub-02.nii;4", encoding="utf-8-sig")
    ages = [record.age_years for record in read_manifest(path, require_ages=True).records]
    assert ages == [23.5, 4.0]


def test_scans_start_from_the_given_root(table, tmp_path):
    path = table("scan,age_years", "sub-01.nii,5")
    elsewhere = tmp_path / "moved"
    elsewhere.mkdir()
    path = path.rename(elsewhere / "manifest.csv")
    record = read_manifest(path, tmp_path, require_ages=True).records[0]
    assert record.scan == tmp_path / "sub-01.nii"


def test_a_missing_file_is_refused(tmp_path):
    assert refusal(tmp_path / "none.csv") == ": no such file"


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_file_is_refused(tmp_path, content):
    path = tmp_path / "m.csv"
    path.write_bytes(content)
    assert "got an empty file" in refusal(path)


def test_a_header_alone_is_refused(table):
    assert "got only a header" in refusal(table("scan,age_years"))


def test_bytes_that_are_not_utf8_are_refused(table):
    path = table("scan,age_years,site", "sub-01.nii,5,Zürich", encoding="latin-1")
    assert "UTF-8" in refusal(path)


def test_a_manifest_without_ages_is_refused_only_where_ages_are_needed(table):
    path = table("scan,sex", "sub-01.nii,F")
    assert read_manifest(path, require_ages=False).records[0].age_years is None
    assert refusal(path) == ": the column age_years is missing; got scan, sex"


@pytest.mark.parametrize(
    ("header", "meant"),
    [("scan,age", "age_years"), ("scan,age_yaers", "age_years"), ("scann,age_years", "scan"),
     ("scan,age_years,subjct", "subject"), ("scan,age_years,participant_id", "subject")],
)  # fmt: skip
def test_a_misspelt_column_is_refused_with_the_name_that_was_meant(table, header, meant):
    cells = ",".join(["sub-01.nii", "5", "x"][: header.count(",") + 1])
    assert f"did you mean '{meant}'?" in refusal(table(header, cells))


def test_a_column_like_one_that_is_present_is_ignored(table):
    path = table("scan,age_years,age,scanner,size", "sub-01.nii,5,7,x,3")
    assert read_manifest(path, require_ages=True).records[0].age_years == 5.0


def test_a_repeated_column_is_refused(table):
    assert "age_years more than once" in refusal(table("scan,age_years,Age_Years", "a,1,2"))


def test_all_bad_rows_are_in_one_message_with_row_and_value(table):
    message = refusal(
        table("scan,age_years", "sub-01.nii,-3", "sub-02.nii,6", "sub-03.nii,old", "sub-04.nii,n/a")
    )
    assert "row 2: age_years: expected an age in years from 0 up, got '-3'" in message
    assert "row 4: age_years: expected an age in years from 0 up, got 'old'" in message
    assert "row 5: age_years: expected an age in years, got 'n/a'" in message
    assert "row 3" not in message


def test_after_ten_bad_rows_the_others_are_counted(table):
    message = refusal(table("scan,age_years", *(f"sub-{i}.nii,x" for i in range(25))))
    assert message.count("row ") == 10
    assert message.endswith("; and 15 more")


def test_the_same_file_twice_is_refused_whatever_its_spelling(table):
    message = refusal(table("scan,subject,age_years", "sub-01.nii,a,5", "./sub-01.nii,b,6"))
    assert "row 3: scan: the file of row 2 again" in message


def test_the_same_content_twice_is_refused(table):
    digest = "0" * 64
    message = refusal(
        table("scan,age_years,sha256", f"sub-01.nii,5,{digest}", f"sub-02.nii,6,{digest}")
    )
    assert "row 3: sha256: the same content as row 2" in message


def test_repeat_scans_of_a_subject_are_grouped_by_their_sessions(table):
    path = table("scan,subject,session,age_years", "sub-01.nii,anna,1,5", "sub-02.nii,anna,2,6.5")
    records = read_manifest(path, require_ages=True).records
    assert [(r.subject, r.session) for r in records] == [("anna", "1"), ("anna", "2")]


@pytest.mark.parametrize(
    ("first", "second", "fault"),
    [
        ("sub-01.nii,anna,1,5", "sub-02.nii,anna,1,5", "anna of row 2 again in session 1;"),
        ("sub-01.nii,anna,,5", "sub-02.nii,anna,,5", "anna of row 2 again;"),
        ("sub-01.nii,anna,1,5", "sub-02.nii,anna,1,6", "with another age (5.0 and 6.0 years)"),
        ("sub-01.nii,anna,,5", "sub-02.nii,anna,2,6", "each needs one, got 2 here and none before"),
    ],
)
def test_a_subject_twice_without_different_sessions_is_refused(table, first, second, fault):
    message = refusal(table("scan,subject,session,age_years", first, second))
    assert f"row 3: s{'ubject' if 'of row' in fault or 'age' in fault else 'ession'}" in message
    assert fault in message


def test_a_row_with_an_unquoted_decimal_comma_is_refused_with_advice(table):
    message = refusal(table("scan,age_years", "sub-01.nii,23,5"))
    assert "row 2: expected 2 cells as in the header, got 3 (put a cell" in message


def test_a_malformed_sha256_is_refused(table):
    assert "got 'abc'" in refusal(table("scan,age_years,sha256", "sub-01.nii,5,abc"))


def test_one_missing_scan_is_kept_and_none_existing_is_refused(table, tmp_path):
    path = table("scan,age_years", "sub-01.nii,5", "sub-77.nii,6")
    assert len(read_manifest(path, require_ages=True).records) == 2
    message = refusal(path, root=tmp_path / "elsewhere")
    assert "none of its 2 scans exists" in message
    assert str(tmp_path / "elsewhere" / "sub-01.nii") in message


def test_a_scan_with_an_impossible_name_is_left_to_the_reading(table):
    path = table("scan,age_years", "sub-01.nii,5", f"sub-02{'x' * 5000}.nii,6")
    assert len(read_manifest(path, require_ages=True).records) == 2


def test_an_open_ended_age_is_read_with_a_warning(table, caplog):
    with caplog.at_level(logging.WARNING):
        manifest = read_manifest(table("scan,age_years", "sub-01.nii,89+"), require_ages=True)
    assert manifest.records[0].age_years == 89.0
    assert "row 2: age_years: '89+' was read as 89" in caplog.text


def test_written_manifests_read_back_equal(tmp_path):
    inside = tmp_path / "scans" / "a, b.nii"
    inside.parent.mkdir()
    inside.write_bytes(b"")
    outside = tmp_path / "other.nii"
    records = (
        ScanRecord(inside, "x", "1", 0.00001, "F", 'the "north"', "f" * 64),
        ScanRecord(outside, "y", None, 1 / 3, None, None, None),
        ScanRecord(tmp_path / "scans" / "c.nii", "z", None, None, "M", "", None),
    )
    path = tmp_path / "m.csv"
    write_manifest(records, path, inside.parent)
    read = read_manifest(path, inside.parent, require_ages=False).records
    assert read[:2] == records[:2]
    assert (read[2].age_years, read[2].site) == (None, None)
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")] == []


def test_the_sample_holds_its_promises():
    seen = read_manifest(SAMPLE / "manifest.csv", require_ages=True).records
    unseen = read_manifest(SAMPLE / "unseen.csv", require_ages=True).records
    assert (len(seen), len(unseen)) == (46, 2)
    assert not {r.subject for r in seen} & {r.subject for r in unseen}
    assert {r.site for r in seen} == {"ds000011", "ds000228", "ds002748"}
    ages = [r.age_years for r in seen]
    assert (min(ages), max(ages)) == (3.518, 55.0)
    assert sum(r.scan.stat().st_size for r in seen + unseen) < 20e6
