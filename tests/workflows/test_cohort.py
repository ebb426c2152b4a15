import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from brainage.scans.manifest import read_manifest
from brainage.tracking.fanout import FanoutRecorder
from brainage.workflows.cohort import prepare_cohort
from tests.workflows.tiny import PREPROCESS, read_table, sha256


@pytest.fixture
def prepare(cohort):
    def prepared(manifest: Path, cache: Path | None = None):
        records = read_manifest(manifest, require_ages=True).records
        outcomes = []
        made = prepare_cohort(
            records,
            PREPROCESS,
            cache or cohort.cache,
            jobs=1,
            recorder=FanoutRecorder([]),
            on_outcome=outcomes.append,
        )
        assert [outcome.scan for outcome in outcomes] == [record.scan for record in records]
        return made

    return prepared


def test_finished_preprocessing_is_not_done_again(cohort, prepare):
    made = prepare(cohort.manifest)
    assert made.cached == len(made.records) == 10
    assert made.volumes.shape == (10, 40, 48, 40)
    assert made.volumes.dtype == np.float32
    assert made.input_shape == (1, 40, 48, 40)
    assert made.ages_years.tolist() == [float(row[2]) for row in cohort.rows()]


def test_a_scan_that_failed_takes_its_age_and_volume_along(cohort, prepare, tmp_path):
    (tmp_path / "broken.nii").write_bytes(b"no scan")
    manifest = cohort.manifest_with(
        tmp_path / "manifest.csv", {"sub-planted2": tmp_path / "broken.nii"}
    )
    whole, made = prepare(cohort.manifest), prepare(manifest)
    assert [outcome.scan.name for outcome in made.failed] == ["broken.nii"]
    others = [i for i, record in enumerate(whole.records) if record.subject != "sub-planted2"]
    assert [record.subject for record in made.records] == [whole.records[i].subject for i in others]
    np.testing.assert_array_equal(made.volumes, whole.volumes[others])
    np.testing.assert_array_equal(made.ages_years, whole.ages_years[others])


def test_the_fingerprint_is_of_configuration_volumes_and_ages(cohort, prepare, tmp_path):
    made = prepare(cohort.manifest)
    assert made.fingerprint("c") == prepare(cohort.manifest).fingerprint("c")
    assert made.fingerprint("c") != made.fingerprint("d")
    rows = read_table(cohort.manifest)
    scans = {row["subject"]: cohort.folder / row["scan"] for row in rows}
    swapped = {"sub-real1": scans["sub-real2"], "sub-real2": scans["sub-real1"]}
    other_scans = prepare(cohort.manifest_with(tmp_path / "a.csv", swapped))
    other_ages = tmp_path / "b.csv"
    text = cohort.manifest_with(other_ages, {}).read_text()
    other_ages.write_text(text.replace(",20.0,", ",20.5,"))
    for other in (other_scans, prepare(other_ages)):
        assert other.fingerprint("c") != made.fingerprint("c")


def test_files_other_than_the_manifest_s_are_told_of(cohort, prepare, tmp_path, caplog):
    digests = [sha256(cohort.scan(row[1])) for row in cohort.rows()]
    digests[3] = "0" * 64
    lines = cohort.manifest_with(tmp_path / "m.csv", {}).read_text().splitlines()
    tails = ["sha256", *digests]
    text = "".join(f"{line},{tail}\n" for line, tail in zip(lines, tails, strict=True))
    (tmp_path / "m.csv").write_text(text)
    with caplog.at_level(logging.WARNING, "brainage.workflows"):
        assert len(prepare(tmp_path / "m.csv").records) == 10
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith("1 of 10 scans have another SHA-256 than the manifest says")
    assert message.endswith("sub-planted1.nii.gz")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that exists and cannot be read")
def test_a_file_that_cannot_be_read_costs_its_row_only(cohort, prepare, tmp_path):
    lines = cohort.manifest_with(
        tmp_path / "m.csv", {"sub-planted2": Path("/proc/self/mem")}
    ).read_text().splitlines()  # fmt: skip
    tails = ["sha256", *["0" * 63 + str(index) for index in range(10)]]
    text = "".join(f"{line},{tail}\n" for line, tail in zip(lines, tails, strict=True))
    (tmp_path / "m.csv").write_text(text)
    made = prepare(tmp_path / "m.csv")
    assert [(outcome.stage, outcome.reason) for outcome in made.failed] == [
        ("read", "cannot read the file: Input/output error")
    ]
    assert len(made.records) == 9
