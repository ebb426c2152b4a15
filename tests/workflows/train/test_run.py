import json
from dataclasses import replace

import numpy as np
import pytest

from brainage.bundle.load import load_bundle
from brainage.bundle.network import build_network
from brainage.config.load import config_hash, load_config
from brainage.core.checkpoint import FACTS, CheckpointStore
from brainage.core.tasks import task_from_mapping, task_to_mapping
from brainage.errors import CohortError
from brainage.preprocess.cache import PreprocessCache
from brainage.tracking.jsonl import read_events
from brainage.workflows.train.run import train
from tests.workflows.tiny import PLANTED_AGES, PREPROCESS, read_table, sha256, tiny_config

TRAINED_ON = ["sub-real1", *(f"sub-planted{index}" for index in range(5))]
VALIDATED_ON = ["sub-planted5", "sub-planted6"]
HELD_OUT = ["sub-real2", "sub-planted7"]


def test_a_run_leaves_all_its_results(holdout):
    folder = holdout.folder
    for name in ("report.html", "metrics.json", "events.jsonl", "config.yaml", "predictions.csv",
                 "held_out_predictions.csv", "model/weights.safetensors"):  # fmt: skip
        assert (folder / name).stat().st_size > 0, name
    assert not list(folder.rglob("*.part"))
    closed = [event.fields for event in read_events(folder / "events.jsonl")][-1]
    assert closed == {"status": "finished"}


def test_the_saved_configuration_is_the_run_s(holdout):
    saved = load_config(holdout.folder / "config.yaml")
    assert saved == holdout.config
    assert config_hash(saved) == config_hash(holdout.config)


def test_the_kept_metrics_are_those_of_the_summary(holdout):
    text = (holdout.folder / "metrics.json").read_text()
    kept = json.loads(text, parse_constant=pytest.fail)
    assert kept == holdout.summary.to_json()
    assert kept["split_sizes"] == {"train": 6, "validation": 2, "test": 2}
    assert (kept["failed_scans"], holdout.summary.exit_code) == (0, 0)
    assert set(kept["seconds"]) >= {"preprocess", "train", "evaluate"}


def test_held_out_scans_are_those_that_were_not_trained_on(holdout):
    rows = read_table(holdout.folder / "held_out_predictions.csv")
    assert [row["subject"] for row in rows] == HELD_OUT
    calibration = load_bundle(holdout.summary.model_dir).calibration
    assert calibration["training_scans"] == len(TRAINED_ON)
    assert calibration["training_age_range_years"] == [20.0, 44.0]


def test_held_out_errors_are_recomputed_from_the_table(holdout):
    rows = read_table(holdout.folder / "held_out_predictions.csv")
    ages, predicted, means = (
        np.array([float(row[name]) for row in rows])
        for name in ("age_years", "predicted_age", "training_mean_age_years")
    )
    test = holdout.summary.test
    assert test["n"] == len(rows)
    assert test["mae_years"] == pytest.approx(np.abs(predicted - ages).mean(), abs=1e-3)
    assert test["mae_mean_baseline_years"] == pytest.approx(np.abs(means - ages).mean(), abs=1e-3)
    # the training mean, of the six scans of the training part alone
    assert means == pytest.approx(np.mean([39.0, *PLANTED_AGES[:5]]), abs=1e-3)


def test_every_block_s_own_prediction_is_kept_and_the_last_is_the_answer(holdout):
    for row in read_table(holdout.folder / "held_out_predictions.csv"):
        assert row["block3_predicted_age"] == row["predicted_age"]
        assert row["block1_predicted_age"] != row["predicted_age"]
        assert row["block1_predicted_age"] != row["ensemble_predicted_age"]
    assert set(holdout.summary.block_mae_years) == {"block 1", "block 2", "block 3", "ensemble"}


def test_prediction_of_a_training_scan_sees_training_s_tensor(cohort, holdout, predicted):
    """Bit for bit, and through the weights of training, not those of the bundle."""
    scan = cohort.scan("sub-real1")
    cache = PreprocessCache(cohort.cache, PREPROCESS)
    trained_on = cache.load(cache.key(sha256(scan))).volume_XYZ
    np.testing.assert_array_equal(predicted.network_inputs[0], trained_on)

    (checkpoint,) = (holdout.folder / "checkpoints/holdout").iterdir()
    bundle = load_bundle(holdout.summary.model_dir)
    chain, _ = build_network(holdout.config, bundle.members[0].task, bundle.input_shape, seed=99)
    store = CheckpointStore(
        checkpoint.parent, json.loads((checkpoint / FACTS).read_text())["fingerprint"]
    )
    tensors, _ = store.load(lambda name: "/model/" in name)
    for index, block in enumerate(chain):
        own = f"blocks/{index}/model/"
        block.load_state_dict(
            {n.removeprefix(own): t for n, t in tensors.items() if n.startswith(own)}
        )
    trained = replace(bundle, members=(replace(bundle.members[0], chain=chain.eval()),))
    row = read_table(predicted.table)[0]
    assert row["predicted_age"] == f"{trained.predict(trained_on).age_years:.4f}"


def test_a_held_out_scan_gets_the_age_that_training_reported_for_it(cohort, holdout):
    (row,) = [
        row for row in read_table(holdout.folder / "held_out_predictions.csv")
        if row["subject"] == "sub-real2"
    ]  # fmt: skip
    cache = PreprocessCache(cohort.cache, PREPROCESS)
    volume = cache.load(cache.key(sha256(cohort.scan("sub-real2")))).volume_XYZ
    age = load_bundle(holdout.summary.model_dir).predict(volume).age_years
    # alone here, in a batch there
    assert float(row["predicted_age"]) == pytest.approx(age, abs=1e-3)


def test_the_unseen_scans_have_the_ages_that_predict_gives_them(holdout, predicted):
    (row,) = read_table(holdout.folder / "predictions.csv")
    assert (row["subject"], row["status"], row["age_years"]) == ("sub-unseen", "ok", "37.0000")
    assert row["predicted_age"] == read_table(predicted.table)[2]["predicted_age"]


def test_the_task_travels_through_the_bundle_unchanged(holdout):
    task = load_bundle(holdout.summary.model_dir).members[0].task
    assert task_from_mapping(task_to_mapping(task)) == task


@pytest.fixture(scope="module")
def with_failures(cohort, tmp_path_factory):
    """A run of which one training scan, one held-out scan and one unseen scan are no scans."""
    folder = tmp_path_factory.mktemp("failures")
    (folder / "broken.nii").write_bytes(b"no scan")
    (folder / "empty.nii.gz").touch()
    scans = {"sub-planted0": folder / "broken.nii", "sub-planted7": folder / "gone.nii.gz"}
    manifest = cohort.manifest_with(folder / "manifest.csv", scans)
    (folder / "unseen.csv").write_text("scan,subject\nempty.nii.gz,sub-empty\n")
    data = {"manifest": str(manifest), "unseen": str(folder / "unseen.csv")}
    config = tiny_config(cohort, data=data, trainer={"epochs": 1}, objective={"name": "bp"})
    return train(config, runs_folder=folder / "runs", resume=None)


def test_a_bad_scan_among_many_is_a_row_and_the_others_go_on(with_failures):
    summary = with_failures
    assert summary.split_sizes == {"train": 5, "validation": 2, "test": 1}
    events = read_events(summary.run_dir / "events.jsonl")
    failed = [event.fields for event in events if event.kind == "scan_failed"]
    assert [(entry["scan"].rsplit("/")[-1], entry["stage"]) for entry in failed] == [
        ("broken.nii", "read"),
        ("gone.nii.gz", "read"),
    ]
    report = (summary.run_dir / "report.html").read_text()
    for text in ("broken.nii", "got a file starting", "gone.nii.gz", "nothing at this path"):
        assert text in report


def test_a_bad_scan_moves_no_other_scan_to_another_part(with_failures):
    (row,) = read_table(with_failures.run_dir / "held_out_predictions.csv")
    assert row["subject"] == "sub-real2"
    calibration = load_bundle(with_failures.model_dir).calibration
    assert calibration["training_scans"] == len(TRAINED_ON) - 1


def test_scans_that_failed_are_counted_and_end_in_exit_code_1(with_failures):
    (row,) = read_table(with_failures.run_dir / "predictions.csv")
    assert (row["status"], row["stage"]) == ("failed", "read")
    assert with_failures.failed_scans == 3
    assert with_failures.exit_code == 1


def test_a_run_without_a_usable_scan_says_so(cohort, tmp_path):
    for index in range(4):
        (tmp_path / f"{index}.nii").write_bytes(b"no scan %d" % index)
    rows = "".join(f"{index}.nii,s{index},{20 + index}\n" for index in range(4))
    (tmp_path / "manifest.csv").write_text("scan,subject,age_years\n" + rows)
    config = tiny_config(cohort, data={"manifest": str(tmp_path / "manifest.csv")})
    with pytest.raises(CohortError, match=r"none of 4 scans can be used; the first: .*0\.nii: re"):
        train(config, runs_folder=tmp_path / "runs", resume=None)
    closed = read_events(tmp_path / "runs/tiny/events.jsonl")[-1]
    assert closed.fields == {"status": "failed"}


def test_a_part_without_a_usable_scan_is_refused_before_training(cohort, tmp_path):
    scans = {subject: tmp_path / f"{subject}-gone.nii" for subject in HELD_OUT}
    manifest = cohort.manifest_with(tmp_path / "manifest.csv", scans)
    config = tiny_config(cohort, data={"manifest": str(manifest)})
    with pytest.raises(CohortError, match=r"no scan is left to test after 2 of 10 scans"):
        train(config, runs_folder=tmp_path / "runs", resume=None)
