import numpy as np
import pytest

from brainage.explain.baseline import mean_volume, template_volume
from brainage.explain.config import ExplainConfig
from brainage.explain.maps import MapMaker

QUICK = {"cube_mm": 32, "stride_mm": 16, "num_steps": 8}


@pytest.mark.parametrize("method", ["occlusion", "integrated_gradients"])
def test_the_volumes_of_a_map_are_known_before(model, scan, method):
    maker = MapMaker(model, scan, "last", ExplainConfig(**QUICK))
    counted = []
    maker.make(method, counted.append)
    assert sum(counted) == maker.num_rows(method)


def test_gradients_are_a_density_that_sums_to_years(model, scan):
    maker = MapMaker(model, scan, "last", ExplainConfig(**{**QUICK, "num_steps": 64}))
    found = maker.make("integrated_gradients")
    years = found.values_XYZ.sum(dtype=np.float64) * 8.0**3 / 1000
    facts = found.facts
    assert years == pytest.approx(facts["sum_years"], rel=1e-4)
    missed = facts["completeness_delta_years"]
    assert years - missed == pytest.approx(facts["age_minus_baseline_years"], abs=1e-3)
    assert maker.age_years() == pytest.approx(
        facts["baseline_age_years"] + facts["age_minus_baseline_years"], abs=1e-3
    )
    assert found.unit == "years per ml"


def test_a_map_that_misses_the_age_is_warned_of(model, scan):
    config = ExplainConfig(**{**QUICK, "baseline": "mean"})
    found = MapMaker(model, scan, "last", config).make("integrated_gradients")
    assert any("the map misses the age" in warning for warning in found.warnings)


def test_an_occlusion_map_ends_with_the_brain(model, scan):
    found = MapMaker(model, scan, "last", ExplainConfig(**QUICK)).make("occlusion")
    assert (found.values_XYZ[~scan.mask_XYZ] == 0).all()
    assert (found.values_XYZ[scan.mask_XYZ] != 0).any()


def test_the_mean_is_flat_inside_the_brain(scan):
    flat = mean_volume(scan.volume_XYZ, scan.mask_XYZ)
    assert np.unique(flat[scan.mask_XYZ]) == pytest.approx([scan.volume_XYZ[scan.mask_XYZ].mean()])
    assert (flat[~scan.mask_XYZ] == 0).all()


def test_the_template_has_the_intensities_of_a_scan(model, scan):
    template = template_volume(model.config.preprocess)
    assert template.data_XYZ.shape == scan.volume_XYZ.shape
    inside = template.data_XYZ[template.mask_XYZ]
    assert (inside.mean(), inside.std()) == pytest.approx((0, 1), abs=0.02)
    np.testing.assert_array_equal(template.affine, scan.affine)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("cube_mm", 0), ("stride_mm", 17), ("num_steps", 7), ("methods", ()),
     ("highest_correlation", 1)],
)  # fmt: skip
def test_a_setting_out_of_range_is_refused_by_name(setting, value):
    with pytest.raises(ValueError, match=setting):
        ExplainConfig(**{setting: value})


@pytest.mark.parametrize(("spacing_mm", "voxels"), [(4.0, (4, 2)), (2.0, (8, 4)), (30.0, (1, 1))])
def test_cubes_are_whole_voxels(spacing_mm, voxels):
    config = ExplainConfig()
    assert (config.cube_voxels(spacing_mm), config.stride_voxels(spacing_mm)) == voxels
