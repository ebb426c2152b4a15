from brainage.preprocess.quality import FIGURES
from brainage.preprocess.quality_limits import (
    Limit,
    QualityLimits,
    load_quality_limits,
    quality_flags,
)

LIMITS = QualityLimits(
    {"template_dice": Limit(0.9, None), "cjv": Limit(None, 1.5), "scale": Limit(0.8, 1.2)},
    rule="made up", num_scans=3, identity="x",
)  # fmt: skip


def test_a_figure_beyond_its_limit_is_flagged_by_name_and_side():
    figures = {"template_dice": 0.89, "cjv": 1.51, "scale": 1.21}
    assert quality_flags(figures, LIMITS) == ("low_template_dice", "high_cjv", "high_scale")


def test_a_figure_at_its_limit_is_not_flagged():
    assert quality_flags({"template_dice": 0.9, "cjv": 1.5, "scale": 0.8}, LIMITS) == ()


def test_a_figure_that_could_not_be_computed_is_flagged():
    assert quality_flags({"template_dice": 0.95, "scale": 1}, LIMITS) == ("no_cjv",)


def test_the_package_s_limits_hold_for_every_figure_on_its_suspect_sides():
    limits = load_quality_limits()
    expected = {
        figure.name: (figure.suspect in {"low", "both"}, figure.suspect in {"high", "both"})
        for figure in FIGURES
        if figure.suspect != "none"
    }
    found = {
        name: (limit.low is not None, limit.high is not None)
        for name, limit in limits.limits.items()
    }
    assert found == expected
    assert limits.num_scans == 199
    assert "MAD" in limits.rule


def test_a_figure_of_a_step_that_was_left_out_is_not_flagged():
    limits = QualityLimits({"bias_field_spread": Limit(None, 0.2)}, "made up", 3, "x")
    assert quality_flags({}, limits) == ()
    assert quality_flags({"bias_field_spread": 0.3}, limits) == ("high_bias_field_spread",)
