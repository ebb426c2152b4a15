"""Processes that send to each other and train side by side; that they do, test_here.py shows."""

import functools
import os

import pytest

from brainage.core.plan.costs import TransferCosts
from brainage.core.plan.neighbours import Neighbours, measure_neighbours
from brainage.errors import TrainingError
from tests.core.plan.test_measuring import make_case


@pytest.mark.distributed
def test_a_process_that_dies_is_one_line():
    case = make_case(build_stages=functools.partial(os._exit, 9))
    with pytest.raises(TrainingError, match=r"ended early.*; give --gigabytes-per-second"):
        measure_neighbours(case, 2)


def test_neighbours_never_make_faster():
    link = TransferCosts(0, 0, "made up")
    assert Neighbours(link, 2.0, 3.0, 2).slowdown == 1.5
    assert Neighbours(link, 2.0, 1.9, 2).slowdown == 1.0
