import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainage.data.volumes import ArrayVolumes
from brainage.errors import ConfigError
from brainage.scans.manifest import ScanRecord
from brainage.workflows.train.cohort import Cohort
from pipelines.age_rules import (
    PANELS,
    Study,
    errors_by_seed,
    load_config,
    open_study,
    run_panel,
    summarise,
)

SMALL = """
base: {base}
name: study
split: {{folds: 2, validation_fraction: 0.2, num_age_bins: 2}}
preprocess: {{grid: {{spacing_mm: 8.0, shape_XYZ: [20, 24, 20]}}}}
backbone: {{channels: [2, 2]}}
blocks: {{num_blocks: 2}}
trainer: {{epochs: 1}}
"""
FEW = {"bp": ("objective.name=bp",), "half": ("objective.leader_fraction=0.5",)}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    base = Path(__file__).parents[2] / "configs" / "lfnn3d.yaml"
    path.write_text(SMALL.format(base=base), encoding="utf-8")
    random = np.random.default_rng(0)
    ages = np.linspace(20, 70, 14).astype(np.float32)
    volumes = (
        random.standard_normal((14, 20, 24, 20)).astype(np.float32) + ages[:, None, None, None]
    )
    records = tuple(
        ScanRecord(Path(f"{i}.nii"), f"p{i}", None, age_years=float(age))
        for i, age in enumerate(ages)
    )
    keys = tuple(str(i) for i in range(14))
    cohort = Cohort(records, ArrayVolumes(volumes), ages, keys, (), 0, (1, *volumes.shape[1:]))
    return Study(str(path), cohort, load_config(path))


def test_every_setting_of_every_panel_is_a_valid_configuration():
    for panel in PANELS.values():
        for overrides in panel.values():
            load_config("cohort/lfnn3d.yaml", overrides)


def test_a_study_scores_every_scan_once_a_seed_and_goes_on_where_it_stopped(study, tmp_path):
    kept = tmp_path / "rows.jsonl"
    rows = list(run_panel(study, FEW, 1, kept))
    assert [row["setting"] for row in rows] == [
        n for n in ("baselines", "bp", "half") for _ in "12"
    ]
    for setting in ("baselines", "bp", "half"):
        tested = [i for row in rows if row["setting"] == setting for i in row["scans"]]
        assert sorted(tested) == list(range(14))
    lines = kept.read_text().splitlines()
    kept.write_text("\n".join(lines[:-1]) + "\n")
    again = list(run_panel(study, FEW, 1, kept))
    assert [row["predicted"] for row in again] == [row["predicted"] for row in rows]
    assert len(kept.read_text().splitlines()) == len(lines)
    other = replace(study, config=load_config(study.base, ["trainer.epochs=2"]))
    list(run_panel(other, {"bp": FEW["bp"]}, 1, kept))
    assert len(kept.read_text().splitlines()) > len(lines)  # rows of another study are not its own

    found = summarise(rows, study.cohort)
    by_name = {entry["setting"]: entry for entry in found["table"]}
    half = errors_by_seed(rows, "half", "last", study.cohort.ages_years.astype(float))
    assert by_name["half"]["last"]["mae_years"] == pytest.approx(half.mean())
    assert set(by_name["half"]) >= {"block1", "block2", "ensemble", "validation_mae_years"}
    contrast = next(c for c in found["contrasts"] if c["a"] == "half last")
    gap = by_name["half"]["last"]["mae_years"] - by_name["bp"]["last"]["mae_years"]
    assert contrast["delta_mae_years"] == pytest.approx(gap)
    assert contrast["low"] <= gap <= contrast["high"]
    json.dumps(found)


def test_a_configuration_without_folds_is_refused():
    with pytest.raises(ConfigError, match=r"split\.folds"):
        open_study("lfnn3d.yaml")
