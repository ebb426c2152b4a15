"""Bias field: a planted drift is found and divided out."""

import numpy as np
import pytest
import SimpleITK

from brainage.errors import ScanError
from brainage.preprocess.bias_field import EstimateBiasField, corrected_brain
from brainage.preprocess.brain_extraction import ExtractBrain
from brainage.preprocess.config import BiasFieldConfig, BrainExtractionConfig
from brainage.preprocess.state import BiasField, Brain, ScanState


def extracted(make, made):
    return ExtractBrain(BrainExtractionConfig())(ScanState(make.as_scan(made)))


def planted(made):
    """Logarithm of a drift of a factor 1.8 from left to right."""
    ramp = np.linspace(-0.3, 0.3, made.data_XYZ.shape[0], dtype=np.float32)
    return np.broadcast_to(ramp[:, None, None], made.data_XYZ.shape)


def test_a_planted_drift_is_found(make):
    made = make.moved_brain()
    drift = planted(made)
    made.data_XYZ = made.data_XYZ * np.exp(drift)
    state = EstimateBiasField(BiasFieldConfig())(extracted(make, made))
    brain = state.brain
    before = np.log(np.maximum(brain.crop(state.scan.data_XYZ)[brain.mask_XYZ], 1))
    corrected = corrected_brain(state.scan, brain, state.bias)[brain.mask_XYZ]
    found = before - np.log(np.maximum(corrected, 1))
    assert np.corrcoef(found, brain.crop(drift)[brain.mask_XYZ])[0, 1] > 0.8
    assert state.quality["bias_field_spread"] > 0.05


def test_method_none_leaves_the_intensities(make):
    state = extracted(make, make.moved_brain())
    after = EstimateBiasField(BiasFieldConfig(method="none"))(state)
    assert after.bias is None
    np.testing.assert_array_equal(
        corrected_brain(after.scan, after.brain, after.bias), after.brain.crop(after.scan.data_XYZ)
    )


def test_a_brain_of_negative_values_is_refused(make):
    made = make.moved_brain()
    state = extracted(make, made)
    made.data_XYZ = -made.data_XYZ
    negative = ScanState(make.as_scan(made), brain=state.brain)
    with pytest.raises(ScanError) as info:
        EstimateBiasField(BiasFieldConfig())(negative)
    assert info.value.stage == "bias_field"
    assert "positive" in info.value.reason


def test_the_field_is_interpolated_between_block_centres(make):
    made = make.moved_brain()
    made.data_XYZ = np.ones_like(made.data_XYZ)
    brain = Brain(np.ones((8, 4, 4), bool), np.zeros(3, np.int64), "none")
    log_XYZ = np.log(np.array([1.0, 4.0], np.float32)).reshape(2, 1, 1)
    bias = BiasField(log_XYZ, np.array([4, 4, 4]), np.zeros(3, np.int64))
    profile = np.log(corrected_brain(make.as_scan(made), brain, bias)[:, 0, 0])
    # Centres of the two blocks lie at voxels 1.5 and 5.5; beyond them the field is constant.
    share = np.clip((np.arange(8) - 1.5) / 4, 0, 1)
    np.testing.assert_allclose(profile, -np.log(4) * share, atol=1e-6)


def test_threads_that_another_library_set_change_no_bit(make):
    made = make.moved_brain()
    made.data_XYZ = made.data_XYZ * np.exp(planted(made))
    state = extracted(make, made)
    fields = []
    for threads in (1, 4):
        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
        fields.append(EstimateBiasField(BiasFieldConfig())(state).bias.log_XYZ)
    np.testing.assert_array_equal(*fields)
