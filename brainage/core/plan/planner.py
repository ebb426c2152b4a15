"""Cuts and replicas for a number of devices, for the shortest step or the smallest device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Literal

from brainage.core.measure import GRADIENT_BYTES
from brainage.core.placement import Placement, own_samples
from brainage.core.plan.costs import NetworkCosts, TransferCosts
from brainage.core.plan.search import PlannedPlace, best_places

Goal = Literal["time", "memory"]


@dataclass(frozen=True)
class Plan:
    """Where a network is cut and which devices train what.

    ``bound``: the most costly place: seconds of a step with its transfer, or bytes of a device.
    """

    goal: Goal
    num_stages: int
    places: tuple[PlannedPlace, ...]

    @property
    def bound(self) -> float:
        """Cost of the place that decides: seconds (``time``) or bytes (``memory``)."""
        return max(place.cost for place in self.places)

    @property
    def num_devices(self) -> int:
        """Devices in use."""
        return sum(self.replicas)

    @property
    def num_blocks(self) -> int:
        """K."""
        return sum(self.blocks_per_place)

    @property
    def cuts(self) -> tuple[int, ...]:
        """Stages before each cut."""
        edges = {edge for place in self.places for edge in place.edges}
        return tuple(sorted(edges - {0, self.num_stages}))

    @property
    def stage_counts(self) -> tuple[int, ...]:
        """Stages of each block."""
        edges = (0, *self.cuts, self.num_stages)
        return tuple(stop - first for first, stop in pairwise(edges))

    @property
    def blocks_per_place(self) -> tuple[int, ...]:
        """Blocks of each place, first to last."""
        return tuple(place.num_blocks for place in self.places)

    @property
    def replicas(self) -> tuple[int, ...]:
        """Devices of each place."""
        return tuple(place.replicas for place in self.places)

    def settings(self) -> dict[str, int | tuple[int, ...]]:
        """The settings of a run that follow from it, by the dotted name of their key."""
        return {
            "blocks.num_blocks": self.num_blocks,
            "blocks.cuts": self.cuts,
            "parallel.blocks_per_place": self.blocks_per_place,
            "parallel.replicas": self.replicas,
        }


@dataclass(frozen=True)
class Planner:
    """Finds plans for one network on devices of one kind.

    Args:
        costs: of the network's stages and heads.
        transfer: between two devices.
        queue_depth: batches of features that may be under way between two places.
        wire_share: bytes of a feature on its way, as a share of those in memory.
        cuts: where the network is cut, if that is settled.
        most_replicas: of one place; as many as samples in a batch if None.
    """

    costs: NetworkCosts
    transfer: TransferCosts
    queue_depth: int = 2
    wire_share: float = 1.0
    cuts: tuple[int, ...] | None = None
    most_replicas: int | None = None

    def plan(self, num_devices: int, goal: Goal = "time", num_blocks: int | None = None) -> Plan:
        """The best plan on at most so many devices, with two blocks at least where there are two.

        All stages in one block on several devices would be data parallelism, not a plan for blocks.

        Args:
            num_devices: devices to use at most; fewer where more would not help.
            goal: the shortest step, or the smallest memory of the largest device.
            num_blocks: K; one block for each place if None.

        Raises:
            ValueError: if the network cannot be cut so.
        """
        block, place = {
            "time": (self.block_seconds, self.transfer_seconds),
            "memory": (self.block_memory, self.buffer_bytes),
        }[goal]
        size = self.costs.batch_size
        places = best_places(
            self.costs.num_stages,
            num_devices,
            block_cost=self._where_allowed(block, whole=num_devices == 1 or num_blocks == 1),
            place_cost=place,
            max_replicas=min(size, self.most_replicas or size),
            num_blocks=num_blocks if self.cuts is None else len(self.cuts) + 1,
        )
        return Plan(goal, self.costs.num_stages, tuple(places))

    def plan_of(
        self, stage_counts: Sequence[int], placement: Placement, goal: Goal = "time"
    ) -> Plan:
        """The plan that somebody else has made, with what its places cost.

        Args:
            stage_counts: stages of each block.
            placement: which places have which blocks.
            goal: what the costs are of.
        """
        edges = (0, *accumulate(stage_counts))
        places = [
            PlannedPlace(edges[place.first : place.stop + 1], len(place.ranks), 0.0)
            for place in placement.places
        ]
        priced = [replace(place, cost=self._cost(place, goal)) for place in places]
        return Plan(goal, self.costs.num_stages, tuple(priced))

    def _cost(self, place: PlannedPlace, goal: Goal) -> float:
        if goal == "memory":
            return self.place_bytes(place)
        replicas = place.replicas
        seconds = sum(self.block_seconds(*block, replicas)[0] for block in place.blocks)
        return seconds + self.transfer_seconds(place.edges[0], place.edges[-1], replicas)

    def share(self, replicas: int) -> int:
        """Samples of the replica that has most of them."""
        return len(own_samples(self.costs.batch_size, 0, replicas))

    def block_seconds(self, first: int, stop: int, replicas: int) -> tuple[float, float]:
        """Time of a block; that of a place's blocks adds up."""
        seconds = self.costs.block_times(first, stop, self.share(replicas)).total
        return seconds + self.all_reduce_seconds(first, stop, replicas), 0.0

    def all_reduce_seconds(self, first: int, stop: int, replicas: int) -> float:
        """Summing a block's gradients over its replicas."""
        gradients = GRADIENT_BYTES * self.costs.block_parameters(first, stop)
        return self.transfer.all_reduce_seconds(gradients, replicas)

    def transfer_seconds(self, first: int, stop: int, replicas: int) -> float:  # noqa: ARG002
        """Sending a place's features on; the last one keeps them."""
        return self.transfer.seconds(self.sent_bytes(stop, replicas))

    def sent_bytes(self, stop: int, replicas: int) -> float:
        """Features that one device of a place sends on for a batch."""
        if stop == self.costs.num_stages:
            return 0.0
        return self.wire_share * self.costs.features_bytes(stop, self.share(replicas))

    def block_memory(self, first: int, stop: int, replicas: int) -> tuple[float, float]:
        """Bytes of a block: weights and optimizer state add up, one block works at a time."""
        resident = self.costs.resident_bytes(self.costs.block_parameters(first, stop))
        return resident, self.costs.working_bytes(first, stop, self.share(replicas))

    def buffer_bytes(self, first: int, stop: int, replicas: int) -> float:
        """What a place holds for its neighbours: features that come in, and that wait to go."""
        share = self.share(replicas)
        waiting = self.costs.input_bytes(first, share) if first > 0 else 0.0
        if stop < self.costs.num_stages:
            waiting += self.costs.features_bytes(stop, share)
        # One batch of each is at work and counted with the activations.
        return (self.queue_depth - 1) * waiting

    def memory(self, plan: Plan) -> float:
        """Bytes of the largest device."""
        return max(self.place_bytes(place) for place in plan.places)

    def place_bytes(self, place: PlannedPlace) -> float:
        """Bytes of one of a place's devices."""
        parts = [self.block_memory(*block, place.replicas) for block in place.blocks]
        buffers = self.buffer_bytes(place.edges[0], place.edges[-1], place.replicas)
        return sum(part[0] for part in parts) + max(part[1] for part in parts) + buffers

    def _where_allowed(
        self, cost: Callable[[int, int, int], tuple[float, float]], *, whole: bool
    ) -> Callable[[int, int, int], tuple[float, float]]:
        """The cost of blocks that are allowed; of others it is infinite.

        Settled cuts allow what lies between two of them; ``whole`` a single block of everything.
        """
        num_stages = self.costs.num_stages
        allowed = None if self.cuts is None else set(pairwise((0, *self.cuts, num_stages)))
        whole = whole or num_stages == 1

        def where_allowed(first: int, stop: int, replicas: int) -> tuple[float, float]:
            block = (first, stop)
            if not whole and block == (0, num_stages):
                return float("inf"), 0.0
            if allowed is not None and block not in allowed:
                return float("inf"), 0.0
            return cost(first, stop, replicas)

        return where_allowed
