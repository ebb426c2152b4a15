"""From stages to a chain of blocks with the heads that a training rule needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from brainage.core.auxiliary import build_downstream, build_mlp_sr, output_shape
from brainage.core.blocks import Block, BlockChain
from brainage.core.config import HeadConfig, ObjectiveConfig
from brainage.core.direct_feedback import FeedbackProjection
from brainage.core.feedback_alignment import use_fixed_feedback
from brainage.core.forward_forward import UnitLength
from brainage.core.heads import (
    BlockWorkers,
    GroupWorkers,
    OutputHead,
    PooledFeatures,
    UnitWorkers,
    Workers,
)
from brainage.core.leaders import LossHistory
from brainage.core.random import random_stream
from brainage.core.rules import RULES, Rule
from brainage.core.similarity import SimilarityHead
from brainage.core.tasks import Task


def build_chain(
    stages: Sequence[nn.Module],
    stage_counts: Sequence[int],
    input_shape: tuple[int, ...],
    task: Task,
    objective: ObjectiveConfig,
    *,
    heads: HeadConfig | None = None,
    seed: int = 0,
) -> BlockChain:
    """Group stages into blocks and give them the heads their training rule needs.

    Args:
        stages: modules that map tensor to tensor, in order; used as they are, not copied.
        stage_counts: stages of each block, e.g. from ``partition.stage_counts``.
        input_shape: shape of one input without the batch axis, e.g. (1, 48, 56, 48).
        task: gives the number of outputs and their first bias.
        objective: the training rule.
        heads: form of workers and output heads; the defaults when left out.
        seed: initial weights of what is added depend on it and on the block's index alone.

    Raises:
        ValueError: if the counts do not cover the stages, an input is too small for them, or
            workers cannot share the channels.
    """
    if sum(stage_counts) != len(stages) or min(stage_counts) < 1:
        raise ValueError(f"blocks of {list(stage_counts)} stages do not cover {len(stages)} stages")
    builder = _Builder(
        tuple(stages), task, heads or HeadConfig(), objective, RULES[objective.name], seed
    )
    shapes = _input_shapes(stages, stage_counts, input_shape)
    blocks: list[Block] = []
    first = 0
    for index, count in enumerate(stage_counts):
        with random_stream(seed, "heads", index):
            last = index == len(stage_counts) - 1
            blocks.append(builder.block(first, first + count, shapes, last=last))
        first += count
    return BlockChain(blocks)


def _input_shapes(
    stages: Sequence[nn.Module], stage_counts: Sequence[int], input_shape: tuple[int, ...]
) -> list[tuple[int, ...]]:
    """Input shape of every stage, and behind them the shape of the last one's output."""
    block_of = [block for block, count in enumerate(stage_counts) for _ in range(count)]
    shapes = [input_shape]
    for stage, block in zip(stages, block_of, strict=True):
        try:
            shapes.append(output_shape(stage, shapes[-1]))
        except (RuntimeError, ValueError) as error:  # the latter from normalisation
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"block {block + 1} cannot take an input of shape {shapes[-1]}; the "
                f"backbone needs a larger input or smaller kernels ({reason})"
            ) from error
    return shapes


@dataclass(frozen=True)
class _Builder:
    """Makes one block at a time."""

    stages: tuple[nn.Module, ...]
    task: Task
    heads: HeadConfig
    objective: ObjectiveConfig
    rule: Rule
    seed: int

    def block(
        self, first: int, stop: int, shapes: Sequence[tuple[int, ...]], *, last: bool
    ) -> Block:
        """The block of stages ``first`` to ``stop - 1``; ``shapes`` as ``_input_shapes`` gives."""
        body = list(self.stages[first:stop])
        features = shapes[stop]
        if self.rule.contrasts:
            return Block(nn.Sequential(*([UnitLength()] if first else []), *body))
        auxiliary = None if last else self._auxiliary(stop, features, shapes)
        read = features if auxiliary is None else output_shape(auxiliary, features)
        pool = PooledFeatures(read, self.heads.pooled_size)
        output = self._output(pool, last=last)
        workers = self._workers(features, pool, last=last)
        uses_pool = output is not None or isinstance(workers, BlockWorkers | GroupWorkers)
        matches = not last and self.objective.similarity_share > 0 and self._has_own_loss
        block = Block(
            nn.Sequential(*body),
            auxiliary=auxiliary if uses_pool else None,
            pool=pool if uses_pool else None,
            workers=workers,
            output=output,
            similarity=SimilarityHead(features) if matches else None,
            history=self._history(workers),
            feedback=None if last else self._feedback(features),
        )
        if self.rule.fixed_feedback:
            use_fixed_feedback(block, self.seed, first)
        return block

    @property
    def _has_own_loss(self) -> bool:
        """Whether hidden blocks have a loss that a similarity loss can join."""
        return self.rule.workers or (
            self.rule.scope == "block" and self.rule.hidden_outputs == "taught"
        )

    def _auxiliary(
        self, stop: int, features: tuple[int, ...], shapes: Sequence[tuple[int, ...]]
    ) -> nn.Module | None:
        if not self._has_own_loss:
            return None
        if self.heads.auxiliary == "mlp_sr":
            return build_mlp_sr(features)
        if self.heads.auxiliary == "downstream":
            depth = self.heads.auxiliary_depth
            return build_downstream(features, self.stages[stop:], shapes[stop:-1], depth)
        return None

    def _output(self, pool: PooledFeatures, *, last: bool) -> OutputHead | None:
        """The output head: always on the last block, on others as the rule has it."""
        kind = self.rule.hidden_outputs
        if not last and (kind == "none" or (kind == "probe" and not self._probes)):
            return None
        probe = self.heads.separate_output if last else kind == "probe"
        size = pool.channels * pool.num_positions
        bias = self.task.initial_bias()
        return OutputHead(size, self.task.output_size, self.heads, bias, probe=probe)

    @property
    def _probes(self) -> bool:
        return self.heads.probe_hidden_blocks

    def _workers(
        self, features: tuple[int, ...], pool: PooledFeatures, *, last: bool
    ) -> Workers | None:
        if not self.rule.workers or (last and not self.heads.output_block_workers):
            return None
        num_outputs = self.task.output_size
        if self.heads.readout == "units":
            return UnitWorkers(features[0], num_outputs, self.heads.num_lf_workers)
        bias = self.task.initial_bias()
        if self.heads.readout == "block":
            size = pool.channels * pool.num_positions
            return BlockWorkers(size, num_outputs, self.heads, bias)
        return GroupWorkers(pool.channels, pool.num_positions, num_outputs, self.heads, bias)

    def _history(self, workers: Workers | None) -> LossHistory | None:
        if workers is None or self.objective.selection not in {"epoch", "running"}:
            return None
        return LossHistory(workers.num_workers, self.objective.running_decay)

    def _feedback(self, features: tuple[int, ...]) -> nn.Module | None:
        if self.rule.scope != "feedback":
            return None
        return FeedbackProjection(self.task.output_size, features)
