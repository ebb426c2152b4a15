"""What a plan promises, beside the other ways to train the same network on as many devices.

Every figure here is projected: from costs measured on one device, by formula where nothing waits
for anything (memory, traffic, one device) and by simulation where something does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from brainage.core.measure import GRADIENT_BYTES
from brainage.core.placement import own_samples
from brainage.core.plan.costs import NetworkCosts
from brainage.core.plan.pipeline import pipeline_stages
from brainage.core.plan.planner import Plan, Planner
from brainage.core.plan.predictions import Prediction
from brainage.core.plan.schedules import (
    ALONE,
    PlaceLoad,
    RankLoad,
    Surroundings,
    simulate_1f1b,
    simulate_blocks,
    simulate_ddp,
)
from brainage.core.plan.search import PlannedPlace


@dataclass(frozen=True)
class Forecast:
    """Predicts for one network and rule.

    Args:
        planner: has the costs.
        method: name of the isolated rule.
        around: where several processes run; one alone always has the device to itself.
    """

    planner: Planner
    method: str
    around: Surroundings = ALONE

    @property
    def costs(self) -> NetworkCosts:
        """Of the network."""
        return self.planner.costs

    @property
    def baseline_seconds(self) -> float:
        """A step of back-propagation on one device."""
        return self.costs.network_times(self.costs.batch_size).total

    def rows(self, plan: Plan, num_devices: int) -> list[Prediction]:
        """All ways, back-propagation on one device first."""
        return [
            self.bp(),
            self.checkpointed(plan),
            self.sequential(plan),
            self.blocks(plan),
            self.ddp(plan, num_devices),
            self.ddp_of_bp(num_devices),
            self.pipeline(num_devices),
        ]

    def bp(self) -> Prediction:
        """Back-propagation on one device."""
        return replace(
            self._timed("bp", 1, self.baseline_seconds),
            peak_memory_bytes=self._bp_memory(self.costs.batch_size),
            traffic_bytes=0.0,
        )

    def checkpointed(self, plan: Plan) -> Prediction:
        """Back-propagation that keeps the plan's block boundaries and computes the rest again."""
        costs, size = self.costs, self.costs.batch_size
        seconds = self.baseline_seconds + costs.network_times(size).before_send
        inputs = sum(costs.input_bytes(first, size) for first, _ in _blocks(plan))
        largest = max(
            costs.activations(first, stop, size, costs.output if stop == costs.num_stages else None)
            - costs.input_bytes(first, size)
            for first, stop in _blocks(plan)
        )
        return replace(
            self._timed("bp", 1, seconds),
            engine="checkpointed",
            blocks=plan.num_blocks,
            peak_memory_bytes=self._bp_weights() + inputs + largest,
            traffic_bytes=0.0,
        )

    def sequential(self, plan: Plan) -> Prediction:
        """The plan's blocks one after the other on one device."""
        size = self.costs.batch_size
        return replace(
            self._timed(self.method, 1, self._rule_seconds(plan, size)),
            blocks=plan.num_blocks,
            peak_memory_bytes=self._rule_memory(plan, size),
            traffic_bytes=0.0,
        )

    def blocks(self, plan: Plan) -> Prediction:
        """The plan."""
        step = simulate_blocks(self.loads(plan), self.planner.queue_depth, self.around)
        return replace(
            self._timed(self.method, plan.num_devices, step.step_seconds),
            engine="blocks",
            replicas=plan.replicas,
            blocks=plan.num_blocks,
            peak_memory_bytes=self.planner.memory(plan),
            traffic_bytes=max(self._sent_bytes(place) for place in plan.places),
        )

    def ddp(self, plan: Plan, num_devices: int) -> Prediction:
        """All of the plan's blocks on every device, each with a share of the batch."""
        costs, blocks = self.costs, _blocks(plan)
        update = sum(costs.block_times(*block, 0).update for block in blocks)
        parameters = sum(costs.block_parameters(*block) for block in blocks)
        shares = _shares(costs.batch_size, num_devices)
        times = [self._rule_seconds(plan, share) - update for share in shares]
        memory = self._rule_memory(plan, shares[0])
        row = self._ddp(self.method, times, update, parameters, memory)
        return replace(row, blocks=plan.num_blocks)

    def ddp_of_bp(self, num_devices: int) -> Prediction:
        """Back-propagation through the whole network on every device, for a share of the batch."""
        update = self.costs.network_times(0).update
        shares = _shares(self.costs.batch_size, num_devices)
        times = [self.costs.network_times(share).total - update for share in shares]
        memory = self._bp_memory(shares[0])
        return self._ddp("bp", times, update, self.costs.network_parameters(), memory)

    def _ddp(
        self, method: str, times: Sequence[float], update: float, parameters: int, memory: float
    ) -> Prediction:
        size, num_devices = self.costs.batch_size, len(times)
        if size < num_devices:
            note = f"a batch of {size} cannot be split over {num_devices} devices"
            return replace(self._timed(method, num_devices, None), engine="ddp", note=note)
        gradients = GRADIENT_BYTES * parameters
        reduced = self.planner.transfer.all_reduce_seconds(gradients, num_devices)
        step = simulate_ddp(times, reduced, update, self.around)
        return replace(
            self._timed(method, num_devices, step.step_seconds),
            engine="ddp",
            peak_memory_bytes=memory,
            traffic_bytes=_all_reduce_bytes(gradients, num_devices),
        )

    def pipeline(self, num_devices: int) -> Prediction:
        """Pipelined back-propagation (1F1B): a sample to a micro-batch, balanced stages."""
        costs, micro = self.costs, self.costs.batch_size
        if num_devices > costs.num_stages:
            note = f"{costs.num_stages} stages cannot be laid over {num_devices} devices"
            row = self._timed("bp", num_devices, None)
            return replace(row, engine="pipeline_1f1b", note=note)
        stages = pipeline_stages(costs, self.planner.transfer, num_devices)
        step = simulate_1f1b([stage.load for stage in stages], micro, self.around)
        return replace(
            self._timed("bp", num_devices, step.step_seconds),
            engine="pipeline_1f1b",
            peak_memory_bytes=max(stage.memory_bytes for stage in stages),
            traffic_bytes=max(stage.sent_bytes for stage in stages),
            note=f"{micro} micro-batch{'es' if micro > 1 else ''} of one sample",
        )

    def loads(self, plan: Plan) -> list[PlaceLoad]:
        """What each place of a plan does for a batch, as the simulation takes it."""
        loads = []
        for place in plan.places:
            ranks = []
            for share in _shares(self.costs.batch_size, place.replicas):
                times = [self.costs.block_times(*block, share) for block in place.blocks]
                earlier = sum(each.total for each in times[:-1])
                ranks.append(RankLoad(earlier + times[-1].before_send, times[-1].after_send))
            reduced = sum(
                self.planner.all_reduce_seconds(*block, place.replicas) for block in place.blocks
            )
            ends = place.edges[0], place.edges[-1], place.replicas
            loads.append(PlaceLoad(tuple(ranks), self.planner.transfer_seconds(*ends), reduced))
        return loads

    def _rule_seconds(self, plan: Plan, num_samples: int) -> float:
        return sum(self.costs.block_times(*block, num_samples).total for block in _blocks(plan))

    def _rule_memory(self, plan: Plan, num_samples: int) -> float:
        costs, blocks = self.costs, _blocks(plan)
        resident = sum(costs.resident_bytes(costs.block_parameters(*block)) for block in blocks)
        return resident + max(costs.working_bytes(*block, num_samples) for block in blocks)

    def _bp_weights(self) -> float:
        """Weights, optimizer state and gradients."""
        parameters = self.costs.network_parameters()
        return self.costs.resident_bytes(parameters) + GRADIENT_BYTES * parameters

    def _bp_memory(self, num_samples: int) -> float:
        costs = self.costs
        held = costs.activations(0, costs.num_stages, num_samples, costs.output)
        return self._bp_weights() + held

    def _sent_bytes(self, place: PlannedPlace) -> float:
        """What one of a place's devices sends in a step."""
        features = self.planner.sent_bytes(place.edges[-1], place.replicas)
        parameters = sum(self.costs.block_parameters(*block) for block in place.blocks)
        return features + _all_reduce_bytes(GRADIENT_BYTES * parameters, place.replicas)

    def _timed(self, method: str, devices: int, seconds: float | None) -> Prediction:
        return Prediction(
            method=method,
            engine="single",
            devices=devices,
            replicas=(devices,),
            blocks=1,
            batch_size=self.costs.batch_size,
            step_seconds=seconds,
            speedup=None if seconds is None else self.baseline_seconds / seconds,
        )


def _blocks(plan: Plan) -> list[tuple[int, int]]:
    return list(pairwise((0, *plan.cuts, plan.num_stages)))


def _shares(batch_size: int, replicas: int) -> list[int]:
    """Samples of each replica."""
    return [len(own_samples(batch_size, replica, replicas)) for replica in range(replicas)]


def _all_reduce_bytes(num_bytes: float, num_ranks: int) -> float:
    """What each rank of a ring sends to sum so many bytes."""
    return 2 * (num_ranks - 1) / num_ranks * num_bytes
