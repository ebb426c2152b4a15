"""Simulated steps against what is known in closed form."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainage.core.plan.schedules import (
    PlaceLoad,
    RankLoad,
    StageLoad,
    Surroundings,
    order_1f1b,
    simulate_1f1b,
    simulate_blocks,
    simulate_ddp,
)
from brainage.core.plan.simulation import SharedCores

seconds = st.integers(1, 20)


def place(before: float, after: float, transfer: float = 0.0) -> PlaceLoad:
    return PlaceLoad((RankLoad(before, after),), transfer)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(seconds, seconds, st.integers(0, 20)), min_size=1, max_size=5))
def test_blocks_are_as_fast_as_the_slowest_place_or_link(loads):
    places = [place(*load) for load in loads]
    slowest = max(before + after for before, after, _ in loads)
    links = max((transfer for _, _, transfer in loads[:-1]), default=0)
    assert simulate_blocks(places, 2).step_seconds == pytest.approx(max(slowest, links))


def test_the_first_batch_passes_forward_through_all_places():
    # 1 + 1 + 1 s forward, then 2 s backward in the last place, with 0.5 s on each of two links.
    filled = simulate_blocks([place(1, 2, 0.5), place(1, 2, 0.5), place(1, 2)], 2)
    assert filled.step_seconds == pytest.approx(3)
    assert filled.fill_seconds == pytest.approx(3 + 2 * 0.5 + 2 - 3)


def test_with_one_buffer_nothing_comes_in_while_a_place_works():
    places = [place(1, 1, 3), place(2, 2)]
    assert simulate_blocks(places, 1).step_seconds == pytest.approx(3 + 4)
    assert simulate_blocks(places, 2).step_seconds == pytest.approx(4)


def test_replicas_wait_for_the_slowest_of_them_and_sum_their_gradients():
    pair = PlaceLoad((RankLoad(1, 2), RankLoad(2, 4)), all_reduce=0.5)
    assert simulate_blocks([place(1, 1), pair], 2).step_seconds == pytest.approx(6.5)
    assert simulate_blocks([pair, place(1, 1)], 2).step_seconds == pytest.approx(6.5)


def test_data_parallel_steps_are_share_sum_and_update():
    assert simulate_ddp([3.0, 5.0], 0.5, 0.25).step_seconds == pytest.approx(5.75)


@pytest.mark.parametrize("num_stages", [1, 2, 4, 7])
@pytest.mark.parametrize("micro_batches", [1, 2, 5, 8])
def test_1f1b_of_equal_stages_has_its_bubbles(num_stages, micro_batches):
    """P*m/(m+P-1) times as fast as one device. Source: Narayanan et al. 2019."""
    step = simulate_1f1b([StageLoad(1, 2)] * num_stages, micro_batches).step_seconds
    alone = 3 * num_stages * micro_batches
    ideal = num_stages * micro_batches / (micro_batches + num_stages - 1)
    assert alone / step == pytest.approx(ideal)


def test_1f1b_with_one_micro_batch_sends_to_the_end_and_back():
    stages = [StageLoad(1, 2, update=0.5, transfer=0.25)] * 3
    step = simulate_1f1b(stages, 1).step_seconds
    assert step == pytest.approx(3 * 3 + 4 * 0.25 + 0.5)


def test_a_stage_of_1f1b_holds_no_more_micro_batches_than_stages_follow():
    held = most = 0
    for kind in order_1f1b(1, 4, 8):
        held += 1 if kind == "forward" else -1
        most = max(most, held)
    assert (held, most) == (0, 3)


def test_on_too_few_cores_the_work_adds_up():
    places = [place(1, 2), place(1, 3), place(2, 2), place(1, 1)]
    here = Surroundings(SharedCores(2))
    assert simulate_blocks(places, 2, here).step_seconds == pytest.approx(13 / 2, rel=0.02)
    assert simulate_ddp([3.0] * 4, 0.0, 0.0, here).step_seconds == pytest.approx(6)


def test_transfers_take_cores_from_work_where_they_copy():
    places = [place(2, 2, 1), place(2, 2)]
    shared = SharedCores(2)
    alone = simulate_blocks(places, 2, Surroundings(shared)).step_seconds
    copying = simulate_blocks(places, 2, Surroundings(shared, wire_threads=2)).step_seconds
    assert alone == pytest.approx(4)
    # 8 s of work and 2 s of copying for each batch, on two cores
    assert copying == pytest.approx(5, rel=0.05)
