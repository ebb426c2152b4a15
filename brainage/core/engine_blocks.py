"""Blocks on several devices: every rank trains its own blocks, features travel forward only.

A rank receives features, runs its blocks on them as a single device would, and sends its last
features on right after the forward pass. Nothing travels back, so no rank ever waits for a later
one but for room in the queue between them, and the weights are those of one device: bit for bit
where every place has one rank (docs/adr/0007-several-devices.md).
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer

from brainage.core.blocks import BlockChain
from brainage.core.config import ObjectiveName
from brainage.core.engine import Moment, SingleDeviceEngine
from brainage.core.links import Receiver, Sender
from brainage.core.objectives import Objective
from brainage.core.placement import ParallelConfig, Placement, own_samples, pieces
from brainage.core.ranks import ProcessRanks
from brainage.core.replicas import GradientSum, share_buffers, trained_parameters
from brainage.core.rules import RULES, Rule
from brainage.core.training_config import EngineConfig


class BlocksEngine(SingleDeviceEngine):
    """Trains the blocks of one place.

    Args:
        chain: the blocks of this place, from ``own_blocks``.
        objective: an isolated rule.
        optimizers: one for each block of this place, in order.
        placement: who has which blocks.
        parallel: queues and transport.
        ranks: the processes that train together.
        device: of this rank.
        seed: as on a single device.
        clip_norm: largest gradient norm of a block.
        config: how steps are carried out.

    Raises:
        ValueError: if the rule's losses do not stay in their block.
    """

    def __init__(
        self,
        chain: BlockChain,
        objective: Objective,
        optimizers: Sequence[Optimizer],
        *,
        placement: Placement,
        parallel: ParallelConfig,
        ranks: ProcessRanks,
        device: torch.device,
        seed: int,
        clip_norm: float | None = None,
        config: EngineConfig | None = None,
    ) -> None:
        refuse_rule(objective.config.name)
        places = placement.places
        index = placement.place_of(ranks.rank)
        self.place = places[index]
        super().__init__(
            chain,
            objective,
            optimizers,
            device=device,
            seed=seed,
            clip_norm=clip_norm,
            config=config,
        )
        self.ranks = ranks
        self.first_block = self.place.first
        self.reads_inputs = index == 0
        self.replica = self.place.ranks.index(ranks.rank)
        self._before = places[index - 1].ranks if index > 0 else ()
        self._behind = places[index + 1].ranks if index + 1 < len(places) else ()
        depth = parallel.queue_depth
        dtype = torch.bfloat16 if parallel.transport == "bfloat16" else None
        self._receiver = Receiver(depth, device, self._before[0], dtype) if self._before else None
        told = self._behind if self.replica == 0 else ()
        self._sender = Sender(depth, dtype, told) if self._behind else None
        self._sum = self._replica_sum(placement)

    def _replica_sum(self, placement: Placement) -> GradientSum | None:
        """The group of this place's replicas. Every rank has to make every place's group."""
        own = None
        for place in placement.places:
            if len(place.ranks) > 1:
                group = dist.new_group(list(place.ranks))
                own = GradientSum(group) if self.ranks.rank in place else own
        return own

    def own_samples(self, num_samples: int) -> range:
        """Samples of a batch that this replica of its place works on."""
        return own_samples(num_samples, self.replica, len(self.place.ranks))

    def expect(self, batch_sizes: Sequence[int], *, training: bool = True) -> None:
        """Prepare to receive the features of these batches, in micro-batches when training."""
        if self._receiver is None:
            return
        counts = list(batch_sizes)
        if training:
            counts = [count for size in batch_sizes for _, count in self._micro_batches(size)]
        owned = [(count, self.own_samples(count)) for count in counts]
        self._receiver.expect(
            [pieces(count, own, self._before) for count, own in owned if len(own) > 0]
        )

    def settle(self) -> None:
        """Wait until the last features have left; replicas take over the first one's buffers."""
        if self._sender is not None:
            self._sender.flush()
        if self._sum is not None:
            share_buffers([*self.chain, *self.averages], self.place.ranks[0], self._sum.group)

    def _receive(self, inputs: Tensor, num_samples: int) -> Tensor:
        if self._receiver is None:
            return self._placed(inputs)
        own = self.own_samples(num_samples)
        if len(own) == 0:
            return torch.empty(0, device=self.device)
        return self._receiver.receive(pieces(num_samples, own, self._before))

    def _send(self, features: Tensor, num_samples: int) -> None:
        if self._sender is not None:
            own = self.own_samples(num_samples)
            self._sender.send(features, pieces(num_samples, own, self._behind))

    def _sum_gradients(self, blocks: Sequence[int]) -> None:
        if self._sum is None:
            return
        for index in blocks:
            if parameters := trained_parameters(self.chain.blocks[index]):
                self._sum.begin(parameters).finish()

    def _stream(self, moment: Moment, index: int) -> tuple[int | str, ...]:
        path = super()._stream(moment, index)
        return (*path, "replica", self.replica) if self.replica else path


def own_blocks(chain: BlockChain, placement: Placement, rank: int) -> BlockChain:
    """The blocks of a rank's place, with the modules of ``chain``."""
    place = placement.places[placement.place_of(rank)]
    return BlockChain(list(chain)[place.first : place.stop])


def trains_side_by_side(rule: Rule) -> bool:
    """Whether every block learns from its inputs and the targets alone, at the same time."""
    return rule.scope == "block" and not rule.sequential and not rule.contrasts


def refuse_rule(name: ObjectiveName) -> None:
    """Refuse rules that cannot train blocks on devices of their own.

    Raises:
        ValueError: if the rule's losses cross blocks, or its blocks do not train side by side.
    """
    if not trains_side_by_side(RULES[name]):
        raise ValueError(
            "parallel.engine: blocks on several devices need an isolated rule whose blocks train "
            f"at the same time (lfnn_l, dgl, predsim), got objective '{name}'; use ddp"
        )
