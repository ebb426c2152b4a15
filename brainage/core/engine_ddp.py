"""Data parallelism: every rank trains the whole network on its share of each batch.

Works for every rule. Where one backward pass crosses the network, a block's gradients are sent as
soon as they are complete, while the backward pass of the blocks before it goes on.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from brainage.core.blocks import BlockChain
from brainage.core.engine import Moment, SingleDeviceEngine
from brainage.core.objectives import BlockLoss, Objective
from brainage.core.placement import own_samples
from brainage.core.ranks import ProcessRanks
from brainage.core.replicas import GradientSum, PendingSum, share_buffers, trained_parameters
from brainage.core.training_config import EngineConfig
from brainage.core.types import Batch


class DataParallelEngine(SingleDeviceEngine):
    """Trains all blocks on this rank's samples.

    Gradients are those of the whole batch but for rounding, unless samples of a batch are compared
    with one another (batch normalisation, leaders chosen by batch, similarity matching): then a
    rank compares its own.

    Args:
        chain: all blocks.
        objective: any rule.
        optimizers: one for each block.
        ranks: the processes that train together.
        device: of this rank.
        seed: as on a single device.
        clip_norm: as on a single device.
        config: how steps are carried out.
    """

    def __init__(
        self,
        chain: BlockChain,
        objective: Objective,
        optimizers: Sequence[Optimizer],
        ranks: ProcessRanks,
        *,
        device: torch.device,
        seed: int,
        clip_norm: float | None = None,
        config: EngineConfig | None = None,
    ) -> None:
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
        self.replica = ranks.rank
        self._sum = GradientSum(None)
        self._parameters = [trained_parameters(block) for block in self.chain]
        self._missing: list[int] = []
        self._pending: dict[int, PendingSum] = {}
        if objective.rule.scope == "network":
            for index, parameters in enumerate(self._parameters):
                for parameter in parameters:
                    hook = self._counter(index)
                    parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]

    def own_samples(self, num_samples: int) -> range:
        """Samples of a batch that this rank works on."""
        return own_samples(num_samples, self.ranks.rank, self.ranks.world_size)

    def settle(self) -> None:
        """All ranks take over the first one's running statistics and remembered losses."""
        share_buffers([*self.chain, *self.averages], 0, None)

    def _network_step(self, batch: Batch, moment: Moment) -> list[BlockLoss]:
        # Gradients are complete after the last micro-batch alone: until then nothing is counted.
        self._missing = [len(each) for each in self._parameters] if moment.updates else []
        return super()._network_step(batch, moment)

    def _counter(self, index: int) -> Callable[[Tensor], None]:
        """A hook that starts a block's sum when the last of its gradients is there."""

        def count(_: Tensor) -> None:
            if not self._missing:
                return
            self._missing[index] -= 1
            self._begin_complete()

        return count

    def _begin_complete(self) -> None:
        """Start the sums of complete blocks from the last on, in one order on all ranks."""
        for index in reversed(range(len(self._parameters))):
            if index not in self._pending:
                if self._missing[index] > 0:
                    return
                self._begin(index)

    def _begin(self, index: int) -> None:
        if self._parameters[index]:
            self._pending[index] = self._sum.begin(self._parameters[index])

    def _sum_gradients(self, blocks: Sequence[int]) -> None:
        for index in reversed(blocks):
            if index not in self._pending:
                self._begin(index)
        for index in blocks:
            if (pending := self._pending.pop(index, None)) is not None:
                pending.finish()
        self._missing = []

    def _stream(self, moment: Moment, index: int) -> tuple[int | str, ...]:
        path = super()._stream(moment, index)
        return (*path, "replica", self.ranks.rank) if self.ranks.rank else path
