"""Pipelined back-propagation by ``torch.distributed.pipelining``: what blocks are compared with.

Not an engine for training: it steps the plain network by back-propagation through stages on several
ranks, with the same blocks, output head, loss and optimizer, so that its time can be measured.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributed.pipelining import PipelineStage
from torch.distributed.pipelining.schedules import Schedule1F1B, ScheduleGPipe

from brainage.core.blocks import Block, BlockChain
from brainage.core.optim import build_optimizer, set_learning_rate
from brainage.core.placement import Placement
from brainage.core.ranks import ProcessRanks
from brainage.core.tasks import Task
from brainage.core.training_config import OptimizerConfig
from brainage.core.types import Batch


class PipelineStepper:
    """One rank's stage of a network that back-propagates across ranks.

    Args:
        chain: the whole network of rule ``bp``, the same on every rank.
        task: gives the loss.
        optimizer: of every stage.
        placement: blocks of each rank; one rank a place.
        ranks: the processes.
        device: of this rank.
        num_micro_batches: m, into which a batch is split; it has to be a divisor.
    """

    def __init__(
        self,
        chain: BlockChain,
        task: Task,
        optimizer: OptimizerConfig,
        placement: Placement,
        ranks: ProcessRanks,
        *,
        device: torch.device,
        num_micro_batches: int,
    ) -> None:
        place = placement.places[ranks.rank]
        self.is_first = ranks.rank == 0
        self.is_last = ranks.rank == ranks.world_size - 1
        self.module = _Stage(list(chain)[place.first : place.stop]).to(device)
        self.optimizer = build_optimizer(self.module, optimizer)
        stage = PipelineStage(self.module, ranks.rank, ranks.world_size, device)
        # With fewer micro-batches than stages torch has no 1F1B, whose order is then GPipe's.
        kind = Schedule1F1B if num_micro_batches >= ranks.world_size else ScheduleGPipe
        self.schedule = kind(stage, num_micro_batches, loss_fn=_mean_loss(task))

    def train_step(self, batch: Batch, learning_rate: float) -> None:
        """Forward and backward of all micro-batches, then the update."""
        self.module.train()
        set_learning_rate(self.optimizer, learning_rate)
        inputs = (batch.inputs,) if self.is_first else ()
        if self.is_last:
            self.schedule.step(*inputs, target=batch.targets, losses=[])
        else:
            self.schedule.step(*inputs)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


class _Stage(nn.Module):
    """Consecutive blocks: inputs to features, or to predictions where the last has a head."""

    def __init__(self, blocks: list[Block]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, inputs: Tensor) -> Tensor:
        for block in self.blocks:
            outputs = block(inputs)
            inputs = outputs.features
        predicted: Tensor = inputs if outputs.prediction_BC is None else outputs.prediction_BC
        return predicted


def _mean_loss(task: Task) -> Callable[[Tensor, Tensor], Tensor]:
    def loss(prediction_BC: Tensor, targets_B: Tensor) -> Tensor:
        return task.prediction_loss(prediction_BC, targets_B).mean()

    return loss
