"""A stress test from raw scans to its folder."""

import csv
import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from brainage.cli import run
from brainage.errors import RunFolderError
from brainage.stress.config import Budgets, StressConfig
from brainage.workflows.stress.output import StressOutput, StressSummary
from brainage.workflows.stress.run import stress
from brainage.workflows.stress.settings import stress_settings
from tests.stress.made_up import results, row, rows
from tests.workflows.tiny import write_nifti

STRICT = StressConfig(budgets=Budgets(mirror=1e-6))


@dataclass(frozen=True)
class Stressed:
    summary: StressSummary
    out: Path
    source: Path


@pytest.fixture(scope="module")
def stressed(holdout, cohort, tmp_path_factory) -> Stressed:
    """A real scan and a file that is none, with two changes of each."""
    folder = tmp_path_factory.mktemp("stress")
    source = folder / "scans"
    write_nifti(source / "a_flat.nii.gz", np.zeros((24, 24, 24), dtype=np.uint8))
    shutil.copy(cohort.unseen_scan, source / "b_head.nii.gz")
    summary = stress(
        source,
        model=str(holdout.summary.model_dir),
        out=folder / "out",
        config=STRICT,
        only=["mirror", "translation_header", "defacing"],
    )
    return Stressed(summary, folder / "out", source)


def table(stressed: Stressed) -> list[dict[str, str]]:
    with (stressed.out / "stress.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_every_scan_and_change_has_its_row(stressed):
    found = [(r["subject"], r["perturbation"], r["verdict"]) for r in table(stressed)]
    assert [each[1] for each in found] == [
        "untouched", "untouched", "translation_header", "defacing", "defacing", "mirror",
    ]  # fmt: skip
    assert found[0][2] == "refused"
    assert [each[2] for each in found[1:]] == [
        "reference", "within", "skipped", "skipped", "over",
    ]  # fmt: skip


def test_a_refused_scan_has_stage_and_reason_and_the_exit_code(stressed):
    first = table(stressed)[0]
    assert first["stage"] == "check"
    assert first["reason"]
    assert first["predicted_age"] == ""
    assert stressed.summary.exit_code == 1


def test_a_change_is_the_difference_of_two_whole_chains(stressed):
    untouched, *_, mirrored = table(stressed)[1:]
    difference = float(mirrored["predicted_age"]) - float(untouched["predicted_age"])
    assert float(mirrored["delta_years"]) == pytest.approx(difference, abs=2e-4)
    assert float(mirrored["budget_years"]) == pytest.approx(1e-6, abs=1e-4)


def test_the_untouched_scan_has_the_age_that_predict_gives(stressed, holdout, tmp_path):
    out = tmp_path / "ages.csv"
    scan = stressed.source / "b_head.nii.gz"
    model = str(holdout.summary.model_dir)
    assert run(["predict", str(scan), "--model", model, "--out", str(out)]) == 0
    with out.open(newline="", encoding="utf-8") as stream:
        predicted = float(next(csv.DictReader(stream))["predicted_age"])
    assert float(table(stressed)[1]["predicted_age"]) == pytest.approx(predicted, abs=1e-3)


def test_the_folder_holds_numbers_figures_pictures_and_a_page(stressed):
    numbers = json.loads((stressed.out / "stress.json").read_text())
    assert numbers["verdicts"]["over"] == 1
    assert len(numbers["rows"]) == 6
    assert (stressed.out / "figures/changes_of_age.png").stat().st_size > 1000
    assert [path.name for path in (stressed.out / "perturbed").iterdir()]
    assert "mirror" in (stressed.out / "stress.html").read_text()


def test_what_is_over_budget_is_loud(stressed):
    text = "\n".join(stressed.summary.describe())
    assert "OVER BUDGET: 1 of 2" in text
    assert "mirror, left and right" in text
    json.dumps(stressed.summary.to_json(), allow_nan=False)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_done(cohort, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot write"):
        stress(cohort.unseen_scan, model=None, out=tmp_path / "file" / "out", config=STRICT)


def test_a_carriage_return_in_a_name_ends_no_row(tmp_path):
    output = StressOutput(tmp_path, datetime.now().astimezone())
    made = rows(scan="a\rb.nii")
    output.write(results(made), ())
    with (tmp_path / "stress.csv").open(newline="") as stream:
        assert [row["scan"] for row in csv.DictReader(stream)] == ["a\rb.nii"] * len(made)


@pytest.mark.parametrize(
    ("made", "strict", "code"),
    [
        ([row("noise", "a", verdict="within")], False, 0),
        ([row("noise", "a", verdict="over")], False, 0),
        ([row("noise", "a", verdict="over")], True, 1),
        ([row("inversion", "a", verdict="refused", expected="refusal or flag")], True, 0),
        (rows(), False, 1),
    ],
)
def test_the_exit_code_tells_failures_and_if_strict_excesses(made, strict, code):
    summary = StressSummary(results=results(made), strict=strict, out=Path("out"))
    assert summary.exit_code == code


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.nii.gz"], "nothing.nii.gz: no such file"),
        (["{scan}", "--only", "rotations"], "did you mean rotation"),
        (["{scan}", "--budget", "0"], "budget: expected years above 0"),
        (["{scan}", "--budget", "nan"], "budget: expected years above 0"),
        (["{scan}", "--set", "budgets.nois=1"], "did you mean"),
        (["{scan}", "--set", "budgets.noise=-1"], "budgets.noise: expected years above 0"),
        (["{scan}", "--set", "budgets.noise=1", "--budget", "2"], "budget: give either"),
        (["{scan}", "--config", "nowhere.yaml"], "no configuration nowhere.yaml"),
        (["{scan}", "--answer", "block9"], "answer: expected one of"),
        (["{scan}", "--model", "nowhere"], "nowhere"),
        (["{scan}", "--out", "{scan}"], "is what is tested"),
        (["{scan}", "--out", "{folder}"], "holds a run, a model or a data set"),
    ],
)
def test_wrong_input_is_one_line(words, message, cohort, tmp_path, capsys):
    folder = tmp_path / "taken"
    folder.mkdir()
    (folder / "model.yaml").write_text("")
    words = [word.format(scan=cohort.unseen_scan, folder=folder) for word in words]
    out = [] if "--out" in words else ["--out", str(tmp_path / "out")]
    assert run(["stress", *words, *out]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert message in error[-1]
    assert error[-1].startswith("error: ")
    assert not (tmp_path / "out").exists()


def test_settings_come_from_a_file_and_options(tmp_path):
    file = tmp_path / "budgets.yaml"
    file.write_text("seed: 3\nbudgets: {noise: 1.5}\n")
    config = stress_settings(file, ["budgets.blur=0.1"], None)
    assert (config.seed, config.budgets.noise, config.budgets.blur) == (3, 1.5, 0.1)
    assert config.budgets.mirror == Budgets().mirror
    assert stress_settings(None, [], 0.7).budgets.noise == 0.7


@pytest.mark.slow
@pytest.mark.distributed
def test_two_processes_make_the_same_rows_as_one(holdout, cohort, stressed, tmp_path):
    summary = stress(
        stressed.source / "b_head.nii.gz",
        model=str(holdout.summary.model_dir),
        out=tmp_path / "out",
        config=STRICT,
        only=["mirror", "translation_header", "defacing"],
        jobs=2,
    )

    def ages(found):
        return [(r.perturbation, r.predicted_age) for r in found if r.subject == "b_head"]

    assert ages(summary.results.rows) == ages(stressed.summary.results.rows)
    assert len(ages(summary.results.rows)) == 5
