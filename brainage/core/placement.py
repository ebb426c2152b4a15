"""Which rank trains which blocks: places in a row, each of one rank or of several replicas.

A *place* holds consecutive blocks. Features travel from a place to the next and nothing travels
back. The ranks of one place are data-parallel replicas: they share out the samples of a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from brainage.core.config import FORBID_UNKNOWN, require


@dataclass(frozen=True, kw_only=True)
class ParallelConfig:
    """How several devices share one training run; without effect on a single one."""

    __pydantic_config__ = FORBID_UNKNOWN

    engine: Literal["auto", "blocks", "ddp"] = "auto"
    """``blocks``: every device trains blocks of its own. ``ddp``: every device trains the whole
    network on a share of the batch. ``auto``: blocks where the rule is isolated, else ddp."""
    blocks_per_place: tuple[int, ...] | None = None
    """Blocks of each place, first to last, e.g. ``[1, 3]``; null spreads them evenly."""
    replicas: tuple[int, ...] | None = None
    """Devices of each place, which share out the samples of a batch; null spreads them evenly."""
    queue_depth: int = 2
    """Batches of features that may wait between two places."""
    transport: Literal["exact", "bfloat16"] = "exact"
    """``exact`` sends features as they are, ``bfloat16`` at half the size and rounded."""
    timeout_seconds: float = 600.0
    """A rank that waits longer for another one ends the run."""
    max_restarts: int = 0
    """How often ``--devices`` starts again from the last checkpoint when a rank has died."""

    def __post_init__(self) -> None:
        for field in ("blocks_per_place", "replicas"):
            counts = getattr(self, field)
            valid = counts is None or (len(counts) > 0 and min(counts) >= 1)
            require(valid, field, "numbers of at least 1", counts)
        require(self.queue_depth >= 1, "queue_depth", "at least 1", self.queue_depth)
        require(self.timeout_seconds > 0, "timeout_seconds", "above 0", self.timeout_seconds)
        require(self.max_restarts >= 0, "max_restarts", "0 or more", self.max_restarts)


@dataclass(frozen=True)
class Place:
    """One place: blocks ``first`` to ``stop - 1`` (from 0) on these ranks."""

    first: int
    stop: int
    ranks: tuple[int, ...]

    def __contains__(self, rank: int) -> bool:
        return rank in self.ranks


@dataclass(frozen=True)
class Placement:
    """Places in the order of their blocks; rank 0 belongs to the first.

    Args:
        blocks_per_place: consecutive blocks of each.
        replicas: ranks of each.
    """

    blocks_per_place: tuple[int, ...]
    replicas: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.blocks_per_place) != len(self.replicas) or not self.replicas:
            raise ValueError(
                "parallel: expected as many replicas as blocks_per_place, got "
                f"{list(self.replicas)} for {list(self.blocks_per_place)}"
            )

    @property
    def num_blocks(self) -> int:
        """K."""
        return sum(self.blocks_per_place)

    @property
    def world_size(self) -> int:
        """Ranks in all."""
        return sum(self.replicas)

    @property
    def places(self) -> list[Place]:
        """First to last."""
        stops = list(accumulate(self.blocks_per_place))
        ends = list(accumulate(self.replicas))
        return [
            Place(stop - blocks, stop, tuple(range(end - ranks, end)))
            for stop, blocks, end, ranks in zip(
                stops, self.blocks_per_place, ends, self.replicas, strict=True
            )
        ]

    def place_of(self, rank: int) -> int:
        """Index of the place that a rank belongs to."""
        return next(index for index, place in enumerate(self.places) if rank in place)


def settle_placement(config: ParallelConfig, num_blocks: int, world_size: int) -> Placement:
    """Share out blocks and devices as configured, evenly where nothing is said.

    With more devices than blocks, places get replicas, the first ones more; which places need them
    most is what ``brainage plan`` measures.

    Raises:
        ValueError: if the numbers do not add up.
    """
    replicas = config.replicas
    blocks = config.blocks_per_place
    num_places = len(blocks or replicas or ()) or min(num_blocks, world_size)
    if blocks is None:
        if num_places > num_blocks:
            raise ValueError(
                f"parallel.replicas: expected at most {num_blocks} places, as many as blocks, got "
                f"{num_places}"
            )
        blocks = spread(num_blocks, num_places)
    if replicas is None:
        if num_places > world_size:
            raise ValueError(
                f"parallel.blocks_per_place: {num_places} places need as many devices, got "
                f"{world_size}"
            )
        replicas = spread(world_size, num_places)
    if sum(blocks) != num_blocks:
        raise ValueError(
            f"parallel.blocks_per_place: expected {num_blocks} blocks in all (blocks.num_blocks), "
            f"got {list(blocks)}"
        )
    if sum(replicas) != world_size:
        raise ValueError(
            f"parallel.replicas: expected {world_size} devices in all, got {list(replicas)}"
        )
    return Placement(tuple(blocks), tuple(replicas))


def spread(total: int, parts: int) -> tuple[int, ...]:
    """Share out a number evenly, the first parts taking what is left over."""
    share, rest = divmod(total, parts)
    return tuple(share + (index < rest) for index in range(parts))


def own_samples(num_samples: int, replica: int, num_replicas: int) -> range:
    """Samples of a batch that fall to one of its place's replicas, consecutive and in order.

    The first replica has a sample whenever there is one; with fewer samples than replicas some have
    none.
    """
    edges = [-(-num_samples * each // num_replicas) for each in (replica, replica + 1)]
    return range(*edges)


@dataclass(frozen=True)
class Piece:
    """Samples ``start`` to ``stop - 1`` of what a rank holds, which go to or come from a peer."""

    peer: int
    start: int
    stop: int


def pieces(num_samples: int, mine: range, peers: Sequence[int]) -> list[Piece]:
    """Which of a rank's samples each rank of a neighbouring place holds.

    Args:
        num_samples: of the whole batch.
        mine: samples of this rank.
        peers: ranks of the neighbouring place, in order.

    Returns:
        Pieces with positions that count from the first of ``mine``; without empty ones.
    """
    found = []
    for replica, peer in enumerate(peers):
        theirs = own_samples(num_samples, replica, len(peers))
        start, stop = max(mine.start, theirs.start), min(mine.stop, theirs.stop)
        if start < stop:
            found.append(Piece(peer, start - mine.start, stop - mine.start))
    return found
