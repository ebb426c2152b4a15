"""``benchmark speed`` on several devices: what is left out, what a row says, one whole run."""

import json
from pathlib import Path

import pytest

from brainage.cli import run
from brainage.config.speed import SpeedConfig, load_speed_config
from brainage.core.config import BlocksConfig
from brainage.core.placement import ParallelConfig, Placement
from brainage.core.training_config import EngineConfig, OptimizerConfig
from brainage.errors import ConfigError
from brainage.workflows.benchmark import ranks as benchmark_ranks
from brainage.workflows.benchmark.ranks import _left_out, rule_of

METHODS = ("bp", "bp_threads", "bp_independent", "bp_ddp", "bp_1f1b", "lfnn_l", "lfnn_l_blocks")
TINY = """
name: tiny
input_shape: [1, 12, 12, 12]
batch_size: 2
devices: 2
device: cpu
num_threads: 1
rounds: 5
steps_per_round: 2
methods: [bp, bp_checkpointed, bp_threads, bp_independent, bp_ddp, bp_1f1b, lfnn_l, lfnn_l_blocks]
backbone: {name: cnn3d, channels: [4, 4], kernel_size: 3, padding: same}
blocks: {num_blocks: 2}
heads: {pooled_size: 1}
"""


def several(**changes: object) -> SpeedConfig:
    values = {"name": "x", "devices": 2, "methods": METHODS, "device": "cpu"}
    return SpeedConfig(**(values | changes))


def test_a_batch_that_cannot_be_split_leaves_data_parallelism_out() -> None:
    placement = Placement((2, 2), (1, 1))
    assert _left_out(several(batch_size=1), placement) == {
        "bp_ddp": "a batch of 1 cannot be split over 2 devices"
    }
    assert _left_out(several(batch_size=2), placement) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"engine": EngineConfig(precision="bfloat16")},
        {"engine": EngineConfig(channels_last=True)},
        {"optimizer": OptimizerConfig(clip_norm=1.0)},
    ],
)
def test_a_pipeline_that_would_compute_otherwise_is_left_out(changes: dict[str, object]) -> None:
    told = _left_out(several(batch_size=2, **changes), Placement((2, 2), (1, 1)))
    assert list(told) == ["bp_1f1b"]
    assert "float32" in told["bp_1f1b"]


def test_a_pipeline_has_one_device_a_stage() -> None:
    assert "bp_1f1b" in _left_out(several(devices=3, batch_size=3), Placement((2, 2), (2, 1)))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_its_rule(method: str) -> None:
    assert rule_of(method) == ("lfnn_l" if method.startswith("lfnn_l") else "bp")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"devices": 1}, "devices: expected at least 2 for bp_threads"),
        ({"methods": ("lfnn_l_blocks",)}, "bp or lfnn_l first, as the baseline"),
        ({"steps_per_round": 0}, "steps_per_round"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    changes: dict[str, object], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        several(**changes)


def test_blocks_and_devices_that_do_not_add_up_are_named() -> None:
    config = several(parallel=ParallelConfig(replicas=(3,)), blocks=BlocksConfig(num_blocks=2))
    with pytest.raises(ConfigError, match=r"parallel\.replicas: expected 2 devices in all"):
        benchmark_ranks.benchmark_ranks(config, [], report=lambda _: None)


def test_the_ready_configuration_compares_what_the_documents_say() -> None:
    config = load_speed_config("speed/blocks.yaml")
    assert (config.devices, config.num_threads, config.batch_size) == (2, 1, 1)
    assert {*METHODS, "bp_checkpointed"} == set(config.methods)


@pytest.mark.slow
@pytest.mark.distributed
def test_all_methods_are_measured_in_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    assert run(["benchmark", "speed", "--config", "tiny.yaml", "--out", "rows.json"]) == 0
    result = json.loads((tmp_path / "rows.json").read_text())
    rows = {row["method"]: row for row in result["rows"]}
    assert rows.keys() == {*METHODS, "bp_checkpointed"} - {"bp_independent"}
    assert result["independent_speedup"] > 0
    assert {row["kind"] for row in rows.values()} == {"measured"}
    assert [rows[name]["engine"] for name in ("bp_ddp", "bp_1f1b", "lfnn_l_blocks")] == [
        "ddp", "pipeline_1f1b", "blocks",
    ]  # fmt: skip
    predicted = [name for name, row in rows.items() if row["predicted_speedup"] is not None]
    assert set(predicted) == rows.keys() - {"bp_threads"}
    measured = [name for name, row in rows.items() if row["peak_memory_bytes"] > 0]
    assert set(measured) == rows.keys() - {"bp_threads"}
    assert "at best: 2 independent processes train" in capsys.readouterr().out
