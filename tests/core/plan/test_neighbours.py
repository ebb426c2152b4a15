"""Two processes that send to each other and train side by side."""

import functools
import os

import pytest

from brainage.backbones.config import MLPConfig
from brainage.backbones.registry import build_stages
from brainage.core.plan.costs import TransferCosts
from brainage.core.plan.neighbours import Neighbours, measure_neighbours
from brainage.errors import TrainingError
from tests.core.plan.test_measuring import make_case


@pytest.mark.distributed
def test_two_processes_measure_their_link_and_each_other():
    told = []
    build = functools.partial(build_stages, MLPConfig(hidden_sizes=(16, 16, 16)), (6,), 0)
    found = measure_neighbours(make_case(build_stages=build), 2, report=told.append)
    assert found.num_processes == 2
    assert 0 < found.transfer.latency_seconds < 0.1
    assert 0 < found.transfer.seconds_per_byte < 1e-6
    assert found.transfer.source.startswith("gloo, measured")
    assert min(found.alone, found.together) > 0
    assert told == ["transfer between 2 processes, and their steps side by side"]


@pytest.mark.distributed
def test_a_process_that_dies_is_one_line():
    case = make_case(build_stages=functools.partial(os._exit, 9))
    with pytest.raises(TrainingError, match="ended early.*; give --gigabytes-per-second"):
        measure_neighbours(case, 2)


def test_neighbours_never_make_faster():
    link = TransferCosts(0, 0, "made up")
    assert Neighbours(link, 2.0, 3.0, 2).slowdown == 1.5
    assert Neighbours(link, 2.0, 1.9, 2).slowdown == 1.0
