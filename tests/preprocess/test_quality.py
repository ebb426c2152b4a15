"""Quality figures: known answers, and what noise does to them."""

from pathlib import Path

import numpy as np
import pytest

from brainage.preprocess.quality import (
    FIGURES,
    measure_quality,
    normalised_mutual_information,
    tissue_figures,
)
from brainage.preprocess.state import BiasField, Brain, ScanState
from brainage.preprocess.template import load_template
from brainage.preprocess.tissue import TISSUES, load_tissue_labels
from brainage.scans.nifti import Scan

LEVELS = {"csf": 100.0, "grey": 300.0, "white": 500.0}


def tissue_state(*, noise: float, gain: float = 1.0, brain_part: slice = slice(None)) -> ScanState:
    """A scan on the template's own grid: each tissue at its level, plus noise of this SD."""
    template, labels = load_template(), load_tissue_labels()
    data = np.random.default_rng(0).normal(0, noise, labels.shape)
    for name, label in TISSUES.items():
        data[labels == label] += LEVELS[name]
    scan = Scan((gain * data).astype(np.float32), template.affine, Path("made.nii"), "0" * 64)
    mask = np.zeros_like(template.mask_XYZ)
    mask[:, :, brain_part] = template.mask_XYZ[:, :, brain_part]
    brain = Brain(mask, np.zeros(3, dtype=np.int64), "none")
    return ScanState(scan, brain=brain, scan_to_template=np.eye(4))


def test_tissue_figures_are_those_of_their_definitions():
    figures = tissue_figures(tissue_state(noise=20))
    assert figures["snr_total"] == pytest.approx((100 + 300 + 500) / 20 / 3, rel=0.02)
    assert figures["cnr"] == pytest.approx(200 / np.hypot(20, 20), rel=0.02)
    assert figures["cjv"] == pytest.approx((20 + 20) / 200, rel=0.02)


def test_tissue_figures_do_not_depend_on_the_scanner_s_scale():
    first, second = (
        tissue_figures(tissue_state(noise=20)),
        tissue_figures(tissue_state(noise=20, gain=37.0)),
    )
    assert second == pytest.approx(first, rel=1e-3)


def test_noise_lowers_snr_and_cnr_and_raises_cjv():
    clean, noisy = (tissue_figures(tissue_state(noise=noise)) for noise in (20, 60))
    assert noisy["snr_total"] < 0.5 * clean["snr_total"]
    assert noisy["cnr"] < 0.5 * clean["cnr"]
    assert noisy["cjv"] > 2 * clean["cjv"]


def test_the_bias_field_is_divided_out_before():
    state = tissue_state(noise=20)
    ramp = np.linspace(-0.5, 0.5, state.scan.data_XYZ.shape[0], dtype=np.float32)
    field = np.broadcast_to(ramp[:, None, None], state.scan.data_XYZ.shape)
    data = state.scan.data_XYZ * np.exp(field)
    scan = Scan(data, state.scan.affine, state.scan.source, state.scan.sha256)
    biased = ScanState(scan, brain=state.brain, scan_to_template=np.eye(4))
    bias = BiasField(np.asarray(field), np.ones(3, dtype=np.int64))
    corrected = ScanState(scan, brain=state.brain, bias=bias, scan_to_template=np.eye(4))
    assert tissue_figures(corrected) == pytest.approx(tissue_figures(state), rel=1e-3)
    assert tissue_figures(biased)["cjv"] > 1.5 * tissue_figures(state)["cjv"]


def test_a_brain_without_a_tissue_has_no_tissue_figures():
    assert tissue_figures(tissue_state(noise=20, brain_part=slice(0, 8))) == {}


def test_tissues_lie_in_the_template_s_brain_and_white_is_brightest():
    template, labels = load_template(), load_tissue_labels()
    assert not labels[~template.mask_XYZ].any()
    means = {name: template.brain_XYZ[labels == label].mean() for name, label in TISSUES.items()}
    assert means["csf"] < means["grey"] < means["white"]
    assert all(np.count_nonzero(labels == label) > 1000 for label in TISSUES.values())


def test_mutual_information_of_an_image_with_itself_is_two_and_with_noise_one():
    values = np.random.default_rng(0).normal(size=(2, 200_000))
    assert normalised_mutual_information(values[0], values[0]) == pytest.approx(2)
    assert normalised_mutual_information(values[0], -3 * values[0] + 7) == pytest.approx(2, abs=0.1)
    assert normalised_mutual_information(values[0], values[1]) == pytest.approx(1, abs=0.01)


def test_mutual_information_with_a_constant_is_not_defined():
    values = np.random.default_rng(0).normal(size=1000)
    assert normalised_mutual_information(values, np.ones(1000)) is None


def test_all_figures_of_a_well_aligned_brain_are_there(make):
    made = make.moved_brain(degrees=5, scale=0.95)
    mask = made.data_XYZ > 0
    brain = Brain(mask, np.zeros(3, dtype=np.int64), "none")
    steps = ("brain_volume_ml", "template_dice", "template_correlation", "bias_field_spread",
             "foreground_fraction", "rotation_degrees", "scale")  # fmt: skip
    state = ScanState(
        make.as_scan(made), brain=brain, scan_to_template=made.scan_to_template,
        quality=dict.fromkeys(steps, 1.0),
    )  # fmt: skip
    figures = measure_quality(state)
    assert list(figures) == [figure.name for figure in FIGURES]
    assert figures["template_nmi"] > 1.2
    turned = ScanState(state.scan, brain=brain, quality=state.quality,
                       scan_to_template=made.scan_to_template @ make.rotation(25))  # fmt: skip
    assert measure_quality(turned)["template_nmi"] < figures["template_nmi"] - 0.1
