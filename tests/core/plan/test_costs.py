"""Costs of blocks from costs of stages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainage.core.measure import StageMemory
from brainage.core.plan.costs import HeadCosts, Timed, TransferCosts, timed
from tests.core.plan.made_up import NO_HEAD, network, stage

HEAD = HeadCosts(Timed(0.25, 0.25), Timed(0, 1.0), 0.125, StageMemory(10, 0, False, 100, 0, False))


@given(st.floats(0.01, 10), st.floats(0.01, 10), st.integers(2, 9))
def test_the_line_meets_both_measurements_and_stays_between_them(one, whole, size):
    line = timed(one, whole, size)
    assert line.at(1) == pytest.approx(one)
    assert line.at(size) == pytest.approx(whole)
    for number in range(1, size + 1):
        assert min(one, whole) * 0.999 <= line.at(number) <= max(one, whole) * 1.001


def test_a_batch_of_one_is_proportional():
    assert timed(3.0, 3.0, 1).at(1) == 3


def test_no_sample_takes_no_time():
    assert Timed(1.0, 1.0).at(0) == 0


def test_a_block_s_first_stage_is_spared_and_its_heads_are_added():
    stages = [stage(1.0, spared=0.5, update=0.25), stage(2.0, spared=1.0, update=0.5)]
    costs = network(stages, batch_size=2, heads=HEAD)
    times = costs.block_times(0, 2, 2)
    assert times.forward == 2 * 3.0
    assert times.backward == 2 * (2.0 - 0.5 + 4.0)
    assert times.head_forward == 0.25 + 2 * 0.25
    assert times.head_backward == 2 * 1.0
    assert times.update == 0.25 + 0.5 + 0.125
    assert times.total == times.before_send + times.after_send == 6 + 11 + 0.75 + 2 + 0.875
    assert costs.block_times(1, 2, 2).backward == 2 * (4.0 - 1.0)


def test_back_propagation_is_spared_once_and_has_one_head():
    stages = [stage(1.0, spared=0.5), stage(2.0, spared=1.0)]
    costs = network(stages, heads=NO_HEAD, output=HEAD)
    assert costs.network_times(1).backward == 2.0 - 0.5 + 4.0
    assert costs.pipeline_times(1, 2, 1).backward == 4.0
    assert costs.pipeline_times(0, 1, 1).head_backward == 0
    assert costs.pipeline_times(1, 2, 1).head_backward == 1.0


def test_bytes_shrink_with_the_share_of_the_batch_and_weights_do_not():
    stages = [stage(1, parameters=5, saved=400, inputs=40, features=80), stage(1, parameters=7)]
    costs = network(stages, batch_size=4, heads=HEAD)
    assert costs.features_bytes(1, 1) == 20
    assert costs.block_parameters(0, 1) == 15
    assert costs.resident_bytes(15) == 15 * 12
    # input, saved, output and the head's own, for one sample of four; gradients whole
    assert costs.working_bytes(0, 1, 1) == (40 + 400 + 80 + 100) / 4 + 4 * 15


def test_a_ring_sends_each_part_twice_but_for_the_last():
    link = TransferCosts(1.0, 0.5, "made up")
    assert link.seconds(0) == 0
    assert link.seconds(4) == 3
    assert link.all_reduce_seconds(8, 4) == 6 * (1.0 + 0.5 * 2)
    assert link.all_reduce_seconds(8, 1) == 0
