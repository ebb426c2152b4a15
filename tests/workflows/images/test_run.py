import csv
import json
from pathlib import Path

import pytest
import torch

from brainage.errors import ConfigError
from brainage.workflows.images import fit
from brainage.workflows.images import run as panel
from brainage.workflows.images.fit import ImageFit
from brainage.workflows.images.processes import Died
from brainage.workflows.images.run import benchmark_images
from tests.workflows.images.conftest import CONTENT, panel_config

RUNS = Path("runs")


def run(resume: Path | None = None, jobs: int = 2, **changes):
    return benchmark_images(panel_config(**changes), runs_folder=RUNS, resume=resume, jobs=jobs)


def without_costs(fit: ImageFit) -> dict[str, object]:
    values = fit.to_json()
    return {k: v for k, v in values.items() if k not in {"epoch_seconds", "peak_memory_bytes"}}


@pytest.fixture
def in_processes():
    return panel.in_processes


@pytest.fixture
def as_function(monkeypatch: pytest.MonkeyPatch):
    """Fits in this process, counted."""
    done = []

    def in_turn(tasks, function, shared, jobs):
        for task in tasks:
            done.append(task.name)
            yield task, function(task, shared)

    monkeypatch.setattr(panel, "in_processes", in_turn)
    return done


@pytest.mark.slow
def test_every_method_is_trained_with_every_seed_in_processes() -> None:
    summary = run(seeds=[0])
    assert [(row.method, row.seeds, row.failed) for row in summary.rows] == [
        ("bp", 1, 0),
        ("lfnn_l 50%", 1, 0),
    ]
    assert summary.exit_code == 0
    folder = summary.run_dir
    rows = list(csv.DictReader((folder / "panel.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == ["bp", "lfnn_l 50%"]
    assert rows[1]["block1_error_percent"]
    content = json.loads((folder / "panel.json").read_text())
    assert len(content["fits"]) == 2
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "test_error.png",
        "validation_error.png",
    }
    assert not list((folder / "checkpoints").iterdir())


@pytest.mark.slow
def test_results_do_not_depend_on_the_processes(in_processes, as_function: list[str]) -> None:
    alone = run()
    panel.in_processes = in_processes
    shared = run()
    assert list(map(without_costs, alone.fits)) == list(map(without_costs, shared.fits))


def test_a_planted_difference_is_learned(as_function: list[str]) -> None:
    trainer = {"epochs": 30, "batch_size": 8, "device": "cpu"}
    recipe = {**CONTENT["recipe"], "trainer": trainer, "optimizer": {"learning_rate": 0.02}}
    summary = run(recipe=recipe, seeds=[0])
    assert [row.error_percent for row in summary.rows] == [0.0, 0.0]


def test_finished_fits_are_not_done_again(as_function: list[str]) -> None:
    first = run(seeds=[0, 1])
    rows = first.run_dir / "rows.jsonl"
    lines = rows.read_text().splitlines(keepends=True)
    rows.write_text("".join(lines[:2]) + lines[2][:20])  # killed while the third row was written
    as_function.clear()
    second = run(resume=first.run_dir, seeds=[0, 1])
    assert as_function == ["bp, seed 1", "lfnn_l 50%, seed 1"]
    assert list(map(without_costs, first.fits)) == list(map(without_costs, second.fits))


def test_what_another_version_began_otherwise_is_begun_anew(
    as_function: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(panel, "fit_fingerprint", lambda *_: "of-another-version")
        patch.setattr(panel.FitTask, "discard_checkpoints", lambda _: None)  # killed
        first = run(seeds=[0])
    as_function.clear()
    second = run(resume=first.run_dir, seeds=[0])
    assert as_function == ["bp, seed 0", "lfnn_l 50%, seed 0"]
    assert second.exit_code == 0


def test_another_configuration_does_not_go_on_in_a_folder(as_function: list[str]) -> None:
    first = run()
    with pytest.raises(ConfigError, match="another configuration"):
        run(resume=first.run_dir, seeds=[5])


@pytest.mark.slow
def test_each_method_keeps_the_candidate_with_the_lowest_validation_error(
    as_function: list[str],
) -> None:
    search = {
        "far too slow": {"optimizer": {"learning_rate": 1e-9}},
        "fast": {"optimizer": {"learning_rate": 0.01}},
    }
    recipe = {**CONTENT["recipe"], "trainer": {"epochs": 5, "batch_size": 8, "device": "cpu"}}
    summary = run(search=search, recipe=recipe)
    assert {row.candidate for row in summary.rows} == {"fast"}
    assert as_function[:4] == [
        f"{method}, seed 0, {name}" for method in CONTENT["methods"] for name in search
    ]
    rows = list(map(json.loads, (summary.run_dir / "rows.jsonl").read_text().splitlines()))
    looked = [row["candidate"] for row in rows if row["test_error_percent"] is not None]
    assert set(looked) == {"fast"}  # test images decide nothing


def test_training_that_breaks_down_costs_its_row(as_function: list[str]) -> None:
    methods = {**CONTENT["methods"], "wild": {"optimizer": {"name": "sgd", "learning_rate": 1e30}}}
    summary = run(methods=methods, seeds=[0])
    wild = summary.rows[-1]
    assert (wild.failed, wild.error_percent) == (1, None)
    assert summary.exit_code == 1
    assert any("wild, seed 0: epoch 1:" in line for line in summary.describe())


def test_a_fit_whose_process_died_is_tried_again(
    as_function: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_turn = panel.in_processes

    def one_dies(tasks, function, shared, jobs):
        for task, row in in_turn(tasks, function, shared, jobs):
            yield task, Died(-9) if task.method == "bp" else row

    monkeypatch.setattr(panel, "in_processes", one_dies)
    first = run(seeds=[0])
    assert (first.exit_code, first.rows[0].failed) == (1, 1)
    assert "exit code -9" in first.fits[0].reason
    monkeypatch.setattr(panel, "in_processes", in_turn)
    as_function.clear()
    second = run(resume=first.run_dir, seeds=[0])
    assert as_function == ["bp, seed 0"]
    assert (second.exit_code, second.rows[0].failed) == (0, 0)


def test_a_fit_without_enough_memory_costs_its_row_and_is_tried_again(
    as_function: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory\nand more")

    with monkeypatch.context() as patch:
        patch.setattr(fit.Trainer, "fit", exhausted)
        first = run()
    assert [each.reason for each in first.fits] == ["CUDA out of memory"] * 2
    as_function.clear()
    assert run(resume=first.run_dir).exit_code == 0
    assert len(as_function) == 2


def test_the_scale_says_what_is_smaller_than_published(as_function: list[str]) -> None:
    assert run(seeds=[0]).scale == "full"
    assert run(seeds=[0], published_epochs=50).scale == "reduced: 2 of 50 epochs"
    data = {"name": "mnist", "validation_images": 8, "train_images": 20}
    expected = "reduced: 20 training and 20 test images, all"
    assert run(seeds=[0], data=data).scale == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": {}}, "methods: expected at least one"),
        (
            {"methods": {"a": {"objective": {"name": "bpp"}}}},
            r"methods.a: objective.name: expected",
        ),
        (
            {"methods": {"a": {"blocks": {"num_blocks": 9}}}},
            r"methods.a: blocks.num_blocks: expected at most 2, the stages of mlp, got 9",
        ),
        ({"search": {"only": {}}}, "search: expected none, or at least two"),
        ({"seeds": [0, 0]}, "seeds: expected different numbers"),
        (
            {"data": {"name": "imagenet"}, "augmentation": {"crop_size": 28}},
            "augmentation: expected for imagenet no settings of small images, got .*crop_size",
        ),
    ],
)
def test_what_cannot_run_is_refused_before_training(changes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(**changes)
    assert not RUNS.exists()
