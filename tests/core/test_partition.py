"""Balanced cuts against brute force, and cuts resolved from a configuration."""

from dataclasses import replace
from itertools import combinations, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from brainage.core.config import BlocksConfig
from brainage.core.measure import block_bytes, measure_memory
from brainage.core.partition import balanced_cuts, resolve_cuts, stage_counts


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    """Costs of stages, costs of boundaries before them, and a number of blocks."""
    num_stages = draw(st.integers(1, 8))
    values = st.lists(st.integers(0, 9), min_size=num_stages, max_size=num_stages)
    return draw(values), draw(values), draw(st.integers(1, num_stages))


def falling_costs(cost, cuts, num_stages):
    return sorted((cost(a, b) for a, b in pairwise((0, *cuts, num_stages))), reverse=True)


@given(chains())
def test_no_other_cuts_have_a_smaller_largest_block_then_second_largest(chain) -> None:
    stages, boundaries, num_blocks = chain

    def cost(first: int, stop: int) -> float:
        return sum(stages[first:stop]) + boundaries[first]

    found = balanced_cuts(len(stages), num_blocks, cost)
    every = combinations(range(1, len(stages)), num_blocks - 1)
    best = min((falling_costs(cost, cuts, len(stages)), cuts) for cuts in every)
    assert (falling_costs(cost, found, len(stages)), found) == best


@given(chains())
def test_every_block_gets_a_stage(chain) -> None:
    stages, _, num_blocks = chain
    found = balanced_cuts(len(stages), num_blocks, lambda a, b: sum(stages[a:b]))
    assert BlocksConfig(num_blocks=num_blocks, cuts=found).cuts == found
    assert len(stage_counts(len(stages), BlocksConfig(num_blocks=num_blocks, cuts=found))) == (
        num_blocks
    )


def test_more_blocks_than_stages_are_refused() -> None:
    with pytest.raises(ValueError, match=r"blocks\.num_blocks: 3 blocks"):
        balanced_cuts(2, 3, lambda a, b: 1.0)


def front_heavy(num_stages: int = 6) -> list[nn.Module]:
    """Convolutions that halve the grid: the first stage holds most of the activations."""
    with torch.random.fork_rng():
        return [
            nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2))
            for _ in range(num_stages)
        ]


def test_cuts_by_activation_bytes_are_the_best_and_the_same_again() -> None:
    stages = front_heavy()
    config = BlocksConfig(num_blocks=3, balance="activation_bytes")
    found = resolve_cuts(stages, (2, 64, 64), 2, config)
    memory = measure_memory(stages, (2, 64, 64), 2)

    def largest(cuts: tuple[int, ...]) -> int:
        return max(block_bytes(memory[a:b]) for a, b in pairwise((0, *cuts, 6)))

    assert found.cuts is not None
    assert largest(found.cuts) == min(largest(cuts) for cuts in combinations(range(1, 6), 2))
    assert largest(found.cuts) < largest((2, 4))
    assert resolve_cuts(stages, (2, 64, 64), 2, config) == found
    assert replace(found, cuts=None) == config


def test_cuts_by_seconds_put_the_slow_stage_alone() -> None:
    slow = nn.Sequential(*(nn.Linear(512, 512) for _ in range(12)))
    stages = [nn.Linear(512, 512), nn.Identity(), slow, nn.Identity(), nn.Linear(512, 512)]
    found = resolve_cuts(stages, (512,), 64, BlocksConfig(num_blocks=3, balance="seconds"))
    # Whether the identities go with it or with a neighbour is for the clock's noise to say.
    assert found.cuts in {(1, 3), (2, 3), (2, 4), (1, 4)}


@pytest.mark.parametrize(
    "config",
    [BlocksConfig(num_blocks=2), BlocksConfig(num_blocks=2, cuts=(3,), balance="seconds")],
)
def test_cuts_that_need_no_measurement_come_back_as_they_are(config: BlocksConfig) -> None:
    assert resolve_cuts([], (1,), 1, config) is config


def test_measured_cuts_too_need_a_stage_for_every_block() -> None:
    config = BlocksConfig(num_blocks=3, balance="activation_bytes")
    with pytest.raises(ValueError, match=r"blocks\.num_blocks"):
        resolve_cuts([nn.Identity()], (1,), 1, config)
