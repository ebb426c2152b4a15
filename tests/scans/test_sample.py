"""The sample inside the repository is what its manifests say."""

import hashlib
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from brainage.scans.manifest import read_manifest
from brainage.scans.source import find_scans

MANIFESTS = Path(__file__).parents[2] / "data_manifests"
SAMPLE = MANIFESTS / "open_t1w"
DATA = Path(os.environ.get("BRAINAGE_DATA", MANIFESTS.parents[1] / "shared" / "data"))


def sample_records():
    tables = (SAMPLE / "manifest.csv", SAMPLE / "unseen.csv")
    return [r for table in tables for r in read_manifest(table, require_ages=True).records]


def test_files_have_the_digests_of_the_manifest():
    for record in sample_records():
        assert hashlib.sha256(record.scan.read_bytes()).hexdigest() == record.sha256


def test_scans_are_small_integers_at_2_mm_without_names_or_times():
    for record in sample_records():
        image = nib.load(record.scan)
        np.testing.assert_allclose(image.header.get_zooms(), 2.0, atol=0.02)
        assert image.get_data_dtype() == np.uint8
        assert not image.header["descrip"].item()
        # gzip: no flags (so no file name), no time
        assert record.scan.read_bytes()[3:8] == bytes(5)


def test_the_folder_read_as_bids_agrees_with_the_manifests():
    from_bids = {
        (r.scan, r.subject, r.age_years, r.sex, r.site) for r in find_scans(SAMPLE).records
    }
    assert from_bids == {(r.scan, r.subject, r.age_years, r.sex, r.site) for r in sample_records()}


@pytest.mark.skipif(not DATA.is_dir(), reason="the open cohort is not on this disk")
def test_the_cohort_manifest_names_the_scans_on_disk():
    path = MANIFESTS / "open_cohort" / "manifest.csv"
    records = read_manifest(path, DATA, require_ages=True).records
    assert len(records) == 199
    assert all(record.scan.is_file() for record in records)
    first = records[0]
    assert hashlib.sha256(first.scan.read_bytes()).hexdigest() == first.sha256
