import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from brainage.data.splits import make_split
from brainage.errors import CohortError
from brainage.scans.manifest import read_manifest
from brainage.tracking.fanout import FanoutRecorder
from brainage.workflows.train.cohort import load_volumes, prepare_cohort
from brainage.workflows.train.fitting import fit_split
from brainage.workflows.train.run import train
from tests.workflows.tiny import PREPROCESS, read_table, sha256, tiny_config

VOLUME_GB = 40 * 48 * 40 * 4 / 1e9


@pytest.fixture
def prepare(cohort):
    def prepared(manifest: Path, cache: Path | None = None, memory_gb: float | None = None):
        records = read_manifest(manifest, require_ages=True).records
        outcomes = []
        made = prepare_cohort(
            records,
            PREPROCESS,
            cache or cohort.cache,
            jobs=1,
            recorder=FanoutRecorder([]),
            on_outcome=outcomes.append,
            memory_gb=memory_gb,
        )
        assert [outcome.scan for outcome in outcomes] == [record.scan for record in records]
        return made

    return prepared


def test_finished_preprocessing_is_not_done_again(cohort, prepare):
    made = prepare(cohort.manifest)
    assert made.cached == len(made.records) == 10
    assert made.volumes.shape == (10, 40, 48, 40)
    assert all(volume.dtype == np.float32 for volume in made.volumes)
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
    np.testing.assert_array_equal(list(made.volumes), list(whole.volumes.subset(others)))
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
    assert message.startswith("1 of 10 scans has another SHA-256 than the manifest says")
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


@pytest.mark.parametrize(("memory_gb", "num_held"), [(0.0, 0), (3.5 * VOLUME_GB, 3), (None, 10)])
def test_volumes_stay_in_memory_as_far_as_they_fit(cohort, prepare, memory_gb, num_held):
    made = prepare(cohort.manifest, memory_gb=memory_gb)
    assert made.volumes.num_in_memory == num_held
    whole = prepare(cohort.manifest)
    np.testing.assert_array_equal(list(made.volumes), list(whole.volumes))


def test_ranks_on_one_machine_share_its_free_memory(prepare, cohort, monkeypatch):
    free = 2.5 * 10 * VOLUME_GB * 1e9
    monkeypatch.setattr("brainage.workflows.train.cohort.free_memory_bytes", lambda: free)
    assert prepare(cohort.manifest).volumes.num_in_memory == 10
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert prepare(cohort.manifest).volumes.num_in_memory == 6


def test_training_and_predictions_are_the_same_bits_without_memory_for_volumes(
    cohort, prepare, tmp_path
):
    config = tiny_config(
        data={"balance": "age_and_site", "balance_bin_years": 20},
        augmentation={"motion_probability": 0.5, "anisotropy_probability": 0.5},
    )
    fits = []
    for memory_gb in (None, 0.0):
        made = prepare(cohort.manifest, memory_gb=memory_gb)
        fits.append(
            fit_split(
                config,
                made,
                make_split(made.records, config.split, config.seed),
                name="holdout",
                checkpoints=tmp_path / str(memory_gb),
                fingerprint="f",
                recorder=FanoutRecorder([]),
            )
        )
    held, read = fits
    for name, weights in held.chain.state_dict().items():
        assert torch.equal(weights, read.chain.state_dict()[name]), name
    for block, ages in held.test_ages_by_block.items():
        assert np.array_equal(ages, read.test_ages_by_block[block])


def test_a_finished_volume_that_is_gone_is_told_of_by_its_file(cohort, prepare, tmp_path):
    shutil.copytree(cohort.cache, tmp_path / "cache")
    keys = prepare(cohort.manifest).keys
    volumes = load_volumes(keys, PREPROCESS, tmp_path / "cache", memory_gb=0.0)
    gone = tmp_path / "cache" / f"{keys[4]}.npz"
    gone.unlink()
    np.testing.assert_array_equal(volumes[3], prepare(cohort.manifest).volumes[3])
    with pytest.raises(CohortError) as caught:
        volumes[4]
    assert str(caught.value).startswith(f"{gone}: expected a finished volume")
    assert "--resume" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_training_samples_are_balanced_over_is_told(cohort, prepare, caplog):
    made = prepare(cohort.manifest)
    config = tiny_config(data={"balance": "age", "balance_bin_years": 30}).data
    with caplog.at_level(logging.INFO, "brainage.workflows"):
        assert made.groups([0, 2, 3], config) == [
            "30 to 60 years", "0 to 30 years", "0 to 30 years",
        ]  # fmt: skip
    message = caplog.records[-1].getMessage()
    assert message == (
        "samples balanced over age; groups: 2, of 1 (30 to 60 years) to 2 scans (0 to 30 years)"
    )


def test_a_balance_that_the_manifest_cannot_give_is_refused_before_anything_is_written(
    cohort, tmp_path
):
    manifest = cohort.manifest_with(tmp_path / "m.csv", {})
    lines = [line.rpartition(",")[0] for line in manifest.read_text().splitlines()]
    manifest.write_text("\n".join(lines) + "\n")
    config = tiny_config(cohort, data={"manifest": str(manifest), "balance": "site"})
    with pytest.raises(CohortError, match=r"^data\.balance: expected 'site' .* of holdout"):
        train(config, runs_folder=tmp_path / "runs", resume=None)
    assert not (tmp_path / "runs").exists()
