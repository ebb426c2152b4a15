import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from brainage.errors import RunFolderError
from brainage.reporting.comparison import (
    ArmCost,
    ArmResult,
    BaselineResult,
    Comparison,
    Contrast,
    CurvePoint,
)
from brainage.reporting.comparison_page import (
    FIGURES,
    render_comparison,
    verdicts,
    write_comparison_figures,
    write_comparison_page,
)
from brainage.reporting.estimates import Estimate
from brainage.reporting.formatting import NOTHING

COST = ArmCost(
    step_seconds=0.1,
    step_seconds_iqr=0.01,
    samples_per_second=40.0,
    peak_memory_bytes=300 * 1024**2,
    activation_bytes=200 * 1024**2,
    joules_per_step=None,
    energy_counter="no counter",
    device_name="CPU, 1 thread",
)


def arm(name, error_years, objective="lfnn_l", **fields):
    filled = {
        "num_blocks": 2,
        "leader_fraction": None if objective == "bp" else 0.5,
        "num_fits": 2,
        "mae_years": Estimate(error_years, error_years - 1, error_years + 1),
        "mae_by_seed": (error_years - 0.25, error_years + 0.25),
        "block_ends": (2, 4),
        "block_mae_years": (error_years + 1, error_years),
        "validation_mae_years": 5.0,
        "curve": tuple(CurvePoint(epoch=e, seconds=2.0 * e, mae_years=9.0 / e) for e in (1, 2, 3)),
        "epochs_to_target": 2,
        "seconds_to_target": 4.0,
        "num_reached": 2,
        "cost": COST,
        "parameters": {"body": 1000, "output": 234},
    }
    return ArmResult(name=name, objective=objective, **(filled | fields))


def comparison(**fields):
    filled = {
        "name": "rules",
        "created": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        "reference": "bp",
        "seeds": (0, 1),
        "num_folds": 1,
        "num_scans": 24,
        "num_subjects": 20,
        "age_range_years": (5.0, 60.0),
        "backbone": "cnn3d",
        "num_stages": 4,
        "arms": (
            arm("bp", 4.0, "bp"),
            arm("local", 4.5, cost=replace(COST, step_seconds=0.05)),
            arm("wild", 9.0, failures=("seed 0, fold 1: epoch 1: <nan>",), mae_years=None,
                mae_by_seed=(), block_mae_years=(), block_ends=()),
        ),
        "baselines": (
            BaselineResult(name="mean", mae_years=Estimate(12.0, 11.0, 13.0), mae_by_seed=(12.0,)),
        ),
        "contrasts": (
            Contrast(a="local", b="bp", num_scans=24, difference_years=Estimate(0.5, 0.125, 0.875)),
            Contrast(a="bp", b="mean", num_scans=24, difference_years=Estimate(-8.0, -9.0, -7.0)),
        ),
        "target_mae_years": None,
        "seconds_are": "steps run in turn",
        "versions": {"torch": "2"},
        "config_yaml": "name: <rules>",
    }  # fmt: skip
    return Comparison(**(filled | fields))


@pytest.fixture(scope="module")
def page() -> str:
    return render_comparison(comparison())


def test_the_page_shows_errors_differences_costs_and_what_failed(page):
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "local: worse than bp" in text
    assert "0.50 0.12 to 0.88" in text
    assert "wild, seed 0, fold 1: epoch 1: &lt;nan&gt;" in text
    assert "50 ms 0.50" in text  # step of local, and its ratio
    assert "no counter" in text
    assert "1,234" in text
    assert "<nan>" not in page
    assert "name: &lt;rules&gt;" in page


def test_the_page_needs_nothing_else(page):
    assert not re.search(r"https?://|<link[^>]+stylesheet|<script[^>]+src|<img", page)
    assert page.count("<svg") == len(FIGURES)


def test_ids_of_the_figures_do_not_meet(page):
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_comparison_without_costs_and_curves_has_fewer_figures_and_dashes():
    bare = [
        replace(each, cost=None, curve=(), epochs_to_target=None, seconds_to_target=None)
        for each in comparison().arms
    ]
    page = render_comparison(comparison(arms=tuple(bare)))
    assert page.count("<svg") == 3
    assert NOTHING in page


def test_a_failed_reference_is_told_and_compared_with_nobody():
    failed = replace(comparison().arms[0], mae_years=None, mae_by_seed=(), failures=("nan",))
    found = comparison(arms=(failed, *comparison().arms[1:]), contrasts=())
    assert verdicts(found) == ["No arm could be compared with bp."]
    assert "failed" in render_comparison(found)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.1, 0.9, "local: worse than bp"),
        (-0.9, -0.1, "local: better than bp"),
        (-0.1, 0.9, "local: not told apart from bp by this sample"),
        (None, None, "local: not told apart from bp by this sample"),
    ],
)
def test_a_difference_is_told_only_where_its_interval_leaves_out_zero(low, high, words):
    estimate = Estimate(0.4, low, high)
    contrast = Contrast(a="local", b="bp", num_scans=24, difference_years=estimate)
    assert verdicts(comparison(contrasts=(contrast,))) == [words]


def test_page_and_figures_are_written(tmp_path):
    write_comparison_page(comparison(), tmp_path / "page.html")
    write_comparison_figures(comparison(), tmp_path / "figures")
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert names == {figure.name for figure in FIGURES}
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot be written"):
        write_comparison_figures(comparison(), tmp_path / "file")
