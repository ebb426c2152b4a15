"""Names of derivatives: valid, and never shared by two scans."""

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainage.derivatives.names import derivative_names
from brainage.preprocess.config import GridConfig, PreprocessConfig
from brainage.scans.manifest import ScanRecord
from brainage.scans.source import find_scans

CONFIG = PreprocessConfig(grid=GridConfig(spacing_mm=2.0, shape_XYZ=(80, 96, 80)))
BIDS_NAME = re.compile(
    r"sub-[0-9A-Za-z]+(_ses-[0-9A-Za-z]+)?(_acq-[0-9A-Za-z]+)?(_ce-[0-9A-Za-z]+)?"
    r"(_rec-[0-9A-Za-z]+)?(_run-[0-9A-Za-z]+)?"
    r"_space-MNI152NLin2009aSym_res-[0-9A-Za-z]+_desc-preproc_T1w\.nii\.gz"
)


def record(scan: str, subject: str, session: str | None = None) -> ScanRecord:
    return ScanRecord(Path("/data") / scan, subject, session)


def images(*records: ScanRecord) -> list[str]:
    return [name.image.as_posix() for name in derivative_names(records, CONFIG)]


def test_entities_of_the_scan_are_kept_in_bids_order():
    scan = record("sub-1/ses-2/anat/sub-1_ses-2_run-3_acq-mprage_T1w.nii.gz", "sub-1", "ses-2")
    assert images(scan) == [
        "sub-1/ses-2/anat/sub-1_ses-2_acq-mprage_run-3_space-MNI152NLin2009aSym_res-2"
        "_desc-preproc_T1w.nii.gz"
    ]


def test_all_files_of_a_scan_have_names_of_their_own():
    (name,) = derivative_names([record("sub-1_T1w.nii", "sub-1")], CONFIG)
    files = [name.image, name.mask, name.image_sidecar, name.mask_sidecar, name.transform,
             name.picture]  # fmt: skip
    assert len(set(files)) == 6
    assert name.transform.name == "sub-1_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.txt"
    assert name.mask.name == "sub-1_space-MNI152NLin2009aSym_res-2_desc-brain_mask.nii.gz"


@pytest.mark.parametrize(("spacing_mm", "label"), [(2.0, "2"), (1.5, "1p5"), (4.0, "4")])
def test_the_resolution_is_in_the_name(spacing_mm, label):
    config = PreprocessConfig(grid=GridConfig(spacing_mm=spacing_mm, shape_XYZ=(160, 192, 160)))
    (name,) = derivative_names([record("sub-1_T1w.nii", "sub-1")], config)
    assert f"_res-{label}_" in name.image.name


def test_scans_of_one_file_name_in_different_folders_stay_apart(tmp_path):
    for folder in ("sub-001", "sub-002", "x", "y/sub-001"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "anat.nii.gz").write_bytes(b"x")
    found = images(*find_scans(tmp_path / ".").records)
    assert len(set(found)) == 4
    assert all(BIDS_NAME.fullmatch(Path(name).name) for name in found)


def test_subjects_that_are_one_label_without_punctuation_stay_apart():
    found = images(record("a_b.nii", "a_b"), record("ab.nii", "ab"), record("A-B.nii", "A-B"))
    assert len({name.lower() for name in found}) == 3


def test_two_scans_of_one_visit_without_run_stay_apart():
    found = images(record("x/t1.nii", "sub-1", "ses-1"), record("y/t1.nii", "sub-1", "ses-1"))
    assert len(set(found)) == 2
    assert {Path(name).parts[0] for name in found} == {"sub-1"}


def test_a_scan_is_named_the_same_among_others():
    scan = record("sub-1/anat/sub-1_T1w.nii", "sub-1")
    assert images(scan)[0] == images(record("sub-2_T1w.nii", "sub-2"), scan)[1]


LABELS = st.text(st.sampled_from("aB1_-. é/"), min_size=1, max_size=4)


@given(st.lists(st.tuples(LABELS, st.none() | LABELS), min_size=1, max_size=6))
def test_names_are_always_valid_and_different(people):
    records = [
        record(f"{number}.nii", subject, session)
        for number, (subject, session) in enumerate(people)
    ]
    found = images(*records)
    assert all(BIDS_NAME.fullmatch(Path(name).name) for name in found)
    assert all(a.lower() != b.lower() for a, b in itertools.combinations(found, 2))
