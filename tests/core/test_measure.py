"""Bytes against what is known by hand, seconds against what is slow, and no trace left."""

import gc

import pytest
import torch
from torch import nn

from brainage.core.build import build_chain
from brainage.core.config import HeadConfig, ObjectiveConfig
from brainage.core.measure import (
    StageMemory,
    StageSeconds,
    activation_bytes,
    block_seconds,
    measure_memory,
    measure_seconds,
)
from tests.core.helpers import INPUT_SHAPE, make_stages, make_task

FLOAT = 4


def one(stage: nn.Module, *shape: int, batch_size: int = 2) -> StageMemory:
    (memory,) = measure_memory([stage], shape, batch_size)
    return memory


def test_a_linear_layer_saves_its_input_and_no_parameter() -> None:
    assert one(nn.Linear(3, 5), 3) == StageMemory(
        num_parameters=20,
        input_bytes=2 * 3 * FLOAT,
        input_is_saved=True,
        saved_bytes=0,
        output_bytes=2 * 5 * FLOAT,
        output_is_saved=False,
    )


def test_tanh_saves_its_output() -> None:
    memory = measure_memory([nn.Identity(), nn.Tanh()], (7,), 2)[1]
    assert (memory.input_is_saved, memory.saved_bytes, memory.output_is_saved) == (False, 0, True)


def test_what_two_layers_save_twice_counts_once() -> None:
    # Linear saves its input, tanh its output, which is the second linear layer's input.
    stage = nn.Sequential(nn.Linear(3, 50), nn.Tanh(), nn.Linear(50, 5))
    memory = one(stage, 3)
    assert memory.saved_bytes == 2 * 50 * FLOAT


def test_max_pooling_saves_its_indices() -> None:
    stage = nn.Sequential(nn.Conv2d(1, 3, 1), nn.MaxPool2d(2))
    assert one(stage, 1, 8, 8).saved_bytes == 2 * 3 * (64 * FLOAT + 16 * 8)


def test_the_first_stage_saves_nothing_for_a_gradient_nobody_asks_for() -> None:
    memory = measure_memory([nn.Tanh(), nn.Tanh()], (7,), 2)
    assert [stage.output_is_saved for stage in memory] == [False, True]


def test_half_precision_saves_half() -> None:
    stage = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Conv2d(4, 1, 3))
    full, half = (
        measure_memory([stage], (1, 32, 32), 2, precision=precision)[0]
        for precision in ("float32", "bfloat16")
    )
    assert half.output_bytes * 2 == full.output_bytes
    assert half.saved_bytes < 0.6 * full.saved_bytes + full.input_bytes


def test_a_block_holds_input_savings_boundaries_and_output() -> None:
    def stage(saved: int, boundary: int, *, keeps_input: bool, keeps_output: bool) -> StageMemory:
        return StageMemory(0, boundary, keeps_input, saved, 10 * boundary, keeps_output)

    first = stage(1000, 1, keeps_input=True, keeps_output=False)
    keeps = stage(2000, 10, keeps_input=True, keeps_output=False)
    drops = stage(2000, 10, keeps_input=False, keeps_output=False)
    assert activation_bytes([first]) == 1 + 1000 + 10
    assert activation_bytes([first, keeps]) == 1 + 1000 + 10 + 2000 + 100
    assert activation_bytes([first, drops]) == 1 + 1000 + 2000 + 100


def test_bytes_of_a_chain_are_those_of_its_parts_together() -> None:
    stages = [nn.Sequential(nn.Linear(6, 6), nn.Tanh()) for _ in range(4)]
    apart = measure_memory(stages, (6,), 2)
    (whole,) = measure_memory([nn.Sequential(*stages)], (6,), 2)
    assert activation_bytes(apart) == activation_bytes([whole])


def test_heads_of_a_block_count() -> None:
    with_heads, plain = (
        build_chain(
            make_stages(), (3,), INPUT_SHAPE, make_task(), ObjectiveConfig(name=name), heads=heads
        )
        for name, heads in (("lfnn_l", HeadConfig(dropout=0.5)), ("bp", HeadConfig()))
    )
    more, fewer = (measure_memory(chain, INPUT_SHAPE, 2)[0] for chain in (with_heads, plain))
    assert more.num_parameters > fewer.num_parameters
    assert more.saved_bytes > fewer.saved_bytes


@pytest.mark.parametrize("measure", [measure_memory, measure_seconds])
def test_measuring_leaves_no_trace(measure) -> None:
    stages = [nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)), nn.ReLU()]
    stages[0].eval()
    before = {name: value.clone() for name, value in stages[0].state_dict().items()}
    state = torch.get_rng_state()
    measure(stages, (3,), 4)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in stages[0].state_dict().items())
    assert [module.training for module in stages[0].modules()] == [False] * 4
    assert stages[1].training
    assert all(parameter.grad is None for parameter in stages[0].parameters())


def test_the_slow_stage_takes_longest() -> None:
    stages = [nn.Linear(600, 600), nn.Sequential(*(nn.Linear(600, 600) for _ in range(12)))]
    fast, slow = measure_seconds(stages, (600,), 128)
    assert slow.forward > 3 * fast.forward
    assert slow.backward > 3 * fast.backward
    assert fast.backward == fast.backward_as_first


def test_the_input_s_gradient_costs_time() -> None:
    stages = [nn.Identity(), nn.Linear(900, 900, bias=False)]
    seconds = measure_seconds(stages, (900,), 256)[1]
    assert seconds.backward > 1.2 * seconds.backward_as_first > 0  # two products against one


def test_a_stage_without_anything_to_differentiate_has_no_backward_pass() -> None:
    (seconds,) = measure_seconds([nn.Flatten()], (2, 2), 3)
    assert (seconds.backward, seconds.backward_as_first) == (0.0, 0.0)


def test_only_a_block_s_first_stage_is_spared_the_input_s_gradient() -> None:
    stages = [StageSeconds(1, 20, 10), StageSeconds(2, 200, 100)]
    assert block_seconds(stages) == 1 + 10 + 2 + 200


def test_measuring_keeps_no_activation() -> None:
    gc.collect()
    stages = [nn.Sequential(nn.Linear(4096, 4096), nn.Tanh()) for _ in range(2)]
    measure_memory(stages, (4096,), 256)
    kept = [t for t in gc.get_objects() if type(t) is torch.Tensor and t.shape == (256, 4096)]
    assert kept == []
