"""Training steps of several engines on a machine in miniature: blocks, DDP, 1F1B.

All times are in seconds of a device that does nothing else. What comes out is projected.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from brainage.core.plan.simulation import (
    Barrier,
    Give,
    Machine,
    Meet,
    Program,
    SharedCores,
    Take,
    Tokens,
    Work,
)

STEPS_TO_WATCH = 24
"""Steps over which the time is taken, when the pipeline is full and before it runs dry."""


@dataclass(frozen=True)
class RankLoad:
    """What one device does for one batch: up to the moment it can send, and after it."""

    before_send: float
    after_send: float


@dataclass(frozen=True)
class PlaceLoad:
    """One place: its replicas, what each sends on, and what they sum up among them."""

    ranks: tuple[RankLoad, ...]
    transfer: float = 0.0
    all_reduce: float = 0.0


@dataclass(frozen=True)
class StageLoad:
    """One stage of a pipeline that back-propagates, for one micro-batch; the update is a batch's.

    ``transfer``: of features to the next stage, and of their gradient back.
    """

    forward: float
    backward: float
    update: float = 0.0
    transfer: float = 0.0


@dataclass(frozen=True)
class Steady:
    """Seconds between two steps, and what the first one takes beyond that."""

    step_seconds: float
    fill_seconds: float


@dataclass(frozen=True)
class Surroundings:
    """Where the devices are.

    ``shared``: cores that all processes share; None gives each its own device. ``wire_threads``:
    cores that a transfer keeps busy, as copying through memory does.
    """

    shared: SharedCores | None = None
    wire_threads: float = 0.0


ALONE = Surroundings()


class _Link:
    """From one device to all of the next place, as ``core/links.py`` sends.

    ``depth`` messages may be under way, and a receiver has as many buffers: it computes on one,
    the others fill meanwhile.
    """

    def __init__(self, receivers: int, depth: int) -> None:
        self.outbox = Tokens()
        self.under_way = Tokens(depth)
        self.buffers = [Tokens(depth) for _ in range(receivers)]
        self.arrived = [Tokens() for _ in range(receivers)]

    def program(self, messages: int, transfer: Work) -> Program:
        for _ in range(messages):
            yield Take(self.outbox)
            for buffer in self.buffers:
                yield Take(buffer)
            yield transfer
            yield Give(self.under_way)
            for arrived in self.arrived:
                yield Give(arrived)


def simulate_blocks(
    places: Sequence[PlaceLoad], queue_depth: int, around: Surroundings = ALONE
) -> Steady:
    """Blocks on their devices: features forward only, every place at a batch of its own.

    A device takes features when they are there, sends its own on right after the forward pass and
    waits only where ``queue_depth`` of them are under way already.
    """
    machine = Machine(around.shared)
    # How far the first place can run ahead; where cores are shared, its doing so slows the last.
    ahead = (2 * queue_depth + 1) * (len(places) - 1) + 1
    skipped, after = (ahead, ahead) if around.shared else (2 * len(places) + queue_depth, 0)
    steps = skipped + STEPS_TO_WATCH + after
    links = [
        [_Link(len(behind.ranks), queue_depth) for _ in place.ranks]
        for place, behind in pairwise(places)
    ]
    finished: list[float] = []
    for index, place in enumerate(places):
        barrier = Barrier(len(place.ranks))
        incoming = links[index - 1] if index > 0 else []
        for replica, load in enumerate(place.ranks):
            outgoing = links[index][replica] if index < len(links) else None
            watched = finished if index == len(places) - 1 and replica == 0 else []
            rank = _Rank(machine, replica, place, load, incoming, outgoing, barrier, around)
            machine.start(rank.program(steps, watched))
            if outgoing is not None:
                wire = Work(place.transfer, around.wire_threads)
                machine.start(outgoing.program(steps, wire))
    machine.run()
    return _steady(finished[: steps - after], skipped)


@dataclass
class _Rank:
    """One device of a place."""

    machine: Machine
    replica: int
    place: PlaceLoad
    load: RankLoad
    incoming: Sequence[_Link]
    outgoing: _Link | None
    barrier: Barrier
    around: Surroundings

    def program(self, steps: int, finished: list[float]) -> Program:
        for _ in range(steps):
            for link in self.incoming:
                yield Take(link.arrived[self.replica])
            yield Work(self.load.before_send)
            if self.outgoing is not None:
                yield Take(self.outgoing.under_way)
                yield Give(self.outgoing.outbox)
            yield Work(self.load.after_send)
            if len(self.place.ranks) > 1:
                yield Meet(self.barrier)
                yield Work(self.place.all_reduce, self.around.wire_threads)
            for link in self.incoming:
                yield Give(link.buffers[self.replica])
            finished.append(self.machine.now)


def simulate_ddp(
    ranks: Sequence[float], all_reduce: float, update: float, around: Surroundings = ALONE
) -> Steady:
    """The whole network on every device, for a share of the batch each.

    Args:
        ranks: forward and backward time of each device's share.
        all_reduce: of all gradients, after the backward pass.
        update: of all weights, on every device.
        around: where the devices are.
    """
    machine = Machine(around.shared)
    barrier = Barrier(len(ranks))
    finished: list[float] = []

    def program(seconds: float, ends: list[float]) -> Program:
        for _ in range(3):
            yield Work(seconds)
            yield Meet(barrier)
            yield Work(all_reduce, around.wire_threads)
            yield Work(update)
            ends.append(machine.now)

    for index, seconds in enumerate(ranks):
        machine.start(program(seconds, finished if index == 0 else []))
    machine.run()
    return _steady(finished, 1)


def simulate_1f1b(
    stages: Sequence[StageLoad], micro_batches: int, around: Surroundings = ALONE
) -> Steady:
    """Pipelined back-propagation: one forward, one backward, drained before every update."""
    machine = Machine(around.shared)
    steps, last = 3, len(stages) - 1
    ways = ("forward", "backward")
    links = {(index, way): _Wire() for index, way in product(range(last), ways)}
    finished: list[float] = []

    def program(index: int, ends: list[float]) -> Program:
        stage = stages[index]
        for _ in range(steps):
            for kind in order_1f1b(index, len(stages), micro_batches):
                source = index - 1 if kind == "forward" else index
                target = index if kind == "forward" else index - 1
                if (source, kind) in links:
                    yield Take(links[source, kind].arrived)
                yield Work(stage.forward if kind == "forward" else stage.backward)
                if (target, kind) in links:
                    yield Give(links[target, kind].outbox)
            yield Work(stage.update)
            ends.append(machine.now)

    for index in range(len(stages)):
        machine.start(program(index, finished if index == 0 else []))
    for (index, _), wire in links.items():
        transfer = Work(stages[index].transfer, around.wire_threads)
        machine.start(wire.program(steps * micro_batches, transfer))
    machine.run()
    return _steady(finished, 1)


def order_1f1b(stage: int, num_stages: int, micro_batches: int) -> list[str]:
    """Passes of one stage: forwards that fill the pipeline, then one backward to each forward."""
    ahead = min(num_stages - 1 - stage, micro_batches)
    pairs = micro_batches - ahead
    return ["forward"] * ahead + ["forward", "backward"] * pairs + ["backward"] * ahead


class _Wire:
    """A link whose queue has no end: 1F1B bounds itself."""

    def __init__(self) -> None:
        self.outbox = Tokens()
        self.arrived = Tokens()

    def program(self, messages: int, transfer: Work) -> Program:
        for _ in range(messages):
            yield Take(self.outbox)
            yield transfer
            yield Give(self.arrived)


def _steady(finished: Sequence[float], skipped: int) -> Steady:
    """The mean step after the first ``skipped``."""
    step = (finished[-1] - finished[skipped - 1]) / (len(finished) - skipped)
    return Steady(step, finished[0] - step)
