"""The best way to lay a chain of stages over devices: exact, by dynamic programming.

A *place* is one device or several replicas; it holds consecutive blocks, and blocks hold
consecutive stages. The slowest (or largest) place decides.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

BlockCost = Callable[[int, int, int], tuple[float, float]]
"""Cost of a block of stages ``first`` to ``stop - 1`` on so many replicas, in two parts: one that
adds up over the blocks of a place, and one of which the largest block's counts."""
PlaceCost = Callable[[int, int, int], float]
"""What a place of stages ``first`` to ``stop - 1`` on so many replicas costs beside its blocks."""


@dataclass(frozen=True)
class PlannedPlace:
    """Blocks between neighbouring ``edges`` (numbers of stages) on ``replicas`` devices."""

    edges: tuple[int, ...]
    replicas: int
    cost: float

    @property
    def num_blocks(self) -> int:
        """Blocks of the place."""
        return len(self.edges) - 1

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """First stage of each block, and the one behind its last."""
        return list(pairwise(self.edges))


@dataclass(frozen=True)
class _Way:
    """Places up to some stage; ``worst`` and ``total`` are of their costs."""

    worst: float
    total: float
    before: "_Way | None" = None
    place: PlannedPlace | None = None

    def followed_by(self, place: PlannedPlace) -> "_Way":
        worst = max(self.worst, place.cost)
        return _Way(worst, self.total + place.cost, self, place)

    @property
    def rank(self) -> tuple[float, float]:
        return self.worst, self.total

    def places(self) -> list[PlannedPlace]:
        if self.before is None or self.place is None:
            return []
        return [*self.before.places(), self.place]


def best_places(
    num_stages: int,
    num_devices: int,
    *,
    block_cost: BlockCost,
    place_cost: PlaceCost,
    max_replicas: int = 1,
    num_blocks: int | None = None,
) -> list[PlannedPlace]:
    """Places whose most costly one costs as little as possible, on at most ``num_devices`` devices.

    Among those with the same, fewest devices are taken.

    Args:
        num_stages: stages to share out.
        num_devices: devices to use at most.
        block_cost: of one block; infinite for one that is not allowed.
        place_cost: what comes on top for a place.
        max_replicas: devices of one place at most.
        num_blocks: blocks in all; one for each place if None.

    Raises:
        ValueError: if there is no way to do it.

    Dynamic programming over (stages shared out, devices used, blocks made): what the places before
    a stage cost does not depend on those behind it.
    """
    problem = _Problem(num_stages, num_devices, block_cost, place_cost, num_blocks)
    ways: list[_Ways] = [{} for _ in range(num_stages + 1)]
    ways[0][0, 0] = _Way(0.0, 0.0)
    for first in range(num_stages):
        for replicas in range(1, min(max_replicas, num_devices) + 1):
            for place in problem.places_from(first, replicas):
                problem.extend(ways[first], ways[place.edges[-1]], place)
    final = [
        (way.worst, devices, way.total, way)
        for (devices, made), way in ways[num_stages].items()
        if made == (num_blocks or 0) and way.worst < float("inf")
    ]
    if not final:
        raise ValueError(
            f"{num_stages} stages cannot be laid over {num_devices} devices in "
            f"{num_blocks or 'as many'} blocks"
        )
    return min(final, key=lambda each: each[:3])[3].places()


_Ways = dict[tuple[int, int], _Way]  # by devices used and blocks made (0 where they do not matter)
_Front = list[tuple[float, float, tuple[int, ...]]]  # both parts of the blocks' costs, and edges


@dataclass(frozen=True)
class _Problem:
    """What is searched, as given to ``best_places``."""

    num_stages: int
    num_devices: int
    block_cost: BlockCost
    place_cost: PlaceCost
    num_blocks: int | None

    def extend(self, ways: _Ways, reached: _Ways, place: PlannedPlace) -> None:
        """Put a place behind every way that leads to its first stage."""
        made = place.num_blocks if self.num_blocks else 0
        for (devices, blocks), way in ways.items():
            key = (devices + place.replicas, blocks + made)
            if key[0] > self.num_devices or key[1] > (self.num_blocks or 0):
                continue
            longer = way.followed_by(place)
            if key not in reached or longer.rank < reached[key].rank:
                reached[key] = longer

    def places_from(self, first: int, replicas: int) -> Iterator[PlannedPlace]:
        """The best place of each length and number of blocks that starts with stage ``first``.

        The two parts of the blocks' costs go different ways, so all pairs are kept of which none
        is better in both.
        """
        most = 1 if self.num_blocks is None else self.num_blocks
        fronts: dict[tuple[int, int], _Front] = {(first, 0): [(0.0, 0.0, (first,))]}
        for stop in range(first + 1, self.num_stages + 1):
            on_top = self.place_cost(first, stop, replicas)
            starts = range(first, stop) if most > 1 else (first,)
            costs = {cut: self.block_cost(cut, stop, replicas) for cut in starts}
            for made in range(1, min(most, stop - first) + 1):
                kept = _not_worse_in_both(
                    [
                        (added + cost, max(peak, largest), (*edges, stop))
                        for cut, (cost, largest) in costs.items()
                        for added, peak, edges in fronts.get((cut, made - 1), ())
                    ]
                )
                fronts[stop, made] = kept
                added, peak, edges = min(kept, key=lambda each: each[0] + each[1])
                yield PlannedPlace(edges, replicas, added + peak + on_top)


def _not_worse_in_both(pairs: _Front) -> _Front:
    kept: _Front = []
    for each in sorted(pairs):
        if not kept or each[1] < kept[-1][1]:
            kept.append(each)
    return kept
