import csv
import json

import pytest

from brainage.errors import CohortError
from brainage.preprocess.quality import FIGURES
from pipelines.quality_limits import learn_limits, main


def row(site: str, value: float, status: str = "ok") -> dict[str, str]:
    figures = {figure.name: "1" for figure in FIGURES}
    return {"site": site, "status": status, **figures, "template_dice": str(value)}


def test_limits_keep_five_spreads_off_the_outermost_study():
    # Medians 0.90 and 0.95; half of the scans lie 0.01 from their study's median.
    rows = [row("a", 0.95 + d) for d in (-0.01, 0, 0.01)] + [
        row("b", 0.90 + d) for d in (-0.02, -0.01, 0, 0.01, 0.02)
    ]
    content = learn_limits(rows)
    assert content["limits"]["template_dice"] == {"low": pytest.approx(0.85), "high": None}
    assert content["medians_by_study"]["template_dice"] == {"a": 0.95, "b": 0.90}


def test_a_large_study_does_not_outweigh_a_small_one():
    small = [row("a", 0.9 + d) for d in (-0.02, 0, 0.02)]
    large = [row("b", 0.9 + d) for d in (-0.001, 0, 0.001)] * 30
    assert learn_limits(small + large)["limits"]["template_dice"]["low"] < 0.9


def test_failed_scans_and_figures_without_suspicion_teach_nothing():
    rows = [row("a", 0.9), row("a", 0.1, status="failed")]
    content = learn_limits(rows)
    assert content["num_scans"] == 1
    assert content["limits"]["template_dice"]["low"] == pytest.approx(0.9)
    assert "foreground_fraction" not in content["limits"]


def test_scans_without_a_study_are_refused():
    with pytest.raises(CohortError, match="a site each"):
        learn_limits([row("", 0.9)])


def test_the_command_writes_what_the_package_reads(tmp_path, capsys):
    table, out = tmp_path / "qc.csv", tmp_path / "limits.json"
    rows = [row("a", 0.9), row("b", 0.95)]
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert main([str(table), "--out", str(out)]) == 0
    assert json.loads(out.read_text()) == learn_limits(rows)
    assert main([str(tmp_path / "none.csv"), "--out", str(out)]) == 2
    assert "none.csv" in capsys.readouterr().err
