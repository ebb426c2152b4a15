"""Records of invented cohorts, for tests of splits."""

from pathlib import Path

from hypothesis import strategies as st

from brainage.scans.manifest import ScanRecord


def record(subject, session=None, age_years=30.0, site=None, *, sha256=None, sex=None):
    path = Path(f"/scans/{subject}_{session}.nii")
    return ScanRecord(path, subject, session, age_years, sex, site, sha256)


@st.composite
def cohorts(draw, min_subjects=6):
    """Subjects with one to three scans each, of few sites, unknown sexes and often equal ages."""
    num_subjects = draw(st.integers(min_subjects, 40))
    records = []
    for number in range(num_subjects):
        site = draw(st.sampled_from(["a", "b", "c", None]))
        age_years = draw(st.one_of(st.integers(3, 90), st.just(20)))
        sex = draw(st.sampled_from(["F", "M", None]))
        num_scans = draw(st.sampled_from([1, 1, 1, 2, 3]))
        records.extend(
            record(f"s{number}", str(session), age_years + session, site, sex=sex)
            for session in range(num_scans)
        )
    return draw(st.permutations(records))


def subjects_of(records, indices):
    return {records[index].subject for index in indices}
