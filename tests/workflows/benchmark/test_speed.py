import json
from dataclasses import replace

import pytest

from brainage.config.speed import load_speed_config
from brainage.errors import ConfigError, RunFolderError
from brainage.workflows.benchmark import speed as workflow
from brainage.workflows.benchmark.speed import benchmark_speed

SMALL = [
    "input_shape=[1,16,16,16]",
    "backbone.channels=[2,4]",
    "blocks.num_blocks=2",
    "methods=[bp,lfnn_l]",
    "rounds=5",
    "num_threads=1",
    "keep_freed_memory=false",
]


def small(*overrides):
    return load_speed_config("speed/single.yaml", [*SMALL, *overrides])


@pytest.fixture
def in_this_process(monkeypatch):
    """Memory is measured in processes of their own, which take seconds to start."""
    monkeypatch.setattr("brainage.core.speed.measure_peak", lambda case: 1_000_000)


def test_rows_are_told_and_written_as_one_object(in_this_process, tmp_path):
    out = tmp_path / "results" / "speed.json"
    told = []
    summary = benchmark_speed(small(), out=out, report=told.append)
    assert [row.method for row in summary.rows] == ["bp", "lfnn_l"]
    assert summary.stage_counts == (1, 1)
    assert json.loads(out.read_text()) == json.loads(json.dumps(summary.to_json()))
    table = "\n".join(summary.describe())
    assert "lfnn_l" in table
    assert "1x16x16x16" in table
    assert told[-1] == "time of 5 steps each"


def test_rows_of_a_machine_that_stood_still_are_told(in_this_process):
    summary = benchmark_speed(small(), report=lambda _: None)
    bp, lfnn_l = (replace(row, step_seconds=2.0, step_seconds_iqr=0.9) for row in summary.rows)
    steady = replace(summary, rows=(bp, lfnn_l))
    assert not any("not steady" in line for line in steady.describe())
    stood_still = replace(summary, rows=(bp, replace(lfnn_l, step_seconds_iqr=55.3)))
    assert stood_still.describe()[-1].startswith("not steady: lfnn_l: ")


def test_checkpointing_is_back_propagation_that_recomputes():
    cases = workflow._cases(small("methods=[bp,bp_checkpointed]"))
    assert [case.objective.name for case in cases] == ["bp", "bp"]
    assert [case.engine.recompute_activations for case in cases] == [False, True]


def test_cuts_by_bytes_are_the_same_for_all_methods():
    cases = workflow._cases(
        small("backbone.channels=[2,2,2]", "blocks.balance=activation_bytes", "methods=[bp,lfnn_l]")
    )
    assert [case.stage_counts for case in cases] == [(1, 2), (1, 2)]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("backbone.channels=[2,2,2,2,2,2]", "cannot take an input of shape"),
        ("device=cuda:7", "^device: cuda:7 does not exist here"),
        ("input_shape=[1,16]", "input_shape"),
    ],
)
def test_what_cannot_be_measured_is_one_line(override, message):
    with pytest.raises(ConfigError, match=message) as caught:
        benchmark_speed(small(override))
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written_is_named(in_this_process, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot write"):
        benchmark_speed(small(), out=tmp_path / "file" / "speed.json")
