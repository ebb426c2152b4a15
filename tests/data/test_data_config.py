from pathlib import Path

import pytest

from brainage.data.config import AugmentationConfig, DataConfig


def test_the_default_manifest_is_the_sample():
    assert Path(DataConfig().manifest).parts[-2:] == ("open_t1w", "manifest.csv")
    assert DataConfig().root_folder() is None


@pytest.mark.parametrize(
    ("variable", "folder"), [("/data", Path("/data/t1w")), (None, Path("../shared/data/t1w"))]
)
def test_the_data_variable_stands_for_the_data_folder(monkeypatch, variable, folder):
    monkeypatch.delenv("BRAINAGE_DATA", raising=False)
    if variable:
        monkeypatch.setenv("BRAINAGE_DATA", variable)
    assert DataConfig(root="$BRAINAGE_DATA/t1w").root_folder() == folder


def test_another_root_is_taken_as_it_is(monkeypatch):
    monkeypatch.setenv("BRAINAGE_DATA", "/data")
    assert DataConfig(root="mine/$BRAINAGE_DATA").root_folder() == Path("mine/$BRAINAGE_DATA")


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (DataConfig, "manifest", " "),
        (DataConfig, "preprocess_jobs", 0),
        (DataConfig, "num_loader_workers", -1),
        (DataConfig, "memory_gb", -1.0),
        (DataConfig, "memory_gb", float("nan")),
        (DataConfig, "balance_bin_years", 0.0),
        (AugmentationConfig, "affine_probability", 1.5),
        (AugmentationConfig, "noise_std", -0.1),
        (AugmentationConfig, "scale", 0.9),
        (AugmentationConfig, "rotation_degrees", float("nan")),
        (AugmentationConfig, "motion_probability", 30.0),
        (AugmentationConfig, "num_motions", 0),
        (AugmentationConfig, "num_ghosts", 1),
        (AugmentationConfig, "ghosting_intensity", 1.5),
        (AugmentationConfig, "spike_intensity", -0.1),
        (AugmentationConfig, "anisotropy_factor", 0.5),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_name(kind, field, value):
    with pytest.raises(ValueError, match=f"^{field}: expected .*, got "):
        kind(**{field: value})
