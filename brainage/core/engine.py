"""The engine for one device: moves tensors through the blocks and applies their losses.

A rule whose losses stay in their block (LFNN-l) runs block after block: forward, backward, update,
release, then the next block on the features computed *before* the update. No graph ever spans two
blocks, so gradient isolation is a property of the data flow, and the same order of operations on
several devices gives the same weights (docs/adr/0002-core.md). Rules with a loss of the
whole network run all blocks forward and then differentiate once. Direct feedback alignment lies
between: graphs end at block boundaries, but a block waits for the network's error.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

from brainage.core.blocks import Block, BlockChain, BlockOutputs
from brainage.core.forward_forward import class_scores, contrast, wrong_labels
from brainage.core.objectives import BlockLoss, Objective
from brainage.core.optim import set_learning_rate
from brainage.core.random import random_stream
from brainage.core.training_config import EngineConfig
from brainage.core.types import Batch

BlockParts = dict[str, Tensor]


@dataclass(frozen=True)
class _Moment:
    """Where training stands, and which part of a batch is at hand.

    ``share``: of the batch's samples that are in this part. ``updates``: whether the weights are
    updated after it, as they are after the last part of a batch.
    """

    step: int
    progress: float
    part: int
    share: float
    updates: bool


class SingleDeviceEngine:
    """Trains a chain of blocks on one device.

    Args:
        chain: the blocks; moved to the device.
        objective: turns outputs into losses.
        optimizers: one for each block.
        device: where everything runs.
        seed: dropout depends on (seed, step, block) and on nothing drawn before.
        clip_norm: largest gradient norm of a block (isolated rules) or of the network (others).
        config: how steps are carried out.
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
        config: EngineConfig | None = None,
    ) -> None:
        if len(optimizers) != len(chain):
            raise ValueError(f"{len(chain)} blocks need as many optimizers, got {len(optimizers)}")
        self.config = config or EngineConfig()
        self.chain = chain.to(device)
        self.objective = objective
        self.optimizers = list(optimizers)
        self.device = device
        self.seed = seed
        self.clip_norm = clip_norm
        if self.config.channels_last:
            _use_channels_last(self.chain)
        self.averages: list[AveragedModel] = []
        if self.config.ema_decay is not None:
            rule = get_ema_multi_avg_fn(self.config.ema_decay)  # type: ignore[no-untyped-call]
            self.averages = [AveragedModel(block, multi_avg_fn=rule) for block in self.chain]
        if self.config.compile_blocks:
            for block in self.chain:
                block.compile()

    @property
    def answering_chain(self) -> BlockChain:
        """The network that predicts: with averaged weights where they are kept."""
        if not self.averages:
            return self.chain
        blocks = [average.module for average in self.averages]
        return BlockChain([block for block in blocks if isinstance(block, Block)])

    def end_epoch(self) -> None:
        """Close an epoch, for rules that remember losses by epoch."""
        for block in self.chain:
            if block.history is not None:
                block.history.end_epoch()

    def train_step(
        self, batch: Batch, step: int, learning_rate: float, progress: float = 0.0
    ) -> list[BlockParts]:
        """Update every block on one batch.

        Args:
            batch: inputs (B, ...) and targets (B,).
            step: number of the step over the whole run, from 0.
            learning_rate: of this step.
            progress: share of training that is over, in [0, 1).

        Returns:
            For each block its losses, detached scalars; none for a block that did not train.
        """
        self.chain.train()
        for optimizer in self.optimizers:
            set_learning_rate(optimizer, learning_rate)
        reports = []
        for part, moment in self._parts(self._to_device(batch), step, progress):
            if self.objective.rule.scope == "network":
                losses = self._network_step(part, moment)
            elif self.objective.rule.scope == "feedback":
                losses = self._feedback_step(part, moment)
            else:
                losses = self._block_step(part, moment)
            reports.append([_record(loss, moment.share) for loss in losses])
        return reports[0] if len(reports) == 1 else _summed(reports)

    def _parts(self, batch: Batch, step: int, progress: float) -> Iterator[tuple[Batch, _Moment]]:
        """The batch in micro-batches; equal ones but for the last."""
        num_samples = len(batch.targets)
        size = -(-num_samples // self.config.micro_batches)
        inputs, targets = torch.split(batch.inputs, size), torch.split(batch.targets, size)
        wrong: Sequence[Tensor] = ()
        num_classes = self.objective.task.output_size
        if self.objective.rule.contrasts:
            with random_stream(self.seed, "contrast", step):
                wrong = torch.split(wrong_labels(batch.targets, num_classes), size)
        for part in range(len(targets)):
            micro = Batch(inputs[part], targets[part])
            if wrong:
                micro = contrast(micro, wrong[part], num_classes)
            share = len(targets[part]) / num_samples
            yield micro, _Moment(step, progress, part, share, part == len(targets) - 1)

    def _block_step(self, batch: Batch, moment: _Moment) -> list[BlockLoss]:
        """Every block by its own loss, updated before the next one begins."""
        losses = []
        inputs = batch.inputs
        active = self._active_block(moment)
        for index, block in enumerate(self.chain):
            if active is not None and index != active:
                losses.append(_NO_LOSS)
                if index < active:
                    inputs = _frozen_features(block, inputs, self._autocast())
                continue
            outputs = self._forward(block, inputs, moment, index)
            inputs = _across_boundary(outputs.features)
            loss = self._block_loss(index, block, outputs, batch, moment)
            assert loss.shared is None, "an isolated rule has no loss that crosses blocks"
            # Without a gradient: forward-forward in a block that has no parameter.
            if loss.own is not None and loss.own.requires_grad:
                _scaled(loss.own, moment.share).backward()  # type: ignore[no-untyped-call]
                self._update([index], moment)
            losses.append(_detached(loss))
            # The graph and its activations go before the next block builds its own.
            del outputs, loss
        return losses

    def _network_step(self, batch: Batch, moment: _Moment) -> list[BlockLoss]:
        """All blocks by the network's loss, and each by its own besides."""
        losses = []
        shared: Tensor | None = None
        inputs = batch.inputs
        for index, block in enumerate(self.chain):
            outputs = self._forward(block, inputs, moment, index)
            loss = self._block_loss(index, block, outputs, batch, moment)
            if loss.own is not None:
                _add_own_gradients(block, _scaled(loss.own, moment.share))
            if loss.leaders_BW is not None:
                _keep_for_leaders(outputs.features, loss.leaders_BW)
            if loss.shared is not None:
                shared = loss.shared if shared is None else shared + loss.shared
            inputs = outputs.features
            losses.append(_detached(loss))
        assert shared is not None, "a rule that is not isolated has a loss of the network's output"
        _scaled(shared, moment.share).backward()  # type: ignore[no-untyped-call]
        self._update(range(len(self.chain)), moment)
        return losses

    def _feedback_step(self, batch: Batch, moment: _Moment) -> list[BlockLoss]:
        """The output block by its loss, the others by that loss's error, projected."""
        losses = []
        own: list[Tensor] = []
        waiting: list[tuple[Block, Tensor]] = []
        inputs = batch.inputs
        for index, block in enumerate(self.chain):
            outputs = self._forward(block, inputs, moment, index)
            inputs = _across_boundary(outputs.features)
            loss = self._block_loss(index, block, outputs, batch, moment)
            if loss.own is not None:
                own.append(_scaled(loss.own, moment.share))
            if block.feedback is not None and outputs.features.requires_grad:
                waiting.append((block, outputs.features))
            losses.append(_detached(loss))
        assert outputs.prediction_BC is not None, "the output block has an output head"
        outputs.prediction_BC.retain_grad()
        # A hidden probe reads detached features, so this frees none of the waiting graphs.
        torch.autograd.backward(own)
        error_BC = outputs.prediction_BC.grad
        assert error_BC is not None
        for block, features in waiting:
            assert block.feedback is not None
            features.backward(block.feedback(error_BC, features))  # type: ignore[no-untyped-call]
        for index in range(len(self.chain)):
            self._update([index], moment)
        return losses

    def _active_block(self, moment: _Moment) -> int | None:
        """The only block that trains now, where blocks train one after the other."""
        if not self.objective.rule.sequential:
            return None
        # Phases begin at whole fractions, which a float may miss by its last bit.
        return min(int(moment.progress * len(self.chain) + 1e-9), len(self.chain) - 1)

    def _autocast(self) -> AbstractContextManager[object]:
        if self.config.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _forward(self, block: Block, inputs: Tensor, moment: _Moment, index: int) -> BlockOutputs:
        path: tuple[int | str, ...] = ("step", moment.step, index)
        if moment.part:
            path = (*path, moment.part)
        with random_stream(self.seed, *path), self._autocast():
            outputs: BlockOutputs
            if self.config.recompute_activations:
                outputs = checkpoint(
                    block,
                    inputs,
                    use_reentrant=False,
                    context_fn=lambda: (nullcontext(), _without_statistics(block)),
                )
            else:
                outputs = block(inputs)
        return outputs

    def _block_loss(
        self, index: int, block: Block, outputs: BlockOutputs, batch: Batch, moment: _Moment
    ) -> BlockLoss:
        return self.objective.block_loss(
            index, outputs, batch.targets, progress=moment.progress, history=block.history
        )

    def _update(self, blocks: Sequence[int], moment: _Moment) -> None:
        """Clip, step and clear the blocks' gradients, if the batch is complete."""
        if not moment.updates:
            return
        if self.clip_norm is not None:
            parameters = [p for k in blocks for p in self.chain.blocks[k].parameters()]
            torch.nn.utils.clip_grad_norm_(parameters, self.clip_norm)
        for index in blocks:
            self.optimizers[index].step()
            self.optimizers[index].zero_grad(set_to_none=True)
            if self.averages:
                self.averages[index].update_parameters(self.chain.blocks[index])

    @torch.no_grad()
    def predict(self, inputs: Tensor) -> list[Tensor | None]:
        """Outputs (B, C) of every block in evaluation mode; None for one that does not predict."""
        chain = self.answering_chain
        chain.eval()
        inputs = self._placed(inputs)
        with self._autocast():
            if self.objective.rule.contrasts:
                return list(class_scores(chain, inputs, self.objective.task.output_size))
            return [out.prediction_BC for out in chain.all_outputs(inputs)]

    def _to_device(self, batch: Batch) -> Batch:
        inputs, targets = batch
        return Batch(self._placed(inputs), targets.to(self.device, non_blocking=True))

    def _placed(self, inputs: Tensor) -> Tensor:
        inputs = inputs.to(self.device, non_blocking=True)
        layout = _CHANNELS_LAST.get(inputs.ndim)
        if self.config.channels_last and layout is not None:
            return inputs.contiguous(memory_format=layout)
        return inputs


_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def _use_channels_last(chain: BlockChain) -> None:
    """Lay out the weights of convolutions with channels innermost.

    A first convolution of one channel is in both layouts at once; strides that say which make its
    output, and so all that follows, come in the wanted one.
    """
    for parameter in chain.parameters():
        if (layout := _CHANNELS_LAST.get(parameter.ndim)) is not None:
            innermost = torch.empty(
                parameter.shape,
                dtype=parameter.dtype,
                device=parameter.device,
                memory_format=layout,
            )
            parameter.data = innermost.copy_(parameter.data)


@contextmanager
def _without_statistics(block: Block) -> Iterator[None]:
    """Leave running statistics alone: a recomputed forward pass has been counted already."""
    norms = [each for each in block.modules() if isinstance(each, _BatchNorm)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, num_batches) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, num_batches


_NO_LOSS = BlockLoss(None, None, {})


def _across_boundary(features: Tensor) -> Tensor:
    """Features as the next block receives them: values without their graph."""
    return features.detach()


def _scaled(loss: Tensor, share: float) -> Tensor:
    """The loss by its share of the batch; a whole batch's loss stays bit for bit what it is."""
    return loss if share == 1 else loss * share


@torch.no_grad()
def _frozen_features(
    block: Block, inputs: Tensor, precision: AbstractContextManager[object]
) -> Tensor:
    """Features of a block whose training is over, as they are when it predicts."""
    block.eval()
    with precision:
        features: Tensor = block.body(inputs)
    return features


def _add_own_gradients(block: Block, loss: Tensor) -> None:
    """Differentiate a block's own loss for that block's parameters alone.

    The graph is kept, because the network's loss still has to come back through it.
    """
    parameters = [p for p in block.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None:
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def _keep_for_leaders(features: Tensor, leaders_BW: Tensor) -> None:
    """From now on, let gradients pass the features (B, channels, ...) in leaders' channels only."""
    per_worker = features.shape[1] // leaders_BW.shape[1]
    mask = leaders_BW.repeat_interleave(per_worker, 1)
    mask = mask.reshape(*mask.shape, *[1] * (features.ndim - 2))
    features.register_hook(lambda gradient: gradient * mask)  # type: ignore[no-untyped-call]


def _detached(loss: BlockLoss) -> BlockLoss:
    """What the record needs of a loss, without its graph."""
    return BlockLoss(None, None, {name: value.detach() for name, value in loss.parts.items()})


def _record(loss: BlockLoss, share: float) -> BlockParts:
    return {name: _scaled(value, share) for name, value in loss.parts.items()}


def _summed(reports: Sequence[Sequence[BlockParts]]) -> list[BlockParts]:
    """Losses of a batch from those of its parts, each already weighted by its share."""
    blocks = zip(*reports, strict=True)
    return [
        {name: torch.stack([part[name] for part in parts]).sum(0) for name in parts[0]}
        for parts in blocks
    ]
