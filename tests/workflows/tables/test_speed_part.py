import json
from functools import partial
from pathlib import Path

import pytest

from brainage.config.tables import load_table
from brainage.errors import RunFolderError
from brainage.workflows.plan.case import PlanRequest
from brainage.workflows.tables import speed_part
from brainage.workflows.tables.collect import collect
from tests.workflows.tables.conftest import write_table
from tests.workflows.tables.whole import run_table

OUT = Path("out")
NETWORK = """
name: small
input_shape: [1, 16, 16, 16]
batch_size: 2
num_threads: 1
keep_freed_memory: false
device: cpu
backbone: {name: cnn3d, channels: [2, 4, 4], kernel_size: 3, padding: same}
blocks: {num_blocks: 2}
"""
TIMES = """
name: times
title: Times
parts:
  projected: {plan: {config: plan.yaml, blocks: [2, 3], images_per_epoch: 600}}
  measured:
    speed: {config: speed.yaml, blocks: [2, 3], methods: [bp, lfnn_l], images_per_epoch: 600,
            reduced: a small network}
rows:
  - {part: projected, method: lfnn_l, measure: speedup, published: [2.31, 4.62]}
  - {part: projected, method: lfnn_l, measure: epoch_minutes}
  - {part: measured, method: lfnn_l, measure: speedup}
  - {part: measured, method: bp, measure: speedup}
  - {part: measured, method: bp, measure: epoch_minutes}
"""


def times(text: str = TIMES, speed: str = ""):
    Path("plan.yaml").write_text(NETWORK)
    Path("speed.yaml").write_text(f"{NETWORK}rounds: 5\nmethods: [bp, lfnn_l]\n{speed}")
    write_table(text, "times")
    return load_table("times")


MEASURED = {}
"""What was measured in an earlier test of the same network, which takes seconds."""


@pytest.fixture
def counted(monkeypatch):
    """Names of what is measured, each network truly once."""
    done = []

    def counting(name, measure):
        def once(settings, *request, **options):
            done.append(name)
            key = (name, repr(settings))
            if key not in MEASURED:
                MEASURED[key] = measure(settings, *request, **options)
            return MEASURED[key]

        monkeypatch.setattr(speed_part, name, once)

    quick = partial(PlanRequest, seconds=0.2)
    monkeypatch.setattr(speed_part, "PlanRequest", quick)
    # What else this machine does is not under test.
    monkeypatch.setattr("brainage.core.speed.UNSTEADY_SPREAD", float("inf"))
    # Memory is measured in processes of their own, which take seconds to start.
    monkeypatch.setattr("brainage.core.speed.measure_peak", lambda case: 1_000_000)
    counting("make_plan", speed_part.make_plan)
    counting("benchmark_speed", speed_part.benchmark_speed)
    return done


def test_steps_are_measured_and_projected_once(counted):
    result = run_table(times(), out=OUT, full=False, jobs=1)
    assert counted == ["make_plan", "benchmark_speed", "benchmark_speed"]
    again = run_table(times(), out=OUT, full=False, jobs=1)
    assert len(counted) == 3
    assert again == result
    assert result.complete

    projected, minutes, speedups, baseline, epochs = (
        [cell.measured for cell in result.rows[n : n + 2]] for n in range(0, 10, 2)
    )
    assert all(value > 0 for value in (*projected, *minutes, *speedups, *epochs))
    assert baseline == [1.0, 1.0]
    assert [cell.published for cell in result.rows[:2]] == [2.31, 4.62]
    assert [cell.setting for cell in result.rows[:2]] == ["2 blocks", "3 blocks"]

    kept = json.loads((OUT / "times/measured/3_blocks.json").read_text())["result"]["rows"]
    seconds = {row["method"]: row["step_seconds"] for row in kept}
    assert speedups[1] == pytest.approx(seconds["bp"] / seconds["lfnn_l"], rel=2e-3)
    # 600 images are 300 steps of two.
    assert epochs[1] == pytest.approx(300 * seconds["bp"] / 60, abs=6e-3)


def test_the_scale_of_projections_and_of_smaller_measurements_is_told(counted):
    parts = run_table(times(), out=OUT, full=False, jobs=1).parts
    assert parts["projected"].scale == "projected"
    assert parts["measured"].scale == "reduced: a small network"
    assert parts["measured"].details["input_shape"] == [1, 16, 16, 16]
    assert {part.device.startswith("CPU, 1 thread") for part in parts.values()} == {True}


def test_other_settings_are_measured_again(counted):
    run_table(times(), out=OUT, full=False, jobs=1)
    counted.clear()
    run_table(times(speed="seed: 3\n"), out=OUT, full=False, jobs=1)
    assert counted == ["benchmark_speed"] * 2


def test_a_measurement_that_is_lacking_alone_is_made(counted):
    run_table(times(), out=OUT, full=False, jobs=1)
    (OUT / "times/measured/2_blocks.json").unlink()
    half = collect(times(), OUT)
    assert not half.parts["measured"].complete
    assert [cell.measured for cell in half.rows[6:8]] == [None, 1.0]
    counted.clear()
    assert run_table(times(), out=OUT, full=False, jobs=1).complete
    assert counted == ["benchmark_speed"]


def spread(path, *shares):
    """Writes interquartile ranges, as shares of the median, into a measurement that is kept."""
    kept = json.loads(path.read_text())
    for row, share in zip(kept["result"]["rows"], shares, strict=True):
        row["step_seconds_iqr"] = share * row["step_seconds"]
    path.write_text(json.dumps(kept))


def test_a_measurement_that_was_not_steady_is_told_and_made_again(counted, monkeypatch):
    run_table(times(), out=OUT, full=False, jobs=1)
    monkeypatch.setattr("brainage.core.speed.UNSTEADY_SPREAD", 0.5)
    spread(OUT / "times/measured/2_blocks.json", 0.4, 0.6)
    spread(OUT / "times/measured/3_blocks.json", 0.4, 0.4)
    facts = collect(times(), OUT).parts["measured"]
    assert not facts.complete
    assert facts.note.endswith("; not steady, to be measured again: 2 blocks")

    counted.clear()
    run_table(times(), out=OUT, full=False, jobs=1)
    assert counted == ["benchmark_speed"]


def test_before_anything_is_measured_there_are_no_numbers():
    result = collect(times(), OUT)
    assert {cell.measured for cell in result.rows} == {None}
    assert {part.scale for part in result.parts.values()} == {"not run"}


def test_a_damaged_measurement_is_refused_by_name():
    path = OUT / "times/projected/plan.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"settings": {}')
    with pytest.raises(RunFolderError, match=r"projected/plan\.json: is damaged"):
        collect(times(), OUT)


def test_what_cannot_be_done_has_no_number():
    row = {"speedup": None, "step_seconds": None, "batch_size": 2}
    assert speed_part._number(row, "speedup", None) is None
    assert speed_part._number(row, "epoch_minutes", 600) is None
    assert speed_part._number({**row, "step_seconds": 0.5}, "epoch_minutes", 600) == 2.5
    assert speed_part._number({**row, "step_seconds": 0.5}, "epoch_minutes", None) is None
