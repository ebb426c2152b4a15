import math
import shutil
from collections import Counter
from pathlib import Path

import pytest

from brainage.bundle.load import load_bundle
from brainage.errors import BrainageError, BundleError, ManifestError, RunFolderError
from brainage.workflows.predict.row import COLUMNS
from brainage.workflows.predict.run import predict
from tests.workflows.tiny import read_table


def without_seconds(path):
    return [{**row, "seconds": ""} for row in read_table(path)]


def test_every_scan_has_its_row_in_input_order(holdout, predicted):
    rows = read_table(predicted.table)
    assert tuple(rows[0]) == COLUMNS
    scans = [str(predicted.source / name / "T1w.nii.gz") for name in "123"]
    assert [row["scan"] for row in rows] == scans
    assert [row["subject"] for row in rows] == ["1/T1w", "2/T1w", "3/T1w"]
    bundle = load_bundle(holdout.summary.model_dir)
    assert {row["model_hash"] for row in rows} == {bundle.model_hash}
    assert {row["preprocessing_hash"] for row in rows} == {bundle.preprocessing_hash}


def test_a_failed_scan_says_where_and_why_and_has_no_age(predicted):
    first, failed, _ = read_table(predicted.table)
    assert (failed["status"], failed["stage"]) == ("failed", "read")
    assert failed["reason"].startswith("expected NIfTI")
    assert failed["predicted_age"] == ""
    assert first["predicted_age"] != ""


def test_the_failure_costs_no_other_scan(predicted):
    first, _, last = read_table(predicted.table)
    assert [first["status"], last["status"]] == ["ok", "ok"]
    assert first["predicted_age"] != last["predicted_age"]
    assert all(math.isfinite(float(row["predicted_age"])) for row in (first, last))
    assert len(predicted.network_inputs) == 2


def test_the_summary_counts_rows_and_ends_in_exit_code_1(predicted):
    summary = predicted.summary
    assert (summary.rows, summary.ok, summary.failed, summary.skipped) == (3, 2, 1, 0)
    assert summary.exit_code == 1
    assert summary.to_json()["out"] == str(predicted.table)


def test_the_order_of_the_scans_changes_no_prediction(holdout, predicted, tmp_path):
    manifest = tmp_path / "manifest.csv"
    scans = [predicted.source / name / "T1w.nii.gz" for name in "32"]
    table = "".join(f"{scan},s{index},{30 + 20 * index}\n" for index, scan in enumerate(scans))
    manifest.write_text("scan,subject,age_years\n" + table)
    out = tmp_path / "out.csv"
    model, cache = holdout.summary.model_dir, predicted.cache
    predict(manifest, model=model, out=out, resume=False, jobs=1, cache_folder=cache)
    rows = read_table(out)
    assert [row["scan"] for row in rows] == [str(scan) for scan in scans]
    ages = {row["scan"]: row["predicted_age"] for row in read_table(predicted.table)}
    assert {row["scan"]: row["predicted_age"] for row in rows}.items() < ages.items()
    # with ages known: the gap, and whether the model knows ages like this one
    gap = float(rows[0]["predicted_age"]) - 30
    assert float(rows[0]["brain_age_gap"]) == pytest.approx(gap, abs=2e-4)
    assert rows[1]["brain_age_gap"] == ""
    assert [row["age_in_training_range"] for row in rows] == ["true", "false"]


def test_an_interrupted_table_goes_on_where_it_stopped(holdout, predicted, tmp_path):
    text = predicted.table.read_text()
    lines = text.splitlines(keepends=True)
    out = tmp_path / "out.csv"
    # killed while the second row was being written
    out.write_text("".join(lines[:2]) + lines[2][:25])
    model, cache = holdout.summary.model_dir, predicted.cache
    summary = predict(
        predicted.source, model=model, out=out, resume=True, jobs=1, cache_folder=cache
    )
    assert without_seconds(out) == without_seconds(predicted.table)
    assert out.read_text().splitlines()[1] == lines[1].rstrip("\n")
    assert (summary.rows, summary.skipped, summary.ok, summary.failed) == (3, 1, 1, 1)


def test_a_finished_table_is_left_as_it_is_and_its_failures_still_count(
    holdout, predicted, tmp_path
):
    out = tmp_path / "out.csv"
    out.write_text(predicted.table.read_text())
    summary = predict(
        predicted.source, model=holdout.summary.model_dir, out=out, resume=True, jobs=1
    )
    assert out.read_text() == predicted.table.read_text()
    assert (summary.skipped, summary.seconds_per_scan) == (3, None)
    assert summary.exit_code == 1


@pytest.mark.slow
@pytest.mark.distributed
def test_more_processes_give_the_same_table(holdout, predicted, tmp_path):
    """The first scan is done in another process while the second is found to be none."""
    (tmp_path / "scans").mkdir()
    for name in "12":
        (tmp_path / "scans" / name).symlink_to(predicted.source / name)
    out = tmp_path / "out.csv"
    model = holdout.summary.model_dir
    predict(tmp_path / "scans", model=model, out=out, resume=False, jobs=2)
    kept = ("subject", "status", "stage", "reason", "predicted_age")
    rows, expected = (
        [[row[name] for name in kept] for row in read_table(path)]
        for path in (out, predicted.table)
    )
    assert rows == expected[:2]


def test_the_same_scan_under_two_names_gets_two_equal_rows(holdout, predicted, tmp_path):
    for name in ("a.nii", "b.nii"):
        (tmp_path / name).write_bytes((predicted.source / "2/T1w.nii.gz").read_bytes())
    out = tmp_path / "out.csv"
    summary = predict(tmp_path, model=holdout.summary.model_dir, out=out, resume=False, jobs=1)
    assert summary.rows == 2
    assert Counter(row["status"] for row in read_table(out)) == {"failed": 2}


def test_a_prediction_never_replaces_its_own_input(holdout, predicted, tmp_path):
    manifest = tmp_path / "scans.csv"
    text = f"scan\n{predicted.source / '2/T1w.nii.gz'}\n"
    manifest.write_text(text)
    model = holdout.summary.model_dir
    with pytest.raises(RunFolderError, match=r"scans\.csv: .*the scans to predict"):
        predict(manifest, model=model, out=tmp_path / "x/../scans.csv", resume=False, jobs=1)
    assert manifest.read_text() == text
    scan = tmp_path / "scan.nii"
    scan.write_bytes(b"no scan")
    with pytest.raises(RunFolderError, match=r"scan\.nii: .*the scans to predict"):
        predict(tmp_path, model=model, out=scan, resume=False, jobs=1)
    assert scan.read_bytes() == b"no scan"


def test_what_is_not_there_is_refused_before_a_table_is_written(holdout, tmp_path):
    model = holdout.summary.model_dir
    out = tmp_path / "out.csv"
    with pytest.raises(ManifestError, match="no such file or folder"):
        predict(tmp_path / "scans", model=model, out=out, resume=False, jobs=1)
    with pytest.raises(BundleError, match="no such model folder"):
        predict(tmp_path, model=tmp_path / "model", out=out, resume=False, jobs=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jobs": 0}, "jobs: expected at least 1, got 0"),
        ({"batch_size": 0}, "batch_size: expected at least 1, got 0"),
        ({"device": "tpu"}, "device: expected auto, cpu, cuda, got 'tpu'"),
        ({"device": "cuda:99"}, r"^device: cuda:99 does not exist here"),
        ({"retry_failed": True}, "--retry-failed: goes with --resume"),
        ({"answer": "block9"}, "answer: expected one of last, ensemble, block1"),
        ({"cache_folder": Path(__file__) / "cache"}, "cannot create the preprocessing cache"),
    ],
)
def test_options_that_cannot_be_are_refused_before_a_table_is_written(
    options, message, holdout, predicted, tmp_path
):
    out = tmp_path / "out.csv"
    usual = {"model": holdout.summary.model_dir, "out": out, "resume": False, "jobs": 1}
    with pytest.raises(BrainageError, match=message):
        predict(predicted.source, **{**usual, **options})
    assert list(tmp_path.iterdir()) == []


def test_the_summary_and_the_log_count_what_is_worth_a_look(predicted, holdout, tmp_path, caplog):
    """The first scan is one of the training's, byte for byte."""
    rows = read_table(predicted.table)
    assert "in_training" in rows[0]["qc_flags"].split()
    assert predicted.summary.flagged == sum(row["qc_flags"] != "" for row in rows)
    out = tmp_path / "out.csv"
    out.write_text(predicted.table.read_text())
    again = predict(predicted.source, model=holdout.summary.model_dir, out=out, resume=True, jobs=1)
    assert again.flagged == predicted.summary.flagged
    told = [record.getMessage() for record in caplog.records if "worth a look" in record.message]
    assert len(told) == 1
    assert "in_training 1" in told[0]


def test_only_the_failed_scan_is_done_again_when_asked(holdout, predicted, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text(predicted.table.read_text())
    model = holdout.summary.model_dir
    summary = predict(
        predicted.source, model=model, out=out, resume=True, retry_failed=True, jobs=1
    )
    assert (summary.skipped, summary.failed_before, summary.failed) == (2, 0, 1)
    assert without_seconds(out) == without_seconds(predicted.table)


def test_a_cache_is_filled_and_then_used(holdout, predicted, tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "1").symlink_to(predicted.source / "1")
    model, cache = holdout.summary.model_dir, tmp_path / "cache"
    for name in ("first.csv", "second.csv"):
        predict(
            tmp_path / "scans", model=model, out=tmp_path / name, resume=False, jobs=1,
            cache_folder=cache,
        )  # fmt: skip
    (first,), (second,) = read_table(tmp_path / "first.csv"), read_table(tmp_path / "second.csv")
    assert len(list(cache.glob("*.npz"))) == 1
    assert first["predicted_age"] == second["predicted_age"]
    assert first["qc_flags"] == second["qc_flags"]
    assert float(second["seconds"]) < float(first["seconds"]) / 2


def test_a_table_that_is_there_is_not_replaced_unasked(holdout, cohort, predicted, tmp_path):
    out = tmp_path / "ages.csv"
    out.write_text("precious\n")
    settings = {"model": holdout.summary.model_dir, "out": out, "resume": False, "jobs": 1}
    settings["cache_folder"] = predicted.cache
    with pytest.raises(RunFolderError, match=r"ages\.csv: is there already; add --resume"):
        predict(cohort.unseen_scan, **settings)
    assert out.read_text() == "precious\n"
    assert predict(cohort.unseen_scan, overwrite=True, **settings).ok == 1
    assert len(out.read_text().splitlines()) == 2


def test_another_scan_under_the_same_name_is_predicted_again(
    holdout, cohort, predicted, tmp_path, caplog
):
    scan = tmp_path / "scans" / "x.nii.gz"
    scan.parent.mkdir()
    shutil.copy(cohort.unseen_scan, scan)
    out = tmp_path / "ages.csv"
    settings = {"model": holdout.summary.model_dir, "out": out, "jobs": 1}
    settings["cache_folder"] = predicted.cache
    predict(scan, resume=False, **settings)
    assert predict(scan, resume=True, **settings).skipped == 1
    before = out.read_text()
    shutil.copy(cohort.scan("sub-real1"), scan)
    assert predict(scan, resume=True, **settings).ok == 1
    assert "is another scan than the one in the table" in caplog.text
    assert out.read_text() != before


def test_an_early_answer_says_what_is_not_known_of_it(holdout, cohort, predicted, tmp_path, caplog):
    settings = {"model": holdout.summary.model_dir, "out": tmp_path / "a.csv", "resume": False}
    settings["cache_folder"] = predicted.cache
    bundle = load_bundle(holdout.summary.model_dir)
    predict(cohort.unseen_scan, jobs=1, answer="block1", **settings)
    told = "whether scans are unlike the training's is not known" in caplog.text
    assert told == (bundle.training_space is not None)
