"""Evaluation from raw scans to report, and what it refuses before there is a number."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from brainage.cli import run
from brainage.errors import CohortError, ManifestError, RunFolderError
from brainage.preprocess.cache import PreprocessCache
from brainage.workflows.evaluate.checks import Consent
from brainage.workflows.evaluate.results import EvaluateSummary
from brainage.workflows.evaluate.run import Prediction, evaluate_scans, evaluate_table
from tests.workflows.tiny import PREPROCESS, plant, read_table, sha256, write_table

COLUMNS = ("scan", "subject", "session", "age_years", "sex", "site")
CAREFUL = Consent()
AGES = (25.0, 35.0, 45.0, 58.0)


@pytest.fixture(autouse=True)
def ledger(monkeypatch, tmp_path) -> Path:
    """Evaluations are noted in a file of the test's own."""
    path = tmp_path / "ledger.jsonl"
    monkeypatch.setenv("BRAINAGE_EVALUATIONS", str(path))
    return path


@pytest.fixture(scope="module")
def people(cohort, tmp_path_factory) -> Path:
    """A manifest of four new people with two scans each, and of one file that is no scan."""
    folder = tmp_path_factory.mktemp("people")
    base = PreprocessCache(cohort.cache, PREPROCESS).key(sha256(cohort.scan("sub-real1")))
    rows = []
    for index, first_age in enumerate(AGES):
        for session in (1, 2):
            scan, age_years = folder / f"{index}_{session}.nii.gz", first_age + session
            plant(cohort, scan, base, age_years, seed=100 + 10 * index + session)
            row = [scan.name, f"new{index}", f"ses-{session}", age_years, "FM"[index % 2], "here"]
            rows.append(row)
    (folder / "bad.nii.gz").write_bytes(b"no scan")
    rows.append(["bad.nii.gz", "new9", "ses-1", 40, "F", "here"])
    return write_table(folder / "people.csv", rows, COLUMNS)


@pytest.fixture(scope="module")
def trained(cohort, holdout) -> str:
    """A subject that the model was trained on or stopped by."""
    tested = {row["subject"] for row in read_table(holdout.folder / "held_out_predictions.csv")}
    return next(row[1] for row in cohort.rows() if row[1] not in tested)


@dataclass(frozen=True)
class Evaluated:
    summary: EvaluateSummary
    out: Path


@pytest.fixture(scope="module")
def evaluate(cohort, holdout, people):
    def call(out: Path, source: Path = people, consent=CAREFUL, **options) -> Evaluated:
        model = str(holdout.summary.model_dir)
        how = Prediction(cache_folder=cohort.cache, **options)
        summary = evaluate_scans(source, model=model, out=out, how=how, consent=consent)
        return Evaluated(summary, out)

    return call


@pytest.fixture(scope="module")
def evaluated(evaluate, tmp_path_factory) -> Evaluated:
    folder = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAINAGE_EVALUATIONS", str(folder / "ledger.jsonl"))
        return evaluate(folder / "out")


def test_a_bad_scan_costs_its_row_and_the_exit_code(evaluated):
    assert (evaluated.summary.evaluation.metrics.n, evaluated.summary.failed) == (8, 1)
    assert evaluated.summary.exit_code == 1
    rows = read_table(evaluated.out / "predictions.csv")
    assert [row["status"] for row in rows] == ["ok"] * 8 + ["failed"]
    assert "bad.nii.gz" in (evaluated.out / "report.html").read_text()


def test_the_page_is_titled_by_the_name_of_the_model_and_tells_its_folder(evaluated):
    page = (evaluated.out / "report.html").read_text()
    assert "<h1>Evaluation of tiny</h1>" in page
    assert "<dt>model</dt>" in page


def test_the_error_is_that_of_the_rows(evaluated):
    rows = read_table(evaluated.out / "evaluated.csv")
    gaps = [float(row["predicted_age"]) - float(row["age_years"]) for row in rows]
    assert [row["site"] for row in rows] == ["here"] * 8
    numbers = json.loads((evaluated.out / "metrics.json").read_text())
    assert numbers["overall"]["mae_years"] == pytest.approx(sum(map(abs, gaps)) / 8, abs=1e-3)
    assert numbers["reliability"]["num_pairs"] == 4
    assert numbers["longitudinal_slope"]["num_scans"] == 8
    assert numbers["mean_baseline_of"] == "the training scans"
    assert set(numbers["by_sex"]) == {"F", "M"}


def test_figures_are_files_too(evaluated):
    names = {path.name for path in (evaluated.out / "figures").iterdir()}
    assert {"gap_and_age.png", "agreement_of_repeated_scans.png", "error_by_age.png"} <= names


def test_the_summary_has_the_promised_keys(evaluated):
    numbers = evaluated.summary.to_json()
    promised = {"n", "mae_years", "mae_low", "mae_high", "rmse_years", "pearson_r", "r2",
                "spearman_gap_age", "report"}  # fmt: skip
    assert promised <= set(numbers)
    json.dumps(numbers, allow_nan=False)
    assert all("\n" not in line for line in evaluated.summary.describe())


def test_its_own_training_data_are_refused_and_nothing_is_written(
    evaluate, cohort, tmp_path, ledger
):
    with pytest.raises(CohortError, match="of 10 scans were used in the training of"):
        evaluate(tmp_path / "out", cohort.manifest)
    assert not (tmp_path / "out").exists()
    assert not ledger.exists()


def test_a_renamed_training_scan_is_refused_whatever_its_table_says(
    evaluate, cohort, trained, tmp_path
):
    shutil.copy(cohort.scan(trained), tmp_path / "new.nii.gz")
    rows = [["new.nii.gz", "somebody", "ses-1", 33, "F", "there", "0" * 64]]
    source = write_table(tmp_path / "scans.csv", rows, (*COLUMNS, "sha256"))
    with pytest.raises(CohortError, match=r"byte for byte; the first: .*new\.nii\.gz"):
        evaluate(tmp_path / "out", source, consent=Consent(other_people=True))


def test_the_name_of_a_training_subject_is_refused_unless_it_is_another_person(
    evaluate, people, trained, tmp_path
):
    rows = [[str(people.parent / f"{index}_1.nii.gz"), name, "ses-1", 30 + index, "F", "there"]
            for index, name in enumerate((trained, "new1", "new2"))]  # fmt: skip
    source = write_table(tmp_path / "scans.csv", rows, COLUMNS)
    with pytest.raises(CohortError, match=f"the first: {trained}"):
        evaluate(tmp_path / "out", source)
    found = evaluate(tmp_path / "out", source, consent=Consent(other_people=True))
    assert "the user says" in (tmp_path / "out/report.html").read_text()
    assert len(found.summary.warnings) == 1


def test_a_second_model_on_the_same_scans_has_to_be_asked_for_and_is_counted(
    evaluate, people, tmp_path
):
    """Another block's answer is another model; another folder does not make the scans new."""
    rows = [list(row.values()) for row in read_table(people)[:3]]
    some = [[str(people.parent / row[0]), *row[1:]] for row in rows]
    few = write_table(tmp_path / "few.csv", some, COLUMNS)
    assert evaluate(tmp_path / "first", few).summary.models_scored == 1
    with pytest.raises(CohortError, match="3 of 3 scans were used to score another model"):
        evaluate(tmp_path / "second", few, answer="block1")
    assert not (tmp_path / "second").exists()
    found = evaluate(tmp_path / "second", few, answer="block1", consent=Consent(again=True))
    assert found.summary.models_scored == 2
    assert "2 models have been scored" in (tmp_path / "second/report.html").read_text()
    assert evaluate(tmp_path / "first", few).summary.models_scored == 2


def test_an_interrupted_evaluation_goes_on(evaluate, evaluated, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    lines = (evaluated.out / "predictions.csv").read_text().splitlines(keepends=True)
    (out / "predictions.csv").write_text("".join(lines[:4]) + lines[4][:9])
    found = evaluate(out, resume=True)
    kept = (out / "predictions.csv").read_text().splitlines(keepends=True)
    assert kept[:4] == lines[:4]
    assert found.summary.evaluation.metrics == evaluated.summary.evaluation.metrics


def test_a_finished_table_gives_the_same_error_as_its_scans(evaluated, holdout, tmp_path):
    table = evaluated.out / "predictions.csv"
    model = str(holdout.summary.model_dir)
    again = evaluate_table(table, out=tmp_path / "out", model=model, consent=CAREFUL)
    for name in ("mae_years", "mae_mean_baseline_years"):
        expected = getattr(evaluated.summary.evaluation.metrics, name).value
        assert getattr(again.evaluation.metrics, name).value == pytest.approx(expected, abs=1e-3)
    assert (again.failed, again.warnings) == (1, ())
    assert (tmp_path / "out/predictions.csv").read_text() == table.read_text()


def test_a_table_without_its_model_is_evaluated_and_says_what_was_not_checked(holdout, tmp_path):
    table = holdout.folder / "held_out_predictions.csv"
    found = evaluate_table(table, out=tmp_path / "out", model=None, consent=CAREFUL)
    assert found.evaluation.metrics.n == len(read_table(table))
    assert "no model was given" in found.warnings[0]
    assert "no model was given" in (tmp_path / "out/report.html").read_text()


def test_predictions_of_another_model_are_not_compared_with_this_one(holdout, tmp_path):
    rows = [["a.nii", "sub-1", 30, 31, "0123"]]
    columns = ("scan", "subject", "age_years", "predicted_age", "model_hash")
    table = write_table(tmp_path / "other.csv", rows, columns)
    with pytest.raises(ManifestError, match=r"not predictions of .*: their model is 0123"):
        evaluate_table(
            table, out=tmp_path / "out", model=str(holdout.summary.model_dir), consent=CAREFUL
        )


def test_the_results_of_a_training_are_not_replaced(holdout):
    before = sha256(holdout.folder / "metrics.json")
    table = holdout.folder / "held_out_predictions.csv"
    with pytest.raises(RunFolderError, match="holds a run or a model"):
        evaluate_table(table, out=holdout.folder, model=None, consent=CAREFUL)
    assert sha256(holdout.folder / "metrics.json") == before


def test_scans_are_not_predicted_where_their_use_cannot_be_noted(
    people, holdout, tmp_path, cohort, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BRAINAGE_EVALUATIONS", str(tmp_path / "file" / "ledger.jsonl"))
    out = tmp_path / "out"
    with pytest.raises(RunFolderError, match="evaluation"):
        evaluate_scans(
            people,
            model=str(holdout.summary.model_dir),
            out=out,
            how=Prediction(cache_folder=cohort.cache),
            consent=CAREFUL,
        )
    assert not (out / "predictions.csv").exists()


def test_a_subject_in_two_folds_is_refused(tmp_path):
    rows = [["a.nii", "sub-1", 30, 31, 1], ["b.nii", "sub-1", 31, 31, 2]]
    columns = ("scan", "subject", "age_years", "predicted_age", "fold")
    table = write_table(tmp_path / "folds.csv", rows, columns)
    with pytest.raises(CohortError, match="subject of sub-1 in two parts, fold 1 and fold 2"):
        evaluate_table(table, out=tmp_path / "out", model=None, consent=CAREFUL)
    assert not (tmp_path / "out").exists()


def test_no_usable_scan_is_one_line_with_the_first_reason(evaluate, people, tmp_path):
    bad = people.parent / "bad.nii.gz"
    rows = [[str(bad), "new9", "ses-1", 40, "F", "here"]]
    source = write_table(tmp_path / "bad.csv", rows, COLUMNS)
    with pytest.raises(CohortError, match=r"none of 1 scan could be predicted; .*: read: "):
        evaluate(tmp_path / "out", source)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --data with scans or --predictions with a table"),
        (["--data", "x", "--predictions", "y"], "--data does not go with --predictions"),
        (["--data", "x"], "--data needs --model"),
        (["--predictions", "x", "--answer", "block1"], "--answer does not go with"),
        (["--data", "x", "--model", "m"], "m: no such model folder"),
        (["--predictions", "none.csv"], "none.csv: no such file"),
    ],
)
def test_wrong_use_is_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["evaluate", "--out", "out", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_one_json_object(evaluated, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = str(evaluated.out / "predictions.csv")
    assert run(["evaluate", "--predictions", table, "--out", "out", "--json"]) == 1
    numbers = json.loads(capsys.readouterr().out)
    assert (numbers["n"], numbers["failed"]) == (8, 1)
    assert Path(numbers["report"]).is_file()
