"""Settings: orders that cannot work and settings that nobody reads are refused by their key."""

import pytest

from brainage.preprocess.config import (
    BrainExtractionConfig,
    DenoiseConfig,
    IntensityConfig,
    PreprocessConfig,
    RegistrationConfig,
)


def test_the_bias_field_may_come_before_the_brain():
    order = ("bias_field", "denoise", "brain_extraction", "registration")
    assert PreprocessConfig(order=order).order == order


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (("brain_extraction", "bias_field", "registration"), "each of denoise, brain_extraction"),
        (("denoise",) * 2 + ("bias_field", "registration"), "once"),
        (("denoise", "registration", "brain_extraction", "bias_field"), "registration last"),
    ],
)
def test_impossible_orders_are_refused(order, expected):
    with pytest.raises(ValueError, match=rf"^order: expected .*{expected}"):
        PreprocessConfig(order=order)


@pytest.mark.parametrize(
    ("section", "settings", "key"),
    [
        (DenoiseConfig, {"iterations": 9}, "iterations"),
        (IntensityConfig, {"method": "percentile", "clip": 3.0}, "clip"),
        (IntensityConfig, {"low_percentile": 2.0}, "low_percentile"),
        (BrainExtractionConfig, {"method": "none", "upright_degrees": 20.0}, "upright_degrees"),
    ],
)
def test_a_setting_that_the_method_does_not_read_is_refused(section, settings, key):
    with pytest.raises(ValueError, match=rf"^{key}: expected its default, for method"):
        section(**settings)


def test_percentiles_have_to_be_in_order():
    with pytest.raises(ValueError, match=r"^high_percentile: expected more than low_percentile"):
        IntensityConfig(method="percentile", low_percentile=60.0, high_percentile=40.0)


def test_a_refused_registration_has_to_be_one_that_is_tried_again():
    with pytest.raises(ValueError, match=r"^retry_dice: expected at least min_dice"):
        RegistrationConfig(min_dice=0.9, retry_dice=0.8)


def test_an_unknown_step_is_refused_by_key():
    from pydantic import TypeAdapter

    order = ["denoise", "brain_extraction", "bias", "registration"]
    with pytest.raises(ValueError, match="order"):
        TypeAdapter(PreprocessConfig).validate_python({"order": order})
