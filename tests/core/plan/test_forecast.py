"""Predictions against the formulas of the method's cost model."""

import pytest

from brainage.core.measure import StageMemory
from brainage.core.plan.costs import HeadCosts, Timed, TransferCosts
from brainage.core.plan.forecast import Forecast
from brainage.core.plan.planner import Planner
from brainage.core.plan.predictions import advice
from brainage.core.plan.schedules import Surroundings
from brainage.core.plan.simulation import SharedCores
from tests.core.plan.made_up import FREE, equal_stages, network, stage


def forecast(costs, num_devices, *, transfer=FREE, around=None, **options):
    """The plan's predictions by engine and method."""
    planner = Planner(costs, transfer, **options)
    maker = Forecast(planner, "lfnn_l") if around is None else Forecast(planner, "lfnn_l", around)
    rows = maker.rows(planner.plan(num_devices), num_devices)
    return {(row.engine, row.method): row for row in rows}


def test_equal_blocks_are_as_many_times_faster_as_there_are_devices():
    rows = forecast(equal_stages(8), 4)
    assert rows["blocks", "lfnn_l"].speedup == pytest.approx(4)
    assert rows["single", "bp"].speedup == 1


def test_heads_cost_blocks_their_share():
    """P/(1 + alpha), with alpha the heads' part of forward and backward."""
    head = HeadCosts(Timed(0, 0), Timed(0, 0.6), 0, StageMemory(0, 0, False, 0, 0, False))
    rows = forecast(network([stage(1.0)] * 4, heads=head), 4)
    alpha = 4 * 0.6 / 12
    assert rows["blocks", "lfnn_l"].speedup == pytest.approx(4 / (1 + alpha))


def test_one_sample_leaves_nothing_to_split_or_to_pipeline():
    rows = forecast(equal_stages(4), 4)
    for method in ("bp", "lfnn_l"):
        assert rows["ddp", method].step_seconds is None
        assert rows["ddp", method].note == "a batch of 1 cannot be split over 4 devices"
    assert rows["pipeline_1f1b", "bp"].speedup == pytest.approx(1)


def test_1f1b_has_as_many_micro_batches_as_samples():
    rows = forecast(equal_stages(4, batch_size=6), 4)
    assert rows["pipeline_1f1b", "bp"].speedup == pytest.approx(4 * 6 / (6 + 3))


def test_checkpointing_computes_the_forward_pass_again():
    assert forecast(equal_stages(3), 1)["checkpointed", "bp"].step_seconds == 9 + 3


def test_data_parallel_steps_share_samples_and_sum_gradients():
    costs = network([stage(1.0, parameters=60, update=0.5)], batch_size=4)
    row = forecast(costs, 4, transfer=TransferCosts(0, 1e-3, "x"))["ddp", "bp"]
    sent = 2 * 3 / 4 * 240
    assert row.traffic_bytes == sent
    assert row.step_seconds == pytest.approx(3 + 0.5 + 1e-3 * sent)


def test_traffic_of_blocks_goes_forward_only():
    stages = [stage(1.0, features=100), stage(1.0, features=60, inputs=100), stage(1.0, inputs=60)]
    rows = forecast(network(stages), 3)
    assert rows["blocks", "lfnn_l"].traffic_bytes == 100
    assert rows["pipeline_1f1b", "bp"].traffic_bytes == 60 + 100
    assert rows["single", "bp"].traffic_bytes == 0


def test_memory_of_one_device():
    stages = [
        stage(1, parameters=10, saved=100, inputs=8, features=20),
        stage(1, parameters=30, saved=200, inputs=20, features=4),
    ]
    rows = forecast(network(stages), 2)
    assert rows["single", "bp"].peak_memory_bytes == 16 * 40 + 8 + 100 + 200 + 4
    assert rows["single", "lfnn_l"].peak_memory_bytes == 12 * 40 + 20 + 200 + 4 + 4 * 30
    assert rows["blocks", "lfnn_l"].peak_memory_bytes == 16 * 30 + 20 + 200 + 4 + 20
    assert rows["checkpointed", "bp"].peak_memory_bytes == 16 * 40 + (8 + 20) + 200 + 4


def test_the_largest_share_of_a_batch_decides_over_memory():
    costs = network([stage(1.0, saved=300), stage(1.0, saved=30)], batch_size=3)
    rows = forecast(costs, 2)
    assert rows["ddp", "bp"].peak_memory_bytes == 2 * (100 + 10)
    assert rows["ddp", "lfnn_l"].peak_memory_bytes == 2 * 100


def test_processes_that_share_cores_gain_no_more_than_these():
    around = Surroundings(SharedCores(2))
    rows = forecast(equal_stages(8), 4, around=around)
    assert rows["blocks", "lfnn_l"].speedup == pytest.approx(2, rel=0.02)
    assert rows["single", "bp"].speedup == 1


def test_everything_is_labelled_projected():
    assert {row.kind for row in forecast(equal_stages(4), 2).values()} == {"projected"}


def test_where_a_batch_splits_better_than_the_network_ddp_is_advised():
    costs = network([stage(10.0), stage(1.0)], batch_size=2)
    planner = Planner(costs, FREE, cuts=(1,))
    plan = planner.plan(2)
    assert (plan.blocks_per_place, plan.replicas) == ((2,), (2,))
    rows = Forecast(planner, "lfnn_l").rows(plan, 2)
    assert advice(rows, "time").startswith("use DDP (--set parallel.engine=ddp)")
    unshared = Planner(costs, FREE, cuts=(1,), most_replicas=1)
    rows = Forecast(unshared, "lfnn_l").rows(unshared.plan(2), 2)
    line = advice(rows, "time")
    assert line.startswith("use DDP instead: lfnn_l takes 33 s a step against 60 s a step with")
    assert line.endswith("; --set parallel.engine=ddp")


def test_where_only_back_propagation_gains_its_rule_is_named():
    head = HeadCosts(Timed(0, 0), Timed(0, 50.0), 0, StageMemory(0, 0, False, 0, 0, False))
    costs = network([stage(1.0), stage(1.0)], batch_size=2, heads=head)
    planner = Planner(costs, FREE)
    line = advice(Forecast(planner, "lfnn_l").rows(planner.plan(2), 2), "time")
    assert line.startswith("use DDP instead: bp takes 6 s a step")
    assert "--set objective.name=bp --set parallel.engine=ddp" in line


def test_where_nothing_is_better_blocks_are_advised():
    planner = Planner(equal_stages(4), FREE)
    rows = Forecast(planner, "lfnn_l").rows(planner.plan(2), 2)
    assert advice(rows, "time") == "use blocks: no other way has a clearly shorter step"
