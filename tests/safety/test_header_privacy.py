"""Nothing that a header tells of a person is in anything that any command writes, logs or shows."""

import csv
import gzip
import logging
import sqlite3
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from brainage.cli import run
from brainage.config.load import dump_config
from tests.safety.planted import (
    MARK,
    everything_below,
    leaks,
    write_planted_dicom,
    write_planted_mgh,
    write_planted_nifti,
    write_refused,
)
from tests.workflows.tiny import make_cohort, sample_scan, tiny_config


@pytest.fixture(autouse=True)
def own_place(monkeypatch, tmp_path, caplog):
    """Everything that is written by default lands below ``out``, the user's own folders too."""
    place = tmp_path / "out"
    place.mkdir()
    monkeypatch.chdir(place)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(place / name))
        (place / name).mkdir()
    monkeypatch.setenv("BRAINAGE_SUBJECT_KEY", "a key of the tests")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    level = logging.getLogger("brainage").level
    caplog.set_level(logging.DEBUG)
    yield place
    logging.getLogger("brainage").setLevel(level)


@pytest.fixture
def source(tmp_path):
    """A head in three formats with planted headers, and three files that cannot be used."""
    folder = tmp_path / "source"
    folder.mkdir()
    write_planted_nifti(folder / "a.nii.gz", sample_scan("sub-ds00274801"))
    write_planted_mgh(folder / "b.mgh", sample_scan("sub-ds00274802"))
    write_planted_dicom(folder / "c", sample_scan("sub-ds00274865"))
    write_refused(folder)
    return folder


def statuses(table: Path) -> list[str]:
    with table.open() as stream:
        return [row["status"] for row in csv.DictReader(stream)]


def told(place, capfd, caplog):
    """All that was written, shown and logged."""
    shown = capfd.readouterr()
    texts = {"stdout": shown.out, "stderr": shown.err, "log": caplog.text}
    return chain(((name, text.encode()) for name, text in texts.items()), everything_below(place))


def test_the_search_finds_what_is_planted_in_every_format(source):
    found = "\n".join(leaks(everything_below(source)))
    for name in ("a.nii.gz", "b.mgh", "IM0001.dcm", "no-geometry.nii"):
        assert f"{MARK.lower()} in {source}" in found
        assert name in found


def test_the_search_finds_what_is_packed(tmp_path):
    place = tmp_path / "packed"
    place.mkdir()
    np.savez_compressed(place / "volume.npz", facts=np.frombuffer(MARK.encode(), np.uint8))
    (place / "scan.nii.gz").write_bytes(gzip.compress(MARK.encode()))
    information = PngInfo()
    information.add_text("Comment", MARK * 50, zip=True)
    Image.new("L", (2, 2)).save(place / "figure.png", pnginfo=information)
    with sqlite3.connect(place / "mlflow.db") as database:
        database.execute("CREATE TABLE tags (value)")
        database.execute("INSERT INTO tags VALUES (?)", (MARK,))
    database.close()
    found = "\n".join(leaks(everything_below(place)))
    for name in (
        "volume.npz/facts.npy",
        "scan.nii.gz (unp",
        "figure.png (text)",
        "mlflow.db (rows)",
    ):
        assert name in found


@pytest.mark.slow
def test_predict_tells_nothing_of_headers(source, own_place, capfd, caplog):
    assert run(["predict", str(source), "--out", "ages.csv", "-vv"]) == 1
    assert statuses(Path("ages.csv")) == ["ok", "ok", "ok", "failed", "failed", "failed"]
    assert leaks(told(own_place, capfd, caplog)) == []


def write_manifest(path: Path, *scans: Path) -> Path:
    rows = [[scan, f"sub-{scan.name[0]}", 35 + 5 * i] for i, scan in enumerate(scans)]
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["scan", "subject", "age_years"], *rows])
    return path


@pytest.mark.slow
def test_preprocess_tells_nothing_of_headers(source, own_place, capfd, caplog):
    assert run(["preprocess", str(source), "--out", "derivatives", "-vv"]) == 1
    assert list(own_place.rglob("*_T1w.nii.gz"))
    assert leaks(told(own_place, capfd, caplog)) == []


@pytest.mark.slow
def test_train_and_evaluate_tell_nothing_of_headers(source, own_place, tmp_path, capfd, caplog):
    cohort = make_cohort(tmp_path / "cohort")
    scans = {"sub-real1": source / "a.nii.gz", "sub-real2": source / "b.mgh"}
    manifest = cohort.manifest_with(tmp_path / "planted.csv", scans)
    unseen = write_manifest(tmp_path / "unseen.csv", source / "c")
    config = tiny_config(
        cohort,
        data={"manifest": str(manifest), "unseen": str(unseen), "cache_dir": str(cohort.cache)},
        tracking={"mlflow": True, "upload_predictions": True},
    )
    Path("tiny.yaml").write_text(dump_config(config))
    assert run(["train", "--config", "tiny.yaml", "-vv"]) == 0
    other = write_planted_nifti(source / "d.nii.gz", sample_scan("sub-ds00274810"))
    others = write_manifest(tmp_path / "others.csv", source / "c", other)
    words = ["--data", str(others), "--out", "evaluation", "-vv"]
    assert run(["evaluate", "--model", "runs/tiny/model", *words]) == 0
    written = {path.suffix for path in own_place.rglob("*")}
    assert {".html", ".png", ".csv", ".json", ".db", ".safetensors"} <= written
    assert leaks(told(own_place, capfd, caplog)) == []
    assert leaks(everything_below(cohort.cache)) == []
