"""Plans: what they balance, what they may use, what they set."""

import pytest

from brainage.core.measure import StageMemory
from brainage.core.placement import Placement
from brainage.core.plan.costs import HeadCosts, Timed, TransferCosts
from brainage.core.plan.planner import Planner
from brainage.core.plan.search import PlannedPlace
from tests.core.plan.made_up import FREE, equal_stages, network, stage


def test_equal_stages_are_shared_evenly():
    plan = Planner(equal_stages(6), FREE).plan(3)
    assert (plan.cuts, plan.replicas, plan.bound) == ((2, 4), (1, 1, 1), 6)


def test_a_heavy_stage_gets_replicas():
    costs = network([stage(3.0), stage(1.0)], batch_size=3)
    plan = Planner(costs, FREE).plan(4)
    assert plan.settings() == {
        "blocks.num_blocks": 2,
        "blocks.cuts": (1,),
        "parallel.blocks_per_place": (1, 1),
        "parallel.replicas": (3, 1),
    }
    assert plan.bound == 9


def test_replicas_are_no_more_than_samples():
    costs = network([stage(3.0), stage(1.0)], batch_size=1)
    assert Planner(costs, FREE).plan(4).replicas == (1, 1)


def test_replicas_can_be_forbidden():
    costs = network([stage(3.0), stage(1.0)], batch_size=3)
    assert Planner(costs, FREE, most_replicas=1).plan(4).replicas == (1, 1)


def test_a_replica_has_whole_samples():
    costs = network([stage(1.0), stage(0.1)], batch_size=3)
    plan = Planner(costs, FREE).plan(3)
    assert plan.replicas == (2, 1)
    assert plan.bound == 2 * 3.0  # two of three samples


def test_updates_are_not_shared_by_replicas():
    costs = network([stage(1.0, update=10.0), stage(0.1)], batch_size=2)
    plan = Planner(costs, FREE).plan(3)
    assert (plan.replicas, plan.bound) == ((2, 1), 3 + 10)


def test_summing_gradients_can_cost_more_than_a_replica_saves():
    costs = network([stage(1.0, parameters=1000), stage(0.1)], batch_size=2)
    slow, quick = TransferCosts(0, 1e-2, "slow"), TransferCosts(0, 1e-6, "quick")
    assert Planner(costs, slow).plan(3).replicas == (1, 1)
    assert Planner(costs, quick).plan(3).replicas == (2, 1)


def test_a_batch_that_splits_well_still_gets_blocks():
    costs = network([stage(10.0), stage(1.0)], batch_size=2)
    assert Planner(costs, FREE).plan(2).num_blocks == 2
    assert Planner(costs, FREE).plan(1).num_blocks == 1


def test_cuts_avoid_large_features_where_sending_is_slow():
    stages = [stage(1.0, features=9000), stage(1.0, features=9000), stage(1.0, features=1)]
    costs = network([*stages, stage(1.0)])
    assert Planner(costs, FREE).plan(2).cuts == (2,)
    assert Planner(costs, TransferCosts(0, 1e-3, "slow")).plan(2).cuts == (3,)


def test_half_the_bytes_are_sent_in_half_the_time():
    costs = network([stage(1.0, features=100), stage(1.0)])
    link = TransferCosts(0, 1.0, "made up")
    assert Planner(costs, link, wire_share=0.5).transfer_seconds(0, 1, 1) == 50


def test_places_group_blocks_where_their_number_is_fixed():
    plan = Planner(equal_stages(6), FREE).plan(2, num_blocks=3)
    assert sum(plan.blocks_per_place) == plan.num_blocks == 3
    assert plan.bound == 9
    placement = Placement(plan.blocks_per_place, plan.replicas)
    assert (placement.num_blocks, placement.world_size) == (3, 2)


def test_settled_cuts_stay():
    plan = Planner(equal_stages(6), FREE, cuts=(1, 2)).plan(2)
    assert plan.cuts == (1, 2)
    assert plan.stage_counts == (1, 1, 4)
    assert plan.blocks_per_place == (2, 1)


def test_more_devices_are_never_slower_and_idle_ones_are_not_used():
    costs = network([stage(5.0), stage(1.0), stage(1.0)])
    plans = [Planner(costs, FREE).plan(number) for number in (1, 2, 3)]
    assert [plan.bound for plan in plans] == [21, 15, 15]
    assert [plan.num_devices for plan in plans] == [1, 2, 2]


def test_for_memory_the_largest_device_is_smallest():
    # Time asks for a cut in the middle, memory for one behind the first stage.
    stages = [stage(1.0, saved=900), *(stage(1.0, saved=100) for _ in range(3))]
    planner = Planner(network(stages), FREE)
    assert planner.plan(2).cuts == (2,)
    plan = planner.plan(2, "memory")
    assert plan.cuts == (1,)
    assert plan.bound == planner.memory(plan) == 900


def test_a_place_holds_all_its_weights_and_the_activations_of_one_block():
    head = HeadCosts(Timed(0, 0), Timed(0, 0), 0, StageMemory(2, 0, False, 10, 0, False))
    stages = [
        stage(1, parameters=5, saved=100, features=20),
        stage(1, parameters=3, saved=300, inputs=20, features=40),
        stage(1, inputs=40),
    ]
    planner = Planner(network(stages, heads=head), FREE, queue_depth=3)
    resident = 12 * (5 + 2 + 3 + 2)
    working = 20 + 300 + 40 + 10 + 4 * (3 + 2)
    assert planner.place_bytes(PlannedPlace((0, 1, 2), 1, 0)) == resident + working + 2 * 40


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(ValueError, match="2 stages cannot be laid over 2 devices in 3 blocks"):
        Planner(equal_stages(2), FREE).plan(2, num_blocks=3)


@pytest.mark.parametrize("goal", ["time", "memory"])
def test_a_plan_made_by_hand_costs_what_a_planned_one_costs(goal):
    stages = [stage(3.0, parameters=9, saved=50, features=30), *(stage(1.0) for _ in range(3))]
    planner = Planner(network(stages, batch_size=2), TransferCosts(0, 1e-2, "made up"))
    plan = planner.plan(3, goal, num_blocks=3)
    placement = Placement(plan.blocks_per_place, plan.replicas)
    assert planner.plan_of(plan.stage_counts, placement, goal) == plan
