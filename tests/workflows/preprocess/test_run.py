"""``brainage preprocess``: derivatives of two real scans and of a file that is none."""

import json
import logging
import shutil
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from brainage.cli import run
from brainage.derivatives.table import COLUMNS
from brainage.derivatives.task import MakeDerivatives
from brainage.errors import RunFolderError
from brainage.preprocess.batch import preprocess_scans
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import IntensityConfig
from brainage.preprocess.quality import FIGURES
from brainage.preprocess.threads import fix_itk
from brainage.workflows.preprocess.outcome import INTERRUPTED, PreprocessSummary
from brainage.workflows.preprocess.run import preprocess
from tests.derivatives.bids import problems, validator_errors
from tests.workflows.tiny import PREPROCESS, TinyCohort, read_table, sha256

# The tests leave the bias field out, for speed.
MEASURED = [figure.name for figure in FIGURES if figure.name != "bias_field_spread"]
SPACE = "space-MNI152NLin2009aSym_res-4"


@pytest.fixture(autouse=True)
def _logging_as_before():
    level = logging.getLogger("brainage").level
    yield
    logging.getLogger("brainage").setLevel(level)


@dataclass(frozen=True)
class Made:
    """What the command made of a folder with three scans of the same name."""

    source: Path
    out: Path
    cache: Path
    summary: PreprocessSummary

    def file(self, subject: str, ending: str) -> Path:
        return self.out / f"sub-{subject}" / "anat" / f"sub-{subject}_{ending}"

    def sidecar(self, subject: str) -> dict:
        return json.loads(self.file(subject, f"{SPACE}_desc-preproc_T1w.json").read_text())

    def scan(self, subject: str) -> Path:
        return self.source / f"sub-{subject}" / "anat.nii.gz"

    def again(self, config=PREPROCESS, **options) -> PreprocessSummary:
        options = {"config": config, "cache_folder": self.cache, **options}
        return preprocess(self.source, out=self.out, **options)

    def copy(self, folder: Path) -> "Made":
        shutil.copytree(self.source, folder / "scans")
        shutil.copytree(self.out, folder / "out")
        return replace(self, source=folder / "scans", out=folder / "out")


@pytest.fixture(scope="session")
def made(cohort: TinyCohort, tmp_path_factory) -> Made:
    """Tests must not change its folders; they copy it."""
    folder = tmp_path_factory.mktemp("derivatives")
    source = folder / "scans"
    for subject, scan in (("1", cohort.scan("sub-real1")), ("3", cohort.scan("sub-real2"))):
        (source / f"sub-{subject}").mkdir(parents=True)
        shutil.copy(scan, source / f"sub-{subject}" / "anat.nii.gz")
    (source / "sub-2").mkdir()
    (source / "sub-2" / "anat.nii.gz").write_bytes(b"no scan")
    summary = preprocess(source, out=folder / "out", config=PREPROCESS, cache_folder=cohort.cache)
    return Made(source, folder / "out", cohort.cache, summary)


def test_every_scan_has_its_row_in_input_order(made):
    rows = read_table(made.out / "qc.csv")
    assert tuple(rows[0]) == COLUMNS
    assert [row["scan"] for row in rows] == [str(made.scan(subject)) for subject in "123"]
    assert [row["subject"] for row in rows] == ["sub-1", "sub-2", "sub-3"]
    assert [row["status"] for row in rows] == ["ok", "failed", "ok"]
    assert [name for name in MEASURED if not 0 < float(rows[0][name]) < 3000] == []


def test_a_failed_scan_says_where_and_why_and_has_no_files(made):
    row = read_table(made.out / "qc.csv")[1]
    assert row["stage"] == "read"
    assert row["reason"].startswith("expected NIfTI")
    assert row["output"] == row["template_dice"] == ""
    assert not (made.out / "sub-2").exists()
    assert made.summary.exit_code == 1


def test_scans_of_the_same_name_keep_their_own_results(made):
    for subject in "13":
        sidecar = made.sidecar(subject)
        assert sidecar["InputSHA256"] == sha256(made.scan(subject))
        assert sidecar["Sources"] == [f"bids:source:sub-{subject}/anat.nii.gz"]
    images = [made.file(s, f"{SPACE}_desc-preproc_T1w.nii.gz").read_bytes() for s in "13"]
    assert images[0] != images[1]


def test_the_volume_is_the_one_that_training_sees(made):
    cache = PreprocessCache(made.cache, PREPROCESS)
    for subject in "13":
        result = cache.load(cache.key(sha256(made.scan(subject))))
        image = nib.load(made.file(subject, f"{SPACE}_desc-preproc_T1w.nii.gz"))
        mask = nib.load(made.file(subject, f"{SPACE}_desc-brain_mask.nii.gz"))
        np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), result.volume_XYZ)
        np.testing.assert_array_equal(np.asarray(mask.dataobj) > 0, result.mask_XYZ)
        np.testing.assert_allclose(image.affine, result.affine)


def test_ants_makes_the_same_volume_with_the_transform_file(made):
    fix_itk()
    import ants

    image = made.file("1", f"{SPACE}_desc-preproc_T1w.nii.gz")
    transform = made.file("1", "from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.txt")
    fixed, moving = ants.image_read(str(image)), ants.image_read(str(made.scan("1")))
    moved = ants.apply_transforms(fixed, moving, [str(transform)]).numpy()
    inside = nib.load(made.file("1", f"{SPACE}_desc-brain_mask.nii.gz")).get_fdata() > 0
    assert np.corrcoef(moved[inside], fixed.numpy()[inside])[0, 1] > 0.9


def test_the_sidecar_tells_all_that_led_to_the_volume(made):
    sidecar = made.sidecar("1")
    assert sidecar["Settings"]["bias_field"]["method"] == "none"
    assert sidecar["Settings"]["intensity"]["clip"] == PREPROCESS.intensity.clip
    assert len(sidecar["TemplateSHA256"]) == 64
    assert set(sidecar["SecondsPerStep"]) >= {"brain_extraction", "registration", "grid"}
    assert sidecar["PackageVersions"]["antspyx"]
    assert list(sidecar["QualityControl"]) == MEASURED


def test_the_folder_keeps_to_the_rules_of_bids(made):
    assert problems(made.out) == []


def test_the_official_validator_finds_no_error(made, tmp_path):
    errors = validator_errors(made.out)
    if errors is None:
        pytest.skip("bids-validator-deno is not installed")
    assert errors == []
    copy = made.copy(tmp_path)
    copy.file("1", f"{SPACE}_desc-brain_mask.json").unlink()
    assert any("SIDECAR" in error for error in validator_errors(copy.out))
    assert any("Resolution" in problem for problem in problems_or_missing(copy.out))


def problems_or_missing(out: Path) -> list[str]:
    try:
        return problems(out)
    except FileNotFoundError as error:
        return [f"no sidecar, so no Resolution: {error}"]


def state_of(out: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in out.glob("sub-*/**/*") if p.is_file()}


def test_a_second_run_does_nothing_and_says_so(made, tmp_path):
    copy = made.copy(tmp_path)
    shutil.rmtree(copy.source / "sub-2")
    before = state_of(copy.out)
    summary = copy.again()
    assert state_of(copy.out) == before
    assert (summary.unchanged, summary.cached, summary.exit_code) == (2, 2, 0)
    assert summary.seconds_per_scan_median is None
    assert any("nothing to do" in line for line in summary.describe())
    first, again = read_table(made.out / "qc.csv")[0], read_table(copy.out / "qc.csv")[0]
    assert [again[f.name] for f in FIGURES] == [first[f.name] for f in FIGURES]


def test_a_changed_parameter_redoes_only_what_it_touches(made, tmp_path):
    copy = made.copy(tmp_path)
    findings = {p: p.stat().st_mtime_ns for p in (copy.cache / "findings").iterdir()}
    before = copy.sidecar("1")
    summary = copy.again(replace(PREPROCESS, intensity=IntensityConfig(clip=2.0)))
    after = copy.sidecar("1")
    assert (summary.unchanged, summary.ok) == (0, 2)
    assert after["Settings"]["intensity"]["clip"] == 2.0
    assert after["PreprocessingKey"] != before["PreprocessingKey"]
    assert after["ScanToTemplate"] == before["ScanToTemplate"]
    assert {p: p.stat().st_mtime_ns for p in (copy.cache / "findings").iterdir()} == findings
    volume = nib.load(copy.file("1", f"{SPACE}_desc-preproc_T1w.nii.gz")).get_fdata()
    assert np.abs(volume).max() == pytest.approx(2.0)


def test_a_damaged_output_is_made_again(made, tmp_path):
    copy = made.copy(tmp_path)
    image = copy.file("3", f"{SPACE}_desc-preproc_T1w.nii.gz")
    content = image.read_bytes()
    image.write_bytes(content[:100])
    assert copy.again().unchanged == 1
    assert image.read_bytes() == content


def test_a_scan_that_now_fails_does_not_keep_the_former_scan_s_brain(made, tmp_path):
    copy = made.copy(tmp_path)
    content = bytearray(b"\0" * 400)
    copy.scan("3").write_bytes(content)
    assert copy.again().failed == 2
    assert [p for p in (copy.out / "sub-3").rglob("*") if p.is_file()] == []
    assert not list((copy.out / "qc").glob("sub-3*"))
    assert copy.sidecar("1") == made.sidecar("1")


def test_a_scan_that_cannot_be_read_today_keeps_its_files(made, tmp_path):
    copy = made.copy(tmp_path)
    before = state_of(copy.out)
    copy.scan("3").write_bytes(b"")
    assert copy.again().failed == 2
    assert state_of(copy.out) == before
    assert [r["status"] for r in read_table(copy.out / "qc.csv")] == ["ok", "failed", "failed"]


def test_two_runs_at_once_do_not_collide(made, tmp_path):
    copy = replace(made, out=tmp_path / "out")
    summaries = []
    threads = [threading.Thread(target=lambda: summaries.append(copy.again())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(summary.unchanged for summary in summaries) == [0, 2]
    assert {summary.ok for summary in summaries} == {2}
    assert problems(copy.out) == []
    assert [p.name for p in copy.out.glob(".writing-*")] == []


def test_an_interruption_tells_which_scans_were_not_done(made, tmp_path, monkeypatch):
    original = MakeDerivatives.__call__

    def interrupted(task, path, config, cache):
        if "sub-3" in str(path):
            raise KeyboardInterrupt
        return original(task, path, config, cache)

    monkeypatch.setattr(MakeDerivatives, "__call__", interrupted)
    copy = replace(made, out=tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        copy.again()
    rows = read_table(copy.out / "qc.csv")
    assert [row["status"] for row in rows] == ["ok", "failed", "skipped"]
    assert rows[2]["reason"] == INTERRUPTED
    monkeypatch.undo()
    assert copy.again().unchanged == 1


# A process that is killed, as by the kernel for lack of memory, when it comes to the third scan.
KILLED = """
import os, signal, sys
from pathlib import Path
from brainage.derivatives.task import MakeDerivatives
from brainage.workflows.preprocess.run import preprocess
from tests.workflows.tiny import PREPROCESS
original = MakeDerivatives.__call__
def call(task, path, config, cache):
    if "sub-3" in str(path):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(task, path, config, cache)
MakeDerivatives.__call__ = call
source, out, cache = map(Path, sys.argv[1:])
preprocess(source, out=out, config=PREPROCESS, cache_folder=cache)
"""


@pytest.mark.slow  # a killed prediction is among the default tests
def test_a_killed_run_has_a_row_for_every_scan_that_was_finished(made, tmp_path):
    copy = replace(made, out=tmp_path / "out")
    command = [sys.executable, "-c", KILLED, str(copy.source), str(copy.out), str(copy.cache)]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -signal.SIGKILL
    wanted = read_table(made.out / "qc.csv")[:2]
    rows = read_table(copy.out / "qc.csv")
    assert [{**row, "cached": "", "seconds": ""} for row in rows] == [
        {**row, "cached": "", "seconds": ""} for row in wanted
    ]
    assert [row["status"] for row in rows] == ["ok", "failed"]
    assert (copy.again().unchanged, len(read_table(copy.out / "qc.csv"))) == (1, 3)


def test_nothing_is_fetched_while_preprocessing(cohort, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    summary = preprocess(
        cohort.unseen_scan, out=tmp_path / "out", config=PREPROCESS, cache_folder=tmp_path / "c"
    )
    assert (summary.ok, summary.failed) == (1, 0)


def test_output_among_the_scans_is_refused(made):
    with pytest.raises(RunFolderError, match="take it for scans"):
        preprocess(made.source, out=made.source / "out", config=PREPROCESS, cache_folder=made.cache)
    assert not (made.source / "out").exists()


@pytest.mark.slow
@pytest.mark.distributed
def test_processes_make_the_same_files(made, tmp_path):
    preprocess_scans([made.scan("1")], PREPROCESS, tmp_path / "cache")
    copy = replace(made, out=tmp_path / "out", cache=tmp_path / "cache")
    summary = copy.again(jobs=2)
    assert (summary.ok, summary.failed, summary.cached) == (2, 1, 1)
    ending = f"{SPACE}_desc-preproc_T1w.nii.gz"
    assert copy.file("3", ending).read_bytes() == made.file("3", ending).read_bytes()


def test_the_command_prints_the_summary_and_ends_in_1_for_a_failed_scan(made, tmp_path, capsys):
    command = ["preprocess", str(made.source), "--out", str(tmp_path / "out"), "--json"]
    settings = ["--config", "preprocess/mni4mm.yaml", "--set", "bias_field.method=none"]
    assert run([*command, *settings, "--cache", str(made.cache)]) == 1
    content = json.loads(capsys.readouterr().out)
    assert {name: content[name] for name in ("scans", "ok", "failed", "cached")} == {
        "scans": 3, "ok": 2, "failed": 1, "cached": 2,
    }  # fmt: skip
    assert content["out"] == str(tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "grid.spacing=2"], "grid.spacing: unknown key"),
        (["--set", "grid.spacing_mm=30"], "grid.spacing_mm: expected 0.5 to 8 mm"),
        (["--config", "preprocess/none.yaml"], "no configuration preprocess/none.yaml"),
        (["--jobs", "0"], "jobs"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(made, tmp_path, capsys, arguments, told):
    out = tmp_path / "out"
    assert run(["preprocess", str(made.source), "--out", str(out), *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert told in lines[0]
    assert not out.exists()


@pytest.mark.slow
def test_no_name_of_a_dicom_header_reaches_the_output(tmp_path, monkeypatch):
    source = Path(__file__).parents[4] / "shared" / "data" / "dicom" / "t1w_series"
    if not source.exists():
        pytest.skip("the DICOM series is not here")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    out = tmp_path / "out"
    preprocess(source, out=out, config=PREPROCESS, cache_folder=tmp_path / "cache")
    import pydicom

    header = pydicom.dcmread(next(source.iterdir()), stop_before_pixels=True)
    names = ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID")
    secrets = [str(header.get(name, "")) for name in names]
    secrets = [secret.encode() for secret in secrets if len(secret) > 3]
    assert secrets
    leaks = [
        (path.name, secret)
        for path in tmp_path.rglob("*")
        if path.is_file() and path.suffix not in {".gz", ".npz", ".jpg"}
        for secret in secrets
        if secret in path.read_bytes()
    ]
    assert leaks == []
