"""Registration: known movements are found again, hopeless ones are refused."""

import numpy as np
import pytest

from brainage.errors import ScanError
from brainage.preprocess.brain_extraction import ExtractBrain
from brainage.preprocess.config import BrainExtractionConfig, RegistrationConfig
from brainage.preprocess.registration import RegisterToTemplate
from brainage.preprocess.state import ScanState


def register(make, made, **settings):
    found = ExtractBrain(BrainExtractionConfig(method="none"))(ScanState(make.as_scan(made)))
    return RegisterToTemplate(RegistrationConfig(**settings))(found)


def error_mm(state, made):
    """Largest distance between found and true positions of the corners of the brain."""
    corners = np.array(np.meshgrid([-60, 60], [-90, 60], [-60, 70])).reshape(3, -1)
    points = np.vstack([corners, np.ones(8)])
    in_scan = np.linalg.inv(made.scan_to_template) @ points
    return np.linalg.norm((state.scan_to_template @ in_scan - points)[:3], axis=0).max()


@pytest.mark.parametrize("degrees", [pytest.param(0.0, marks=pytest.mark.slow), 25.0])
def test_a_known_movement_is_found(make, degrees):
    made = make.moved_brain(degrees=degrees)
    state = register(make, made)
    assert error_mm(state, made) < 1.5
    assert state.quality["template_dice"] > 0.96
    assert state.quality["template_correlation"] > 0.9
    assert state.quality["rotation_degrees"] == pytest.approx(degrees, abs=1)
    assert state.quality["scale"] == pytest.approx(1 / 0.92, abs=0.02)


def test_oblique_and_sheared_voxels_are_found_too(make):
    made = make.moved_brain(degrees=5)
    turn = make.rotation(15)
    turn[0, 1] = 0.1
    made.affine = turn @ made.affine
    made.scan_to_template = made.scan_to_template @ np.linalg.inv(turn)
    assert error_mm(register(make, made), made) < 1.5


def test_rigid_keeps_distances(make):
    state = register(make, make.moved_brain(degrees=10, scale=1.0), transform="rigid")
    linear = state.scan_to_template[:3, :3]
    np.testing.assert_allclose(linear @ linear.T, np.eye(3), atol=1e-6)


def test_something_else_than_a_brain_is_refused(make):
    made = make.moved_brain()
    noise = np.random.default_rng(0).uniform(100, 900, made.data_XYZ.shape)
    bar = np.zeros(made.data_XYZ.shape, bool)
    bar[5:65, 30:50, 30:50] = True
    made.data_XYZ = np.where(bar, noise, 0).astype(np.float32)
    with pytest.raises(ScanError) as info:
        register(make, made, max_starts=2)
    assert info.value.stage == "registration"
    assert "2 starts" in info.value.reason


def test_limits_are_those_of_the_configuration_and_stand_in_the_reason(make):
    with pytest.raises(ScanError) as info:
        register(make, make.moved_brain(), min_dice=0.999, retry_dice=0.999, max_starts=1)
    assert "template_dice of at least 0.999" in info.value.reason


@pytest.mark.slow
def test_a_head_far_turned_is_found_from_another_start(make):
    made = make.moved_brain(degrees=-75)
    state = register(make, made)
    assert error_mm(state, made) < 1.5
    assert state.quality["registration_starts"] > 1


def test_a_good_result_needs_one_start_and_leaves_no_temporary_file(make, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert register(make, make.moved_brain()).quality["registration_starts"] == 1
    assert list(tmp_path.iterdir()) == []


def test_a_failed_scan_never_gets_the_matrix_of_the_one_before(make):
    step = RegisterToTemplate(RegistrationConfig(max_starts=1))
    made = make.moved_brain()
    good = ExtractBrain(BrainExtractionConfig(method="none"))(ScanState(make.as_scan(made)))
    step(good)
    made.data_XYZ = np.where(made.data_XYZ > 0, 0, made.data_XYZ)
    made.data_XYZ[5:12, 5:60, 5:12] = 1.0
    from dataclasses import replace

    from brainage.preprocess.state import Brain

    brain = Brain(made.data_XYZ > 0, np.zeros(3, np.int64), "none")
    bad = replace(good, scan=make.as_scan(made), brain=brain)
    with pytest.raises(ScanError):
        step(bad)
