"""A backbone cut into blocks, each with its own workers, output head and parameters.

Shape letters: B samples, W workers, C outputs of one worker.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from brainage.core.config import HeadConfig
from brainage.core.heads import OutputHead, PooledFeatures, WorkerHeads
from brainage.core.random import random_stream
from brainage.core.tasks import Task


class BlockOutputs(NamedTuple):
    """What one block gives.

    ``features``: the next block's input. ``workers_BWC``: outputs of its workers, if it has any.
    ``prediction_BC``: output of its output head, if it has one.
    """

    features: Tensor
    workers_BWC: Tensor | None
    prediction_BC: Tensor | None


class Block(nn.Module):
    """Consecutive stages of a backbone with the heads that read their features.

    Args:
        body: the stages.
        pool: pooling in front of the heads; None for a block without heads.
        workers: the block's leader and follower workers, if any.
        output: the block's output head, if any.
    """

    def __init__(
        self,
        body: nn.Sequential,
        pool: PooledFeatures | None,
        workers: WorkerHeads | None,
        output: OutputHead | None,
    ) -> None:
        super().__init__()
        self.body = body
        self.pool = pool
        self.workers = workers
        self.output = output

    def forward(self, inputs: Tensor) -> BlockOutputs:
        """Inputs (B, ...) to the block's features and what its heads say of them."""
        features: Tensor = self.body(inputs)
        if self.pool is None:
            return BlockOutputs(features, None, None)
        pooled = self.pool(features)
        return BlockOutputs(
            features,
            None if self.workers is None else self.workers(pooled),
            None if self.output is None else self.output(pooled),
        )


class BlockChain(nn.Module):
    """Blocks in order. As a module it maps inputs (B, ...) to the output block's outputs (B, C)."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        super().__init__()
        if not blocks or blocks[-1].output is None:
            raise ValueError("a chain needs at least one block, and an output head on the last")
        self.blocks = nn.ModuleList(blocks)

    def __iter__(self) -> Iterator[Block]:
        for block in self.blocks:
            assert isinstance(block, Block)
            yield block

    def __len__(self) -> int:
        return len(self.blocks)

    def all_outputs(self, inputs: Tensor) -> list[BlockOutputs]:
        """Outputs of every block, first to last, for inputs (B, ...)."""
        outputs = []
        for block in self:
            outputs.append(block(inputs))
            inputs = outputs[-1].features
        return outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (B, C) of the output block's head."""
        prediction = self.all_outputs(inputs)[-1].prediction_BC
        assert prediction is not None
        return prediction

    def parameter_counts(self) -> dict[str, int]:
        """Parameters of the bodies, the workers, the output head and the hidden blocks' heads.

        Workers' and hidden blocks' heads are what the method adds to the plain network.
        """
        counts = {"body": 0, "workers": 0, "output": 0, "hidden_outputs": 0}
        for index, block in enumerate(self):
            counts["body"] += _count(block.body)
            counts["workers"] += _count(block.workers)
            last = index == len(self) - 1
            counts["output" if last else "hidden_outputs"] += _count(block.output)
        return counts


def _count(module: nn.Module | None) -> int:
    return 0 if module is None else sum(p.numel() for p in module.parameters())


def build_chain(
    stages: Sequence[nn.Module],
    stage_counts: Sequence[int],
    input_shape: tuple[int, ...],
    task: Task,
    heads: HeadConfig,
    *,
    workers: bool,
    hidden_outputs: bool,
    probe: bool = True,
    seed: int = 0,
) -> BlockChain:
    """Group stages into blocks and give them heads.

    Args:
        stages: modules that map tensor to tensor, in order.
        stage_counts: stages of each block, e.g. from ``partition.stage_counts``.
        input_shape: shape of one input without the batch axis, e.g. (1, 48, 56, 48).
        task: gives the number of outputs and their first bias.
        heads: form of workers and output heads.
        workers: whether blocks have workers.
        hidden_outputs: whether hidden blocks have output heads.
        probe: whether hidden output heads read detached features.
        seed: heads' initial weights depend on it and on the block's index alone.

    Raises:
        ValueError: if the counts do not cover the stages or an input is too small for them.
    """
    if sum(stage_counts) != len(stages) or min(stage_counts) < 1:
        raise ValueError(f"blocks of {list(stage_counts)} stages do not cover {len(stages)} stages")
    blocks: list[Block] = []
    example = torch.zeros(1, *input_shape)
    first = 0
    for index, count in enumerate(stage_counts):
        body = nn.Sequential(*stages[first : first + count])
        first += count
        example = _example_output(body, example, index)
        with random_stream(seed, "heads", index):
            blocks.append(
                _build_block(
                    body,
                    tuple(example.shape[1:]),
                    task,
                    heads,
                    workers=workers,
                    last=index == len(stage_counts) - 1,
                    hidden_output=hidden_outputs,
                    probe=probe,
                )
            )
    return BlockChain(blocks)


def _example_output(body: nn.Sequential, example: Tensor, block: int) -> Tensor:
    """The body's output for an example input, without leaving a trace in its statistics."""
    training = body.training
    body.eval()
    try:
        with torch.no_grad():
            output: Tensor = body(example)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"block {block + 1} cannot take an input of shape {tuple(example.shape[1:])}; the "
            f"backbone needs a larger input or smaller kernels ({reason})"
        ) from error
    finally:
        body.train(training)
    return output


def _build_block(
    body: nn.Sequential,
    feature_shape: tuple[int, ...],
    task: Task,
    heads: HeadConfig,
    *,
    workers: bool,
    last: bool,
    hidden_output: bool,
    probe: bool,
) -> Block:
    has_workers = workers and (not last or heads.output_block_workers)
    has_output = last or hidden_output
    if not has_workers and not has_output:
        return Block(body, None, None, None)
    pool = PooledFeatures(feature_shape, heads.pooled_size)
    bias = task.initial_bias()
    worker_heads = output_head = None
    if has_output:
        size = pool.channels * pool.num_positions
        is_probe = probe and not last
        output_head = OutputHead(size, task.output_size, heads, bias, probe=is_probe)
    if has_workers:
        worker_heads = WorkerHeads(pool.channels, pool.num_positions, task.output_size, heads, bias)
    return Block(body, pool, worker_heads, output_head)
