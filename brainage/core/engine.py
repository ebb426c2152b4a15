"""The engine for one device: moves tensors through the blocks and applies their losses.

An isolated rule (LFNN-l) runs block after block: forward, backward, update, release, then the next
block on the features computed *before* the update. No graph ever spans two blocks, so gradient
isolation is a property of the data flow, and the same order of operations on several devices
gives the same weights (docs/adr/0002-core.md). Other rules run all blocks forward and
then differentiate once.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from brainage.core.blocks import Block, BlockChain, BlockOutputs
from brainage.core.objectives import BlockLoss, Objective
from brainage.core.optim import set_learning_rate
from brainage.core.random import random_stream
from brainage.core.types import Batch

BlockParts = dict[str, Tensor]


class SingleDeviceEngine:
    """Trains a chain of blocks on one device.

    Args:
        chain: the blocks; moved to the device.
        objective: turns outputs into losses.
        optimizers: one for each block.
        device: where everything runs.
        seed: dropout depends on (seed, step, block) and on nothing drawn before.
        clip_norm: largest gradient norm of a block (isolated rules) or of the network (others).
    """

    def __init__(
        self,
        chain: BlockChain,
        objective: Objective,
        optimizers: Sequence[Optimizer],
        *,
        device: torch.device,
        seed: int,
        clip_norm: float | None = None,
    ) -> None:
        if len(optimizers) != len(chain):
            raise ValueError(f"{len(chain)} blocks need as many optimizers, got {len(optimizers)}")
        self.chain = chain.to(device)
        self.objective = objective
        self.optimizers = list(optimizers)
        self.device = device
        self.seed = seed
        self.clip_norm = clip_norm

    def train_step(self, batch: Batch, step: int, learning_rate: float) -> list[BlockParts]:
        """Update every block on one batch.

        Args:
            batch: inputs (B, ...) and targets (B,).
            step: number of the step over the whole run, from 0.
            learning_rate: of this step.

        Returns:
            For each block its losses, detached scalars.
        """
        batch = self._to_device(batch)
        self.chain.train()
        for optimizer in self.optimizers:
            set_learning_rate(optimizer, learning_rate)
        if self.objective.isolated:
            return self._isolated_step(batch, step)
        return self._joint_step(batch, step)

    def _isolated_step(self, batch: Batch, step: int) -> list[BlockParts]:
        reports = []
        inputs = batch.inputs
        for index, block in enumerate(self.chain):
            outputs = self._forward(block, inputs, step, index)
            inputs = outputs.features.detach()
            loss = self.objective.block_loss(index, outputs, batch.targets)
            assert loss.shared is None, "an isolated rule has no loss that crosses blocks"
            if loss.own is not None:
                loss.own.backward()  # type: ignore[no-untyped-call]
                self._clip(list(block.parameters()))
                self._update(self.optimizers[index])
            reports.append(_detached(loss))
            # The graph and its activations go before the next block builds its own.
            del outputs, loss
        return reports

    def _joint_step(self, batch: Batch, step: int) -> list[BlockParts]:
        reports = []
        shared: Tensor | None = None
        inputs = batch.inputs
        for index, block in enumerate(self.chain):
            outputs = self._forward(block, inputs, step, index)
            loss = self.objective.block_loss(index, outputs, batch.targets)
            if loss.own is not None:
                _add_own_gradients(block, loss.own)
            if loss.shared is not None:
                shared = loss.shared if shared is None else shared + loss.shared
            inputs = outputs.features
            reports.append(_detached(loss))
        assert shared is not None, "a rule that is not isolated has a loss of the network's output"
        shared.backward()  # type: ignore[no-untyped-call]
        self._clip(list(self.chain.parameters()))
        for optimizer in self.optimizers:
            self._update(optimizer)
        return reports

    def _forward(self, block: Block, inputs: Tensor, step: int, index: int) -> BlockOutputs:
        with random_stream(self.seed, "step", step, index):
            outputs: BlockOutputs = block(inputs)
        return outputs

    def _clip(self, parameters: list[torch.nn.Parameter]) -> None:
        if self.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(parameters, self.clip_norm)

    @staticmethod
    def _update(optimizer: Optimizer) -> None:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def predict(self, inputs: Tensor) -> list[Tensor | None]:
        """Output heads' outputs (B, C) of every block in evaluation mode; None without a head."""
        self.chain.eval()
        return [out.prediction_BC for out in self.chain.all_outputs(inputs.to(self.device))]

    def _to_device(self, batch: Batch) -> Batch:
        inputs, targets = batch
        return Batch(
            inputs.to(self.device, non_blocking=True), targets.to(self.device, non_blocking=True)
        )


def _add_own_gradients(block: Block, loss: Tensor) -> None:
    """Differentiate a block's own loss for that block's parameters alone.

    The graph is kept, because the network's loss still has to come back through it.
    """
    parameters = [p for p in block.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None:
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def _detached(loss: BlockLoss) -> BlockParts:
    return {name: value.detach() for name, value in loss.parts.items()}
