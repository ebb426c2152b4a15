"""What one device does in a training step: moves tensors through its blocks, applies their losses.

A rule whose losses stay in their block (LFNN-l) runs block after block: forward, backward, update,
release, then the next block on the features computed *before* the update. No graph ever spans two
blocks, so gradient isolation is a property of the data flow, and the same order of operations on
several devices gives the same weights (docs/adr/0002-core.md). Rules with a loss of the
whole network run all blocks forward and then differentiate once. Direct feedback alignment lies
between: graphs end at block boundaries, but a block waits for the network's error.

A single device has all blocks and all samples. The engines of several devices
(``engine_blocks``, ``engine_ddp``) are this one with some of the blocks or samples, and add what
has to be sent.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from brainage.core.blocks import Block, BlockChain, BlockOutputs
from brainage.core.forward_forward import class_scores, contrast, wrong_labels
from brainage.core.gradients import add_own_gradients, keep_for_leaders
from brainage.core.loss_reports import BlockParts, scaled, summed_parts, weighted_parts
from brainage.core.memory_layout import lay_out_gradients, use_channels_last, with_channels_last
from brainage.core.objectives import BlockLoss, Objective
from brainage.core.optim import set_learning_rate
from brainage.core.random import random_stream
from brainage.core.ranks import Alone, Ranks
from brainage.core.recompute import recomputed
from brainage.core.training_config import EngineConfig
from brainage.core.types import Batch


@dataclass(frozen=True)
class Moment:
    """Where training stands, and which part of a batch is at hand.

    ``share``: of the batch's samples that this device has in this part. ``num_samples``: in this
    part on all devices. ``updates``: whether the weights are updated after it, as they are after
    the last part of a batch.
    """

    step: int
    progress: float
    part: int
    share: float
    num_samples: int
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

    first_block = 0
    """Index in the whole network of the chain's first block."""
    replica = 0
    """Number of this device among those that have the same blocks."""
    reads_inputs = True
    """Whether the chain's first block is the network's, which reads the inputs."""

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
        self.ranks: Ranks = Alone()
        if self.config.channels_last:
            use_channels_last(self.chain)
        self.averages: list[AveragedModel] = []
        if self.config.ema_decay is not None:
            rule = get_ema_multi_avg_fn(self.config.ema_decay)  # type: ignore[no-untyped-call]
            self.averages = [AveragedModel(block, multi_avg_fn=rule) for block in self.chain]
        if self.config.compile_blocks:
            for block in self.chain:
                block.compile()

    @property
    def answering_chain(self) -> BlockChain:
        """The blocks that predict: with averaged weights where they are kept."""
        if not self.averages:
            return self.chain
        blocks = [average.module for average in self.averages]
        return BlockChain([block for block in blocks if isinstance(block, Block)])

    # What several devices do differently.

    def own_samples(self, num_samples: int) -> range:
        """Samples of a batch, or of a micro-batch, that this device works on; all of them here."""
        return range(num_samples)

    def expect(self, batch_sizes: Sequence[int], *, training: bool = True) -> None:
        """Hear how many samples the batches to come have, in order."""

    def settle(self) -> None:
        """Wait until nothing is under way to other devices, and agree where copies may differ."""

    def _receive(self, inputs: Tensor, num_samples: int) -> Tensor:  # noqa: ARG002
        """Inputs of the first own block for own samples; ``num_samples``: those of all devices."""
        return self._placed(inputs)

    def _send(self, features: Tensor, num_samples: int) -> None:
        """Hand the features of the last own block on to whoever has the next one."""

    def _sum_gradients(self, blocks: Sequence[int]) -> None:
        """Add up the gradients of these own blocks over the devices that have them too."""

    def _stream(self, moment: Moment, index: int) -> tuple[int | str, ...]:
        """What dropout depends on, beside the seed; ``index``: of the own block."""
        path: tuple[int | str, ...] = ("step", moment.step, self.first_block + index)
        return (*path, moment.part) if moment.part else path

    # The step.

    def end_epoch(self) -> None:
        """Close an epoch, for rules that remember losses by epoch."""
        for block in self.chain:
            if block.history is not None:
                block.history.end_epoch()

    def rows(self, num_samples: int, *, training: bool = True) -> list[int]:
        """Samples of a batch whose inputs this device reads, for ``train_step`` or ``predict``."""
        if not self.reads_inputs:
            return []
        if not training:
            return list(self.own_samples(num_samples))
        return [
            start + row
            for start, count in self._micro_batches(num_samples)
            for row in self.own_samples(count)
        ]

    def train_step(
        self, batch: Batch, step: int, learning_rate: float, progress: float = 0.0
    ) -> list[BlockParts]:
        """Update every own block on one batch.

        Args:
            batch: inputs (B, ...), of the samples in ``rows`` alone, and targets (B,).
            step: number of the step over the whole run, from 0.
            learning_rate: of this step.
            progress: share of training that is over, in [0, 1).

        Returns:
            For each own block its losses; none for a block that did not train.
        """
        self.chain.train()
        for optimizer in self.optimizers:
            set_learning_rate(optimizer, learning_rate)
        inputs, targets = batch
        targets = targets.to(self.device, non_blocking=True)
        reports = []
        for part, moment in self._parts(Batch(inputs, targets), step, progress):
            if moment.share == 0:
                losses = self._idle_step(moment)
            elif self.objective.rule.scope == "network":
                losses = self._network_step(part, moment)
            elif self.objective.rule.scope == "feedback":
                losses = self._feedback_step(part, moment)
            else:
                losses = self._block_step(part, moment)
            reports.append([weighted_parts(loss.parts, moment.share) for loss in losses])
        return reports[0] if len(reports) == 1 else summed_parts(reports)

    def _micro_batches(self, num_samples: int) -> list[tuple[int, int]]:
        """First sample and number of samples of each part of a batch; equal but for the last."""
        size = -(-num_samples // self.config.micro_batches)
        return [(start, min(size, num_samples - start)) for start in range(0, num_samples, size)]

    def _parts(self, batch: Batch, step: int, progress: float) -> Iterator[tuple[Batch, Moment]]:
        """The batch in micro-batches, each with this device's samples."""
        num_samples = len(batch.targets)
        num_classes = self.objective.task.output_size
        wrong = batch.targets
        if self.objective.rule.contrasts:
            with random_stream(self.seed, "contrast", step):
                wrong = wrong_labels(batch.targets, num_classes)
        taken = 0
        for part, (start, count) in enumerate(self._micro_batches(num_samples)):
            own = self.own_samples(count)
            mine = slice(start + own.start, start + own.stop)
            inputs = self._receive(batch.inputs[taken : taken + len(own)], count)
            micro = Batch(inputs, batch.targets[mine])
            taken += len(own)
            if self.objective.rule.contrasts and len(own) > 0:
                micro = contrast(micro, wrong[mine], num_classes)
            share = len(own) / num_samples
            last = start + count == num_samples
            yield micro, Moment(step, progress, part, share, count, last)

    def _idle_step(self, moment: Moment) -> list[BlockLoss]:
        """A part of a batch in which this device has no sample: others' gradients are its own."""
        active = self._active_block(moment)
        trained = range(len(self.chain)) if active is None else [active]
        for blocks in [[k] for k in trained] if self.objective.rule.isolated else [trained]:
            self._update(blocks, moment)
        return [_NO_LOSS for _ in self.chain]

    def _block_step(self, batch: Batch, moment: Moment) -> list[BlockLoss]:
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
            if index == len(self.chain) - 1:
                self._send(inputs, moment.num_samples)
            loss = self._block_loss(index, block, outputs, batch, moment)
            assert loss.shared is None, "an isolated rule has no loss that crosses blocks"
            # Without a gradient: forward-forward in a block that has no parameter.
            if loss.own is not None and loss.own.requires_grad:
                scaled(loss.own, moment.share).backward()  # type: ignore[no-untyped-call]
                self._update([index], moment)
            losses.append(_detached(loss))
            # The graph and its activations go before the next block builds its own.
            del outputs, loss
        return losses

    def _network_step(self, batch: Batch, moment: Moment) -> list[BlockLoss]:
        """All blocks by the network's loss, and each by its own besides."""
        losses = []
        shared: Tensor | None = None
        inputs = batch.inputs
        for index, block in enumerate(self.chain):
            outputs = self._forward(block, inputs, moment, index)
            loss = self._block_loss(index, block, outputs, batch, moment)
            if loss.own is not None:
                add_own_gradients(block, scaled(loss.own, moment.share))
            if loss.leaders_BW is not None:
                keep_for_leaders(outputs.features, loss.leaders_BW)
            if loss.shared is not None:
                shared = loss.shared if shared is None else shared + loss.shared
            inputs = outputs.features
            losses.append(_detached(loss))
        assert shared is not None, "a rule that is not isolated has a loss of the network's output"
        scaled(shared, moment.share).backward()  # type: ignore[no-untyped-call]
        self._update(range(len(self.chain)), moment)
        return losses

    def _feedback_step(self, batch: Batch, moment: Moment) -> list[BlockLoss]:
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
                own.append(scaled(loss.own, moment.share))
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

    def _active_block(self, moment: Moment) -> int | None:
        """The only block that trains now, where blocks train one after the other."""
        if not self.objective.rule.sequential:
            return None
        # Phases begin at whole fractions, which a float may miss by its last bit.
        return min(int(moment.progress * len(self.chain) + 1e-9), len(self.chain) - 1)

    def _autocast(self) -> AbstractContextManager[object]:
        if self.config.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _forward(self, block: Block, inputs: Tensor, moment: Moment, index: int) -> BlockOutputs:
        with random_stream(self.seed, *self._stream(moment, index)), self._autocast():
            if self.config.recompute_activations:
                return recomputed(block, inputs)
            outputs: BlockOutputs = block(inputs)
        return outputs

    def _block_loss(
        self, index: int, block: Block, outputs: BlockOutputs, batch: Batch, moment: Moment
    ) -> BlockLoss:
        return self.objective.block_loss(
            self.first_block + index,
            outputs,
            batch.targets,
            progress=moment.progress,
            history=block.history,
        )

    def _update(self, blocks: Sequence[int], moment: Moment) -> None:
        """Clip, step and clear the blocks' gradients, if the batch is complete."""
        if not moment.updates:
            return
        self._sum_gradients(blocks)
        if self.clip_norm is not None:
            parameters = [p for k in blocks for p in self.chain.blocks[k].parameters()]
            torch.nn.utils.clip_grad_norm_(parameters, self.clip_norm)
        for index in blocks:
            lay_out_gradients(self.chain.blocks[index].parameters())
            self.optimizers[index].step()
            self.optimizers[index].zero_grad(set_to_none=True)
            if self.averages:
                self.averages[index].update_parameters(self.chain.blocks[index])

    @torch.no_grad()
    def predict(self, inputs: Tensor, num_samples: int | None = None) -> list[Tensor | None]:
        """Outputs (B, C) of every own block in evaluation mode; None for one that has no head.

        Args:
            inputs: (B, ...), of the samples in ``rows`` alone.
            num_samples: of the batch on all devices; as many as inputs by default.
        """
        chain = self.answering_chain
        chain.eval()
        num_samples = len(inputs) if num_samples is None else num_samples
        inputs = self._receive(inputs, num_samples)
        if len(inputs) == 0:
            return [None for _ in chain]
        with self._autocast():
            if self.objective.rule.contrasts:
                return list(class_scores(chain, inputs, self.objective.task.output_size))
            outputs = chain.all_outputs(inputs)
        self._send(outputs[-1].features, num_samples)
        return [each.prediction_BC for each in outputs]

    def _placed(self, inputs: Tensor) -> Tensor:
        inputs = inputs.to(self.device, non_blocking=True)
        return with_channels_last(inputs) if self.config.channels_last else inputs


_NO_LOSS = BlockLoss(None, None, {})


def _across_boundary(features: Tensor) -> Tensor:
    """Features as the next block receives them: values without their graph."""
    return features.detach()


@torch.no_grad()
def _frozen_features(
    block: Block, inputs: Tensor, precision: AbstractContextManager[object]
) -> Tensor:
    """Features of a block whose training is over, as they are when it predicts."""
    block.eval()
    with precision:
        features: Tensor = block.body(inputs)
    return features


def _detached(loss: BlockLoss) -> BlockLoss:
    """What the record needs of a loss, without its graph."""
    return BlockLoss(None, None, {name: value.detach() for name, value in loss.parts.items()})
