"""What a network costs on one device, stage by stage, and what blocks made of its stages cost.

Times are of one device that does nothing else. Sample counts between one and a whole batch lie on
the line through the two that were measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from brainage.core.measure import GRADIENT_BYTES, StageMemory, activation_bytes

PARAMETER_BYTES = 4


@dataclass(frozen=True)
class Timed:
    """Seconds of some work for 1 to a batch of samples."""

    fixed: float
    per_sample: float

    def at(self, num_samples: int) -> float:
        """Seconds for so many samples; nothing to do takes no time."""
        return self.fixed + self.per_sample * num_samples if num_samples else 0.0


def timed(one: float, whole: float, batch_size: int) -> Timed:
    """The line through a measurement with one sample and one with a batch.

    It may fall: kernels are chosen by size, and those for one sample can be slower than those for
    two.
    """
    if batch_size == 1:
        return Timed(0.0, whole)
    per_sample = (whole - one) / (batch_size - 1)
    return Timed(one - per_sample, per_sample)


@dataclass(frozen=True)
class StageCosts:
    """One stage of the backbone.

    ``backward_as_first``: where it is a block's first, whose input gets no gradient. ``update``:
    seconds of its share of an optimizer step. ``memory``: of a whole batch.
    """

    forward: Timed
    backward: Timed
    backward_as_first: Timed
    update: float
    memory: StageMemory


@dataclass(frozen=True)
class HeadCosts:
    """The heads of a block that ends behind one stage, with their losses."""

    forward: Timed
    backward: Timed
    update: float
    memory: StageMemory


@dataclass(frozen=True)
class BlockTimes:
    """Seconds of one block for one batch, or for a replica's share of it."""

    forward: float
    head_forward: float
    backward: float
    head_backward: float
    update: float

    @property
    def before_send(self) -> float:
        """Until the features can be sent on."""
        return self.forward + self.head_forward

    @property
    def after_send(self) -> float:
        """From then until the block is done with the batch."""
        return self.head_backward + self.backward + self.update

    @property
    def total(self) -> float:
        """All of it."""
        return self.before_send + self.after_send


@dataclass(frozen=True)
class NetworkCosts:
    """Every stage, the heads behind each, and back-propagation's head behind the last.

    ``heads[i]`` are those of a block that ends with stage i. ``state_bytes``: what the optimizer
    keeps for one parameter.
    """

    stages: tuple[StageCosts, ...]
    heads: tuple[HeadCosts, ...]
    output: HeadCosts
    batch_size: int
    state_bytes: int

    @property
    def num_stages(self) -> int:
        """Stages of the backbone."""
        return len(self.stages)

    def parameters(self, first: int, stop: int) -> int:
        """Of stages ``first`` to ``stop - 1``, without heads."""
        return sum(stage.memory.num_parameters for stage in self.stages[first:stop])

    def features_bytes(self, stop: int, num_samples: int) -> float:
        """What goes from stage ``stop - 1`` to the next one, for so many samples."""
        return self.stages[stop - 1].memory.output_bytes * num_samples / self.batch_size

    def input_bytes(self, first: int, num_samples: int) -> float:
        """What stage ``first`` takes, for so many samples."""
        return self.stages[first].memory.input_bytes * num_samples / self.batch_size

    def block_times(self, first: int, stop: int, num_samples: int) -> BlockTimes:
        """Stages ``first`` to ``stop - 1`` as one isolated block with its heads."""
        head = self.heads[stop - 1]
        return self._times(first, stop, num_samples, head, isolated=True)

    def network_times(self, num_samples: int) -> BlockTimes:
        """The whole network under back-propagation."""
        return self._times(0, self.num_stages, num_samples, self.output, isolated=True)

    def pipeline_times(self, first: int, stop: int, num_samples: int) -> BlockTimes:
        """Stages ``first`` to ``stop - 1`` as a part of back-propagation through all of them."""
        head = self.output if stop == self.num_stages else None
        return self._times(first, stop, num_samples, head, isolated=first == 0)

    def _times(
        self, first: int, stop: int, num_samples: int, head: HeadCosts | None, *, isolated: bool
    ) -> BlockTimes:
        stages = self.stages[first:stop]
        backward = sum(stage.backward.at(num_samples) for stage in stages)
        if isolated:
            begins = stages[0]
            backward += begins.backward_as_first.at(num_samples) - begins.backward.at(num_samples)
        return BlockTimes(
            forward=sum(stage.forward.at(num_samples) for stage in stages),
            head_forward=head.forward.at(num_samples) if head else 0.0,
            backward=backward,
            head_backward=head.backward.at(num_samples) if head else 0.0,
            update=sum(stage.update for stage in stages) + (head.update if head else 0.0),
        )

    def block_parameters(self, first: int, stop: int) -> int:
        """Of a block, heads included."""
        return self.parameters(first, stop) + self.heads[stop - 1].memory.num_parameters

    def network_parameters(self) -> int:
        """Of the network under back-propagation."""
        return self.parameters(0, self.num_stages) + self.output.memory.num_parameters

    def resident_bytes(self, num_parameters: int) -> int:
        """Weights and optimizer state of so many parameters."""
        return (PARAMETER_BYTES + self.state_bytes) * num_parameters

    def activations(self, first: int, stop: int, num_samples: int, head: HeadCosts | None) -> float:
        """What is held for the backward pass of some stages and the head behind them, in bytes."""
        held = activation_bytes(memories(self.stages[first:stop]))
        held += head.memory.saved_bytes if head else 0
        return held * num_samples / self.batch_size

    def working_bytes(self, first: int, stop: int, num_samples: int) -> float:
        """What one block needs while it works: activations and gradients."""
        gradients = GRADIENT_BYTES * self.block_parameters(first, stop)
        return self.activations(first, stop, num_samples, self.heads[stop - 1]) + gradients


def memories(stages: Sequence[StageCosts]) -> list[StageMemory]:
    """What was counted of each stage."""
    return [stage.memory for stage in stages]


@dataclass(frozen=True)
class TransferCosts:
    """Sending between two processes: ``latency_seconds`` a message, ``seconds_per_byte`` on top.

    ``source`` says where the numbers are from, e.g. ``gloo, measured``.
    """

    latency_seconds: float
    seconds_per_byte: float
    source: str

    def seconds(self, num_bytes: float) -> float:
        """One message of so many bytes; nothing to send takes no time."""
        return self.latency_seconds + self.seconds_per_byte * num_bytes if num_bytes else 0.0

    def all_reduce_seconds(self, num_bytes: float, num_ranks: int) -> float:
        """Summing so many bytes over ranks in a ring: 2(r-1) messages of 1/r of them."""
        messages = 2 * (num_ranks - 1)
        return messages * self.seconds(num_bytes / num_ranks)
