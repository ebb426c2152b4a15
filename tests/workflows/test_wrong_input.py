"""Wrong input through the command line: one line on stderr, exit code 2, nothing written."""

import gzip
import re
import shutil

import nibabel as nib
import numpy as np
import pytest

from brainage.cli import run
from brainage.config.load import dump_config
from tests.workflows.tiny import COLUMNS, read_table, tiny_config, write_nifti, write_table


@pytest.fixture(autouse=True)
def working_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def config(cohort, tmp_path):
    """A configuration that would train."""
    (tmp_path / "tiny.yaml").write_text(dump_config(tiny_config(cohort)))
    return "tiny.yaml"


@pytest.fixture
def refused(capsys, tmp_path):
    """Run a command that has to be refused; returns the one line without ``error: ``."""

    def refuse(*arguments, writes=()):
        before = {path.name for path in tmp_path.iterdir()}
        assert run(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "Traceback" not in captured.err
        lines = captured.err.splitlines()
        assert len([line for line in lines if line.startswith("error: ")]) == 1
        assert {path.name for path in tmp_path.iterdir()} - before == set(writes)
        return lines[-1].removeprefix("error: ")

    return refuse


def test_a_configuration_that_is_not_there(refused):
    line = refused("train", "--config", "lfnn3.yaml")
    assert line.startswith("no configuration lfnn3.yaml: looked for ")
    assert "did you mean lfnn3d.yaml" in line


def test_a_manifest_that_is_not_there(refused, config):
    line = refused("train", "-c", config, "--set", "data.manifest=none.csv")
    assert line.startswith("none.csv: ")


def test_unseen_scans_whose_table_is_not_there(refused, config):
    """Refused before training, not after it."""
    line = refused("train", "-c", config, "--set", "data.unseen=none.csv")
    assert line.startswith("none.csv: ")


@pytest.fixture
def manifest(cohort, tmp_path):
    """A manifest whose scans exist, to be spoilt."""
    return cohort.manifest_with(tmp_path / "m.csv", {})


@pytest.mark.parametrize(
    ("age", "message"),
    [
        ("", "row 3: age_years: expected an age in years, got ''"),
        ("old", "row 3: age_years: expected .*, got 'old'"),
        ("-4", "row 3: age_years: expected .*, got '-4'"),
        ("50,5", "row 3: .*decimal comma"),
    ],
    ids=["none", "text", "negative", "decimal comma"],
)
def test_a_manifest_with_a_wrong_age(age, message, refused, config, manifest):
    manifest.write_text(manifest.read_text().replace(",50.0,", f",{age},"))
    line = refused("train", "-c", config, "--set", "data.manifest=m.csv")
    assert re.fullmatch(rf"m\.csv: .*{message}.*", line)


def test_all_wrong_ages_are_told_at_once(refused, config, manifest):
    text = manifest.read_text().replace(",50.0,", ",old,").replace(",68.0,", ",older,")
    manifest.write_text(text)
    line = refused("train", "-c", config, "--set", "data.manifest=m.csv")
    assert "row 3: age_years: " in line
    assert "row 11: age_years: " in line


def test_a_manifest_without_ages(refused, config, cohort, tmp_path):
    rows = [row[:2] for row in cohort.rows()]
    write_table(tmp_path / "ageless.csv", rows, COLUMNS[:2])
    line = refused("train", "-c", config, "--set", "data.manifest=ageless.csv")
    assert line == "ageless.csv: the column age_years is missing; got scan, subject"


def test_the_same_subject_twice(refused, config, manifest):
    manifest.write_text(manifest.read_text().replace(",sub-planted2,", ",sub-planted1,"))
    line = refused("train", "-c", config, "--set", "data.manifest=m.csv")
    assert "row 6: subject: sub-planted1 of row 5 again" in line


def test_fewer_subjects_than_folds(refused, config):
    line = refused("train", "-c", config, "--set", "split.folds=11")
    assert re.search(r"expected at least \d+ subjects for 11 folds, got 10 in 10 scans", line)


def test_unseen_scans_that_are_trained_on(refused, config, cohort):
    line = refused("train", "-c", config, "--set", f"data.unseen={cohort.manifest}")
    assert line.startswith("expected unseen subjects to be in no split, got sub-planted0, ")


def test_unseen_scans_that_are_trained_on_under_other_names(refused, config, cohort, tmp_path):
    """Neither table has digests: the files are compared."""
    shutil.copy(cohort.scan("sub-real1"), tmp_path / "x.nii.gz")
    write_table(tmp_path / "u.csv", [["x.nii.gz", "sub-x"], ["gone.nii", "sub-y"]], COLUMNS[:2])
    line = refused("train", "-c", config, "--set", "data.unseen=u.csv")
    assert line.startswith("expected unseen subjects to be in no split, got sub-x in both")


def test_a_run_folder_that_cannot_be_written(refused, config, tmp_path):
    (tmp_path / "runs").write_text("a file")
    line = refused("train", "-c", config)
    assert line.startswith("runs/tiny: cannot create it: ")


def test_a_run_to_resume_that_is_not_there(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("none", "empty"):
        line = refused("train", "--resume", name)
        assert f"{name}: nothing to resume: config.yaml is not there" in line


def test_a_network_that_does_not_fit_the_grid(refused, config):
    line = refused("train", "-c", config, "--set", "backbone.padding=valid",
                   "--set", "backbone.kernel_size=20")  # fmt: skip
    assert "cannot take an input of shape" in line


def test_a_device_that_is_not_there(refused, config):
    line = refused("train", "-c", config, "--set", "trainer.device=cuda:7")
    assert "cuda:7" in line


def test_a_cache_that_cannot_be_written(refused, config, tmp_path):
    (tmp_path / "file").touch()
    line = refused("train", "-c", config, "--set", "data.cache_dir=file/cache", writes=["runs"])
    assert "file/cache: cannot create the preprocessing cache" in line


def test_a_source_that_is_not_there_or_holds_no_scan(refused, holdout, tmp_path):
    options = ("--model", str(holdout.summary.model_dir), "--out", "p.csv")
    assert refused("predict", "none", *options) == "none: no such file or folder"
    (tmp_path / "empty").mkdir()
    assert refused("predict", "empty", *options).startswith("no scans found in empty")
    (tmp_path / "scan.img").touch()
    assert "expected a NIfTI, MGH or DICOM file" in refused("predict", "scan.img", *options)


def test_a_model_that_is_not_one(refused, cohort, tmp_path):
    options = ("--model", "m", "--out", "p.csv")
    assert "no such model folder" in refused("predict", str(cohort.manifest), *options)
    (tmp_path / "m").mkdir()
    assert "not a complete model" in refused("predict", str(cohort.manifest), *options)


def test_a_table_that_cannot_be_written(refused, holdout, tmp_path):
    write_nifti(tmp_path / "scan.nii", np.zeros((16, 16, 16), np.uint8))
    (tmp_path / "folder").mkdir()
    options = ("--model", str(holdout.summary.model_dir), "--out", "folder")
    for more in ((), ("--resume",)):
        assert refused("predict", "scan.nii", *options, *more).startswith("folder: is no file")


def wrong_scans(folder):
    """Each kind of file that is no usable scan, with the stage and reason it is to get."""
    noise = np.random.default_rng(0).random((40, 40, 40), dtype=np.float32)
    whole = nib.Nifti1Image(noise, np.diag([4, 4, 4, 1])).to_bytes()
    (folder / "01-empty.nii.gz").touch()
    (folder / "02-truncated.nii").write_bytes(whole[: len(whole) // 2])
    (folder / "03-truncated.nii.gz").write_bytes(gzip.compress(whole)[:-1000])
    (folder / "04-text.nii").write_text("subject,age\n" * 100)
    write_nifti(folder / "05-four-axes.nii", np.stack([noise, noise], axis=-1), 4.0)
    noise[3, 3, 3] = np.nan
    write_nifti(folder / "06-not-finite.nii.gz", noise, 4.0)
    write_nifti(folder / "07-all-zero.nii.gz", np.zeros((40, 40, 40), np.uint8), 4.0)
    return [
        ("read", "an empty file"),
        ("read", "truncated: the header promises"),
        ("read", "truncated: the gzip stream stops"),
        ("read", "expected NIfTI"),
        ("check", "expected one 3D volume, got shape 40 x 40 x 40 x 2"),
        ("check", "expected finite voxels, got 1 of 64000"),
        ("check", "expected an image, got the value 0 in every voxel"),
    ]


def test_every_bad_scan_is_a_row_that_says_why(holdout, tmp_path, capfd):
    (tmp_path / "scans").mkdir()
    expected = wrong_scans(tmp_path / "scans")
    options = ("--model", str(holdout.summary.model_dir), "--out", "p.csv")
    assert run(["predict", "scans", *options]) == 1
    rows = read_table(tmp_path / "p.csv")
    assert [row["status"] for row in rows] == ["failed"] * len(expected)
    assert [row["predicted_age"] for row in rows] == [""] * len(expected)
    for row, (stage, reason) in zip(rows, expected, strict=True):
        assert row["stage"] == stage
        assert reason in row["reason"], row["scan"]
    captured = capfd.readouterr()
    assert "Traceback" not in captured.err
    assert "scans: 7; 0 predicted, 7 failed" in captured.out


def test_a_scan_of_a_manifest_that_is_missing_is_a_row_too(holdout, tmp_path):
    write_nifti(tmp_path / "there.nii", np.zeros((40, 40, 40), np.uint8), 4.0)
    (tmp_path / "m.csv").write_text("scan\nthere.nii\nmissing.nii\n")
    options = ("--model", str(holdout.summary.model_dir), "--out", "p.csv")
    assert run(["predict", "m.csv", *options]) == 1
    _, missing = read_table(tmp_path / "p.csv")
    assert (missing["stage"], missing["reason"]) == (
        "read",
        "expected a scan, found nothing at this path",
    )
