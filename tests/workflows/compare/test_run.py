import json
from dataclasses import replace

import numpy as np
import pytest

from brainage.config.compare import CompareConfig, compare_config_from
from brainage.config.validation import to_plain
from brainage.errors import CohortError, ConfigError, RunFolderError
from brainage.tracking.jsonl import read_events
from brainage.workflows.compare import output as compare_output
from brainage.workflows.compare import run as workflow
from brainage.workflows.compare.fit import FitRow
from brainage.workflows.compare.run import compare
from tests.workflows.tiny import read_table, tiny_config

ARMS = {
    "bp": {"objective": {"name": "bp"}},
    "local": {},
    "same": {},
    "wild": {"optimizer": {"name": "sgd", "learning_rate": 1e30}},
}


def comparison(cohort, *arms, **changes) -> CompareConfig:
    run = to_plain(tiny_config(cohort))
    shared = {key: value for key, value in run.items() if key not in {"name", "seed"}}
    for key, value in changes.pop("run", {}).items():
        shared[key] = {**shared[key], **value}
    content = {
        "name": "tiny-rules",
        "reference": arms[0],
        "arms": {name: ARMS[name] for name in arms},
        "seeds": [18],
        "speed_rounds": 0,
        "run": shared,
    }
    return compare_config_from(content | changes)


@pytest.fixture(scope="session")
def finished(cohort, tmp_path_factory):
    """Three arms and two seeds, of which one arm diverges. Tests must not change its folder."""
    config = comparison(cohort, "local", "same", "wild", seeds=[18, 3])
    runs = tmp_path_factory.mktemp("runs")
    return compare(config, runs_folder=runs, resume=None)


@pytest.fixture
def without_extras(monkeypatch):
    """Baselines that only know the mean, and no pages: what other tests look at takes seconds."""

    def mean_only(data, split, **identity):
        ages = [40.0] * len(split.test)
        return FitRow(
            arm="baselines", scans=list(split.test), predicted={"training mean": ages}, **identity
        )

    monkeypatch.setattr(workflow, "prepare_baselines", lambda config, cohort: None)
    monkeypatch.setattr(workflow, "baseline_row", mean_only)
    for name in ("write_comparison_page", "write_comparison_figures"):
        monkeypatch.setattr(compare_output, name, lambda comparison, path: path.touch())


def predictions(summary, arm, answer="last"):
    rows = read_table(summary.run_dir / "held_out_predictions.csv")
    return [
        (row["seed"], row["scan"], float(row["predicted_age"]))
        for row in rows
        if (row["arm"], row["answer"]) == (arm, answer)
    ]


def test_arms_with_the_same_settings_predict_the_same_to_the_last_bit(finished):
    same = predictions(finished, "local")
    assert same == predictions(finished, "same")
    assert len(same) == 4  # two scans are tested by either seed
    (contrast,) = (
        each
        for each in finished.to_json()["contrasts"]
        if (each["a"], each["b"]) == ("same", "local")
    )
    assert (contrast["delta_mae_years"], contrast["low"], contrast["high"]) == (0, 0, 0)


def test_an_arm_is_what_train_makes_of_its_settings(holdout, finished):
    rows = read_table(holdout.folder / "held_out_predictions.csv")
    ours = [age for seed, _, age in predictions(finished, "local") if seed == "18"]
    assert ours == pytest.approx([float(row["predicted_age"]) for row in rows], abs=1e-3)


def test_an_arm_that_diverges_is_a_row_with_its_reason_and_the_others_go_on(finished):
    assert finished.exit_code == 1
    result = finished.to_json()
    wild = [row for row in result["rows"] if row["arm"] == "wild"]
    assert [(row["mae_years"], row["seed"]) for row in wild] == [(None, 18), (None, 3)]
    assert "lower optimizer.learning_rate" in wild[0]["reason"]
    assert all("wild" not in (each["a"], each["b"]) for each in result["contrasts"])
    local = [row for row in result["rows"] if row["arm"] == "local"]
    assert all(row["mae_years"] > 0 and row["reason"] is None for row in local)
    text = "\n".join(finished.describe())
    assert "failed: wild, seed 3, fold 1: epoch 1" in text


def test_the_summary_has_the_promised_keys_and_is_kept(finished):
    result = finished.to_json()
    assert json.loads((finished.run_dir / "comparison.json").read_text()) == result
    assert {
        "objective", "num_blocks", "leader_fraction", "seed", "fold", "mae_years", "step_seconds",
        "peak_memory_bytes",
    } <= set(result["rows"][0])  # fmt: skip
    assert set(result["contrasts"][0]) >= {"a", "b", "delta_mae_years", "low", "high"}
    assert "parent_run_id" in result
    baselines = {each["name"] for each in result["baselines"]}
    assert {"training mean", "kernel ridge on voxels"} <= baselines
    assert {each["b"] for each in result["contrasts"]} == {"local", *baselines}


def test_an_arms_error_is_that_of_its_rows(cohort, finished):
    ages = {row["scan"]: float(row["age_years"]) for row in read_table(cohort.manifest)}
    gaps = [
        abs(age - next(a for name, a in ages.items() if scan.endswith(name)))
        for _, scan, age in predictions(finished, "local")
    ]
    (row,) = (each for each in finished.to_json()["arms"] if each["arm"] == "local")
    by_seed = np.reshape(gaps, (2, -1)).mean(axis=1)
    assert row["mae_by_seed"] == pytest.approx(by_seed.tolist(), abs=1e-3)


def test_page_tables_and_figures_are_there(finished):
    folder = finished.run_dir
    assert "tiny-rules" in (folder / "comparison.html").read_text(encoding="utf-8")
    assert [row["arm"] for row in read_table(folder / "comparison.csv")] == [
        "local",
        "same",
        "wild",
    ]
    assert len(read_table(folder / "fits.csv")) == 6
    assert read_table(folder / "contrasts.csv")
    assert (folder / "figures" / "errors_by_arm.png").stat().st_size > 1000
    assert not list((folder / "checkpoints").glob("*"))


def test_every_arm_and_seed_has_a_record_with_the_tags_that_find_it(finished):
    place = finished.run_dir / "arms"
    assert sorted(path.name for path in place.iterdir()) == [
        f"{arm}-seed{seed}" for arm in ("local", "same", "wild") for seed in (18, 3)
    ]
    events = read_events(place / "local-seed3" / "events.jsonl")
    tags = next(event.fields for event in events if event.kind == "run")
    assert (tags["tag.arm"], tags["tag.seed"], tags["tag.objective"]) == ("local", 3, "lfnn_l")
    assert (tags["tag.num_blocks"], tags["tag.leader_fraction"]) == (3, 0.5)
    assert tags["tag.comparison"] == finished.run_dir.name
    measured = [event.fields for event in events if event.kind == "metrics"]
    assert [each["step"] for each in measured[:2]] == [1, 2]
    assert "val/mae_years" in measured[0]["values"]
    row = next(each for each in finished.rows if (each["arm"], each["seed"]) == ("local", 3))
    assert measured[-1]["values"]["test/mae_years"] == pytest.approx(row["mae_years"])
    assert events[-1].fields["status"] == "finished"
    wild = read_events(place / "wild-seed18" / "events.jsonl")
    assert "fit_failed" in {event.kind for event in wild}
    assert wild[-1].fields["status"] == "failed"


@pytest.mark.slow
def test_an_interrupted_comparison_goes_on_without_doing_a_fit_again(cohort, tmp_path, monkeypatch):
    config = comparison(cohort, "bp", "local", run={"split": {"folds": 2}})
    fit, made = workflow.fit_arm, []

    def stop_at_third(*args, **kwargs):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append((kwargs["arm"], kwargs["fold"]))
        return fit(*args, **kwargs)

    monkeypatch.setattr(workflow, "fit_arm", stop_at_third)
    with pytest.raises(KeyboardInterrupt) as stopped:
        compare(config, runs_folder=tmp_path, resume=None)
    folder = stopped.value.args[0]
    assert made == [("bp", 1), ("local", 1)]

    def count(*args, **kwargs):
        made.append((kwargs["arm"], kwargs["fold"]))
        return fit(*args, **kwargs)

    monkeypatch.setattr(workflow, "fit_arm", count)
    damaged = folder / "rows" / "local-seed18-fold1.json"
    damaged.write_text("{")
    resumed = compare(config, runs_folder=tmp_path, resume=folder)
    assert made[2:] == [("local", 1), ("bp", 2), ("local", 2)]
    assert resumed.run_dir == folder
    assert resumed.exit_code == 0
    whole = compare(config, runs_folder=tmp_path, resume=None)
    assert [row["mae_years"] for row in resumed.rows] == [row["mae_years"] for row in whole.rows]
    made.clear()
    compare(config, runs_folder=tmp_path, resume=folder)
    assert made == []


def test_curves_of_folds_have_the_fold_in_front_and_their_mean_follows(
    cohort, tmp_path, without_extras
):
    config = comparison(cohort, "bp", "local", run={"split": {"folds": 2}})
    summary = compare(config, runs_folder=tmp_path, resume=None)
    events = read_events(summary.run_dir / "arms" / "local-seed18" / "events.jsonl")
    values: dict[str, list[float]] = {}
    for event in events:
        if event.kind == "metrics":
            for name, value in event.fields["values"].items():
                values.setdefault(name, []).append(value)
    folds = [values[f"fold{fold}/val/mae_years"] for fold in (1, 2)]
    assert values["val/mae_years"] == pytest.approx(np.mean(folds, axis=0).tolist())
    tested = [row for row in summary.rows if row["arm"] == "local"]
    assert values["fold2/test/mae_years"] == pytest.approx([tested[1]["mae_years"]])


def test_only_the_same_comparison_is_resumed(cohort, finished, tmp_path):
    other = comparison(cohort, "local", "same", "wild", seeds=[18, 4])
    with pytest.raises(ConfigError, match="has another configuration"):
        compare(other, runs_folder=tmp_path, resume=finished.run_dir)
    with pytest.raises(RunFolderError, match="no run to resume"):
        compare(other, runs_folder=tmp_path, resume=tmp_path)


def test_nothing_is_written_for_an_arm_that_cannot_be_built(cohort, tmp_path):
    config = comparison(cohort, "bp", "local")
    arms = {**config.arms, "deep": {"backbone": {"channels": [2] * 9}, "blocks": {"num_blocks": 2}}}
    with pytest.raises(ConfigError, match=r"arms\.deep: "):
        compare(replace(config, arms=arms), runs_folder=tmp_path / "runs", resume=None)
    few = comparison(cohort, "bp", "local", run={"split": {"folds": 50}})
    with pytest.raises(CohortError, match="expected at least"):
        compare(few, runs_folder=tmp_path / "runs", resume=None)
    assert not (tmp_path / "runs").exists()


def test_cuts_that_are_measured_are_kept_with_the_comparison(cohort, tmp_path):
    arms = {"bp": {"objective": {"name": "bp"}}, "cut": {"blocks": {
        "num_blocks": 2, "balance": "activation_bytes"}}}  # fmt: skip
    config = comparison(cohort, "bp", "local", arms=arms)
    settled = workflow.settle_arms(config)
    cuts = settled.arm("cut", 18).blocks.cuts
    assert cuts is not None
    assert len(cuts) == 1
    assert settled.arms["bp"] == arms["bp"]
