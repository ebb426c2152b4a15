"""The whole way: the hash names it, real scans survive it, and it repeats bit for bit."""

import subprocess
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from brainage.errors import ScanError
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import (
    BiasFieldConfig,
    BrainExtractionConfig,
    DenoiseConfig,
    GridConfig,
    PreprocessConfig,
    RegistrationConfig,
)
from brainage.preprocess.pipeline import Preprocessor, findings_hash, preprocessing_hash
from brainage.preprocess.template import load_template
from brainage.preprocess.worker import preprocess_with_cache
from brainage.scans.nifti import read_scan

SAMPLE = Path(__file__).parents[2] / "data_manifests" / "open_t1w"


def test_the_template_is_the_one_the_limits_were_chosen_with():
    template = load_template()
    assert template.sha256.startswith("7eee776664fa3d70")
    assert np.count_nonzero(template.mask_XYZ) * 8 / 1000 == pytest.approx(1883, abs=1)
    assert (template.brain_XYZ[~template.mask_XYZ] == 0).all()


def test_the_template_is_the_symmetric_one_as_its_name_says():
    # The asymmetric release of the same year differs from its mirror image.
    template = load_template()
    middle = -template.affine[0, 3] / template.affine[0, 0]
    mirrored = (2 * middle - np.arange(len(template.brain_XYZ))).astype(int)
    there = (mirrored >= 0) & (mirrored < len(mirrored))
    np.testing.assert_array_equal(template.brain_XYZ[mirrored[there]], template.brain_XYZ[there])


def test_the_hash_is_the_same_in_another_process():
    code = (
        "from brainage.preprocess.config import PreprocessConfig;"
        "from brainage.preprocess.pipeline import preprocessing_hash;"
        "import sys; sys.stdout.write(preprocessing_hash(PreprocessConfig()))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert other == preprocessing_hash(PreprocessConfig())
    assert len(other) == 16


@pytest.mark.parametrize(
    ("changed", "findings_change"),
    [
        (PreprocessConfig(brain_extraction=BrainExtractionConfig(method="none")), True),
        (PreprocessConfig(bias_field=BiasFieldConfig(iterations_per_level=21)), True),
        (PreprocessConfig(registration=RegistrationConfig(transform="rigid")), True),
        (PreprocessConfig(grid=GridConfig(spacing_mm=4.5)), False),
    ],
)
def test_a_changed_setting_changes_the_hash_of_what_depends_on_it(changed, findings_change):
    standard = PreprocessConfig()
    assert preprocessing_hash(changed) != preprocessing_hash(standard)
    assert (findings_hash(changed) != findings_hash(standard)) == findings_change


def test_the_configuration_survives_the_way_through_plain_dictionaries():
    from pydantic import TypeAdapter

    config = PreprocessConfig(grid=GridConfig(spacing_mm=3.0, shape_XYZ=(56, 64, 56)))
    plain = asdict(config)
    assert set(plain) == {field.name for field in fields(config)}
    assert TypeAdapter(PreprocessConfig).validate_python(plain) == config
    with pytest.raises(ValueError, match="spacing"):
        TypeAdapter(PreprocessConfig).validate_python({"grid": {"spacing": 3}})


def test_importing_the_settings_loads_no_heavy_library():
    code = (
        "import sys; import brainage.preprocess.config;"
        "heavy = {'torch', 'ants', 'numpy', 'scipy', 'nibabel', 'SimpleITK'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_results_lie_on_the_stated_grid_with_one_time_per_step(make):
    result = Preprocessor(PreprocessConfig())(make.as_scan(make.moved_brain()))
    assert result.volume_XYZ.shape == result.mask_XYZ.shape == (40, 48, 40)
    assert result.volume_XYZ.dtype == np.float32
    assert (result.volume_XYZ[~result.mask_XYZ] == 0).all()
    assert list(result.seconds) == [
        "brain_extraction",
        "bias_field",
        "registration",
        "grid",
        "intensity",
    ]
    assert result.brain_source == "already stripped"
    assert all(np.isfinite(value) for value in result.quality.values())


@pytest.mark.slow
def test_results_from_cached_findings_are_those_of_one_go(make, tmp_path):
    scan = make.as_scan(make.moved_brain())
    finer = PreprocessConfig(grid=GridConfig(spacing_mm=3.0, shape_XYZ=(56, 64, 56)))
    coarse = PreprocessConfig()
    preprocess_with_cache(scan, Preprocessor(coarse), PreprocessCache(tmp_path, coarse))
    staged = preprocess_with_cache(scan, Preprocessor(finer), PreprocessCache(tmp_path, finer))
    direct = Preprocessor(finer)(scan)
    np.testing.assert_array_equal(staged.volume_XYZ, direct.volume_XYZ)
    assert staged.quality == direct.quality


@pytest.mark.slow
def test_the_bias_field_can_be_found_before_the_brain(make):
    made = make.moved_brain()
    ramp = np.exp(np.linspace(-0.3, 0.3, made.data_XYZ.shape[0], dtype=np.float32))
    made.data_XYZ = made.data_XYZ * ramp[:, None, None]
    order = ("denoise", "bias_field", "brain_extraction", "registration")
    first, after = (
        Preprocessor(config)(make.as_scan(made))
        for config in (PreprocessConfig(order=order), PreprocessConfig())
    )
    assert list(first.seconds)[:2] == ["bias_field", "brain_extraction"]
    both = first.mask_XYZ & after.mask_XYZ
    assert np.corrcoef(first.volume_XYZ[both], after.volume_XYZ[both])[0, 1] > 0.95


@pytest.mark.slow
def test_a_denoised_scan_is_denoised_again_where_its_findings_are_from_the_cache(make, tmp_path):
    scan = make.as_scan(make.moved_brain())
    denoise = DenoiseConfig(method="curvature_flow")
    coarse = PreprocessConfig(denoise=denoise)
    finer = replace(coarse, grid=GridConfig(spacing_mm=3.0, shape_XYZ=(56, 64, 56)))
    preprocess_with_cache(scan, Preprocessor(coarse), PreprocessCache(tmp_path, coarse))
    staged = preprocess_with_cache(scan, Preprocessor(finer), PreprocessCache(tmp_path, finer))
    direct = Preprocessor(finer)(scan)
    np.testing.assert_array_equal(staged.volume_XYZ, direct.volume_XYZ)


@pytest.mark.slow
def test_turning_the_head_in_the_scanner_hardly_changes_the_tensor(make):
    preprocessor = Preprocessor(PreprocessConfig())
    straight, turned = (
        preprocessor(make.as_scan(make.moved_brain(degrees=degrees))) for degrees in (0, 20)
    )
    both = straight.mask_XYZ & turned.mask_XYZ
    correlation = np.corrcoef(straight.volume_XYZ[both], turned.volume_XYZ[both])[0, 1]
    assert correlation > 0.97


def test_noise_is_refused(make):
    made = make.moved_brain()
    noise = np.random.default_rng(0).normal(100, 10, made.data_XYZ.shape)
    made.data_XYZ = np.where(made.data_XYZ > 0, noise, 0).astype(np.float32)
    config = PreprocessConfig(
        brain_extraction=BrainExtractionConfig(method="none"),
        registration=RegistrationConfig(max_starts=1),
    )
    with pytest.raises(ScanError) as info:
        Preprocessor(config)(make.as_scan(made))
    assert info.value.stage == "registration"


def real_scan(make, study):
    for root in (make.shared / study, SAMPLE):
        paths = sorted(root.glob("sub-*/anat/*_T1w.nii.gz"))
        if paths:
            return paths[0]
    pytest.skip("needs ../shared/data or the sample")


def test_a_real_scan_reaches_the_template(make):
    result = Preprocessor(PreprocessConfig())(read_scan(real_scan(make, "ds002748")))
    assert result.quality["template_dice"] > 0.88
    assert result.quality["template_correlation"] > 0.35


@pytest.mark.slow
@pytest.mark.parametrize("study", ["ds000228", "ds002748", "ds000011", "ixi"])
def test_threads_change_no_bit_of_a_real_scans_tensor(make, study):
    scan = read_scan(real_scan(make, study))
    results = []
    for num_threads in (1, 2, 4):
        torch.set_num_threads(num_threads)
        results.append(Preprocessor(PreprocessConfig())(replace(scan)).volume_XYZ)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
