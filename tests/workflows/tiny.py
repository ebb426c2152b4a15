"""A cohort and a configuration so small that a whole training run takes a second or two.

Two scans are real ones of the sample and go through the whole preprocessing. The others are files
whose finished preprocessing is put into the cache: the volume of a real scan, changed with age.
"""

import csv
import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from brainage.config.load import config_from_mapping
from brainage.config.run import RunConfig
from brainage.preprocess.batch import preprocess_scans
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import BiasFieldConfig, PreprocessConfig

SAMPLE = Path(__file__).parents[2] / "data_manifests" / "open_t1w"
# Without N4, a scan takes half the time.
PREPROCESS = PreprocessConfig(bias_field=BiasFieldConfig(method="none"))
COLUMNS = ("scan", "subject", "age_years", "sex", "site")
REAL = {"sub-real1": ("sub-ds00274801", 39.0), "sub-real2": ("sub-ds00274802", 50.0)}
UNSEEN = "sub-ds00274865"
PLANTED_AGES = (20.0, 24.0, 29.0, 33.0, 44.0, 55.0, 61.0, 68.0)


def sample_scan(subject: str) -> Path:
    return SAMPLE / subject / "anat" / f"{subject}_T1w.nii.gz"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_nifti(path: Path, data: np.ndarray, spacing_mm: float = 10.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(data, np.diag([spacing_mm] * 3 + [1.0])).to_filename(path)
    return path


def write_table(path: Path, rows: Iterable[Iterable[object]], columns: Iterable[str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([columns, *rows])
    return path


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@dataclass(frozen=True)
class TinyCohort:
    """Files of the cohort; ``cache`` holds the finished preprocessing of all of them.

    ``unseen_scan`` is a real scan of a person who is not in the manifest; it is not in the cache.
    """

    folder: Path
    manifest: Path
    unseen: Path
    cache: Path
    unseen_scan: Path

    def scan(self, subject: str) -> Path:
        return self.folder / f"{subject}.nii.gz"

    def rows(self) -> list[list[str]]:
        return [list(row.values()) for row in read_table(self.manifest)]

    def manifest_with(self, path: Path, scans: dict[str, Path]) -> Path:
        """The same people, some with another file as their scan."""
        rows = self.rows()
        for row in rows:
            row[0] = str(scans.get(row[1], self.folder / row[0]))
        return write_table(path, rows, COLUMNS)


def make_cohort(folder: Path) -> TinyCohort:
    folder.mkdir()
    cohort = TinyCohort(
        folder, folder / "manifest.csv", folder / "unseen.csv", folder / "cache",
        sample_scan(UNSEEN),
    )  # fmt: skip
    rows = []
    for index, (subject, (original, age_years)) in enumerate(REAL.items()):
        shutil.copy(sample_scan(original), cohort.scan(subject))
        rows.append([f"{subject}.nii.gz", subject, age_years, "MF"[index], "a"])
    outcomes = preprocess_scans([cohort.scan(name) for name in REAL], PREPROCESS, cohort.cache)
    assert [outcome.status for outcome in outcomes] == ["ok", "ok"]
    for index, age_years in enumerate(PLANTED_AGES):
        subject = f"sub-planted{index}"
        plant(cohort, cohort.scan(subject), outcomes[index % 2].key, age_years, seed=index)
        rows.append([f"{subject}.nii.gz", subject, age_years, "FM"[index % 2], "ab"[index % 2]])
    write_table(cohort.manifest, rows, COLUMNS)
    unseen = [[cohort.unseen_scan, "sub-unseen", 37.0, "F", "a"]]
    write_table(cohort.unseen, unseen, COLUMNS)
    return cohort


def plant(cohort: TinyCohort, path: Path, base_key: str, age_years: float, seed: int) -> None:
    """Write a file and put the preprocessing it is to have into the cache."""
    rng = np.random.default_rng(seed)
    write_nifti(path, rng.integers(0, 255, (16, 16, 16), dtype=np.uint8))
    cache = PreprocessCache(cohort.cache, PREPROCESS)
    base = cache.load(base_key)
    assert base is not None
    noise = rng.normal(0, 0.1, base.volume_XYZ.shape)
    older = (age_years - 40) / 20 * np.linspace(-1, 1, base.volume_XYZ.shape[1])[None, :, None]
    volume = np.where(base.mask_XYZ, base.volume_XYZ + older + noise, 0).astype(np.float32)
    cache.store(cache.key(sha256(path)), replace(base, volume_XYZ=volume))


def tiny_config(cohort: TinyCohort | None = None, **sections: dict[str, Any]) -> RunConfig:
    """A small network on the tiny cohort; ``sections`` change single keys."""
    content: dict[str, Any] = {
        "name": "tiny",
        "seed": 18,
        "num_threads": 1,
        "split": {"test_fraction": 0.25, "validation_fraction": 0.15, "num_age_bins": 1},
        "preprocess": {"bias_field": {"method": "none"}},
        "backbone": {
            "name": "cnn3d", "channels": [2, 4, 4], "kernel_size": 3, "padding": "same",
        },
        "blocks": {"num_blocks": 3},
        "heads": {"num_lf_workers": 2, "pooled_size": 2, "dropout": 0.1},
        "objective": {"name": "lfnn_l", "leader_fraction": 0.5},
        "trainer": {"epochs": 2, "batch_size": 3},
        "tracking": {"mlflow": False},
    }  # fmt: skip
    if cohort is not None:
        content["data"] = {"manifest": str(cohort.manifest), "cache_dir": str(cohort.cache)}
    for name, section in sections.items():
        content[name] = {**content.get(name, {}), **section}
    return config_from_mapping(content)
