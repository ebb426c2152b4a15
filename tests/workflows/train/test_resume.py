"""An interrupted run goes on: nothing finished is lost, and the weights are the same."""

from dataclasses import replace

import pytest

from brainage.cli import run
from brainage.config.load import dump_config
from brainage.core.checkpoint import CheckpointStore
from brainage.errors import CheckpointError, ConfigError, RunFolderError
from brainage.tracking.jsonl import read_events
from brainage.workflows.train.run import train
from brainage.workflows.train.run_folder import open_run_folder
from tests.workflows.tiny import sha256, tiny_config


def states(folder):
    """What is in a folder of finished preprocessing, and when it was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.npz")}


@pytest.fixture
def interrupted_after_one_epoch(tmp_path, monkeypatch):
    """Ctrl-C while the second epoch of the first run is under way."""
    monkeypatch.chdir(tmp_path)
    saves = []
    save = CheckpointStore.save

    def save_and_count(store, step, tensors, facts, ranks):
        save(store, step, tensors, facts, ranks)
        saves.append(facts["next_epoch"])
        if len(saves) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(CheckpointStore, "save", save_and_count)
    return saves


def test_a_run_that_was_interrupted_ends_with_the_weights_of_one_that_was_not(
    cohort, holdout, interrupted_after_one_epoch, tmp_path, capsys
):
    preprocessed = states(cohort.cache)
    config = replace(holdout.config, data=replace(holdout.config.data, unseen=None))
    (tmp_path / "tiny.yaml").write_text(dump_config(config))

    assert run(["train", "--config", "tiny.yaml"]) == 130
    told = "interrupted; resume with: brainage train --resume runs/tiny"
    assert capsys.readouterr().err.splitlines()[-1] == told
    folder = tmp_path / "runs/tiny"
    assert not (folder / "model").exists()
    assert read_events(folder / "events.jsonl")[-1].fields == {"status": "killed"}

    assert run(["train", "--resume", "runs/tiny"]) == 0
    assert interrupted_after_one_epoch == [1, 2]
    weights = "model/weights.safetensors"
    assert sha256(folder / weights) == sha256(holdout.folder / weights)
    table = "held_out_predictions.csv"
    assert (folder / table).read_text() == (holdout.folder / table).read_text()
    assert states(cohort.cache) == preprocessed


def test_a_run_of_another_configuration_is_not_resumed(holdout):
    other = replace(holdout.config, seed=3)
    with pytest.raises(ConfigError, match=r"config\.yaml: the run to resume has another config"):
        train(other, runs_folder=holdout.folder.parent, resume=holdout.folder)


@pytest.mark.parametrize(
    ("before", "after"), [(",20.0,", ",21.0,"), (",M,", ",F,")], ids=["ages", "sex"]
)
def test_a_run_is_not_resumed_on_other_people(
    cohort, interrupted_after_one_epoch, tmp_path, before, after
):
    """The configuration names the manifest; what it says must be the same too."""
    manifest = tmp_path / "manifest.csv"
    rows = cohort.manifest_with(manifest, {}).read_text()
    config = tiny_config(cohort, data={"manifest": str(manifest)})
    with pytest.raises(KeyboardInterrupt):
        train(config, runs_folder=tmp_path / "runs", resume=None)
    assert before in rows
    manifest.write_text(rows.replace(before, after))
    with pytest.raises(CheckpointError, match="belongs to another configuration or cohort"):
        train(config, runs_folder=tmp_path / "runs", resume=tmp_path / "runs/tiny")


def test_a_run_that_is_under_way_is_not_resumed_a_second_time(holdout):
    folder = open_run_folder(holdout.folder)
    try:
        with pytest.raises(RunFolderError, match="another process is using this run"):
            train(holdout.config, runs_folder=holdout.folder.parent, resume=holdout.folder)
    finally:
        folder.close()
