"""Brain extraction: telling a brain from a head, and refusing what is neither."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from brainage.errors import ScanError
from brainage.preprocess.brain_extraction import ExtractBrain
from brainage.preprocess.config import BrainExtractionConfig
from brainage.preprocess.foreground import find_foreground
from brainage.preprocess.state import ScanState
from brainage.scans.nifti import read_scan

MAX_ML = BrainExtractionConfig().max_brain_ml
STUDIES = {"ds000228": False, "ds002748": True, "ds000011": False, "ixi": False}


def extract(scan, **settings):
    return ExtractBrain(BrainExtractionConfig(**settings))(ScanState(scan))


def test_a_brain_with_zeros_around_is_recognised_as_stripped(make):
    scan = make.as_scan(make.moved_brain())
    assert find_foreground(scan).is_stripped(MAX_ML)


@pytest.mark.parametrize("background", [-1024.0, -3.5, 17.0])
def test_the_background_need_not_be_zero(make, background):
    made = make.moved_brain()
    made.data_XYZ = np.where(made.data_XYZ == 0, background, made.data_XYZ + 100)
    made.data_XYZ = made.data_XYZ.astype(np.float32)
    assert find_foreground(make.as_scan(made)).is_stripped(MAX_ML)


def test_a_head_in_noise_is_not_stripped(make):
    assert not find_foreground(make.as_scan(make.whole_head())).is_stripped(MAX_ML)


def test_a_head_with_a_zeroed_background_is_not_stripped(make):
    foreground = find_foreground(make.as_scan(make.whole_head(noise=False)))
    assert foreground.face_fraction == 0
    assert not foreground.is_stripped(MAX_ML)


def test_a_small_head_is_not_stripped_because_of_its_dark_skull(make):
    made = make.whole_head(noise=False)
    made.affine = made.affine @ np.diag([0.75, 0.75, 0.75, 1])
    foreground = find_foreground(make.as_scan(made))
    assert foreground.volume_ml < MAX_ML
    assert not foreground.is_stripped(MAX_ML)


def test_a_stripped_scan_keeps_its_own_mask_and_is_cropped_to_it(make):
    scan = make.as_scan(make.moved_brain())
    state = extract(scan)
    brain = state.brain
    assert brain.source == "already stripped"
    kept = np.count_nonzero(brain.crop(scan.data_XYZ)[brain.mask_XYZ])
    assert kept >= 0.97 * np.count_nonzero(scan.data_XYZ)
    assert brain.mask_XYZ.size < 0.7 * scan.data_XYZ.size
    corner = brain.affine(scan.affine)[:3, 3]
    np.testing.assert_allclose(corner, (scan.affine @ [*brain.start_XYZ, 1])[:3])


def test_brain_volume_is_in_millilitres(make):
    made = make.moved_brain(scale=0.9)
    template_ml = 1883
    found = extract(make.as_scan(made)).quality["brain_volume_ml"]
    assert found == pytest.approx(0.9**3 * template_ml, rel=0.08)


@pytest.mark.parametrize(("scale", "got"), [(0.5, "expected a brain of 500"), (1.2, "to 2500 ml")])
def test_a_volume_of_no_brain_is_refused(make, scale, got):
    with pytest.raises(ScanError) as info:
        extract(make.as_scan(make.moved_brain(scale=scale)), method="none")
    assert info.value.stage == "brain_extraction"
    assert got in info.value.reason


def test_method_none_takes_the_foreground_as_it_is(make):
    state = extract(make.as_scan(make.moved_brain()), method="none")
    assert state.brain.source == "none"


def test_deepbet_finds_the_brain_inside_a_head(make):
    state = extract(make.as_scan(make.whole_head()))
    assert state.brain.source == "deepbet"
    assert state.quality["brain_volume_ml"] == pytest.approx(0.9**3 * 1883, rel=0.08)


@pytest.mark.slow
def test_deepbet_finds_the_same_brain_with_any_number_of_threads(make):
    states = []
    for num_threads in (1, 2):
        torch.set_num_threads(num_threads)
        states.append(extract(make.as_scan(make.whole_head())))
    first, second = states
    np.testing.assert_array_equal(first.brain.mask_XYZ, second.brain.mask_XYZ)
    np.testing.assert_array_equal(first.brain.start_XYZ, second.brain.start_XYZ)


def real_scans(make, study, count):
    paths = sorted((make.shared / study).glob("sub-*/anat/*_T1w.nii.gz"))
    if not paths:
        pytest.skip("needs ../shared/data")
    return paths[:count]


def wrong(paths, stripped):
    return [
        path.name
        for path in paths
        if find_foreground(read_scan(path)).is_stripped(MAX_ML) != stripped
    ]


@pytest.mark.parametrize(("study", "stripped"), STUDIES.items())
def test_recognition_on_real_scans(make, study, stripped):
    assert wrong(real_scans(make, study, 3), stripped) == []


@pytest.mark.slow
@pytest.mark.parametrize(("study", "stripped"), STUDIES.items())
def test_recognition_on_the_whole_open_cohort(make, study, stripped):
    assert wrong(real_scans(make, study, None), stripped) == []


@pytest.mark.parametrize("factor", [0.01, 1000.0])
def test_recognition_does_not_depend_on_the_intensity_scale(make, factor):
    scan = make.as_scan(make.moved_brain())
    assert find_foreground(replace(scan, data_XYZ=scan.data_XYZ * factor)).is_stripped(MAX_ML)
