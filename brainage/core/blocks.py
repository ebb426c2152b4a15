"""A backbone cut into blocks, each with its own workers, output head and parameters.

Shape letters: B samples, W workers, C outputs of one worker.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from brainage.core.heads import OutputHead, PooledFeatures, UnitWorkers, Workers
from brainage.core.leaders import LossHistory


class BlockOutputs(NamedTuple):
    """What one block gives.

    ``features``: the next block's input. ``workers_BWC``: outputs of its workers, if it has any.
    ``prediction_BC``: output of its output head, if it has one. ``similarity_BF``: what its
    similarity head makes of each sample, if it has one.
    """

    features: Tensor
    workers_BWC: Tensor | None
    prediction_BC: Tensor | None
    similarity_BF: Tensor | None = None


class Block(nn.Module):
    """Consecutive stages of a backbone with the heads that read their features.

    Args:
        body: the stages.
        auxiliary: network between the features and the heads, if any.
        pool: pooling in front of the heads; None for a block whose heads read nothing pooled.
        workers: the block's leader and follower workers, if any.
        output: the block's output head, if any.
        similarity: head whose outputs are compared between samples, if any.
        history: memory of the workers' losses, where leaders are chosen by it.
        feedback: fixed projection of the network's error to the features, where it teaches (DFA).
    """

    def __init__(
        self,
        body: nn.Sequential,
        *,
        auxiliary: nn.Module | None = None,
        pool: PooledFeatures | None = None,
        workers: Workers | None = None,
        output: OutputHead | None = None,
        similarity: nn.Module | None = None,
        history: LossHistory | None = None,
        feedback: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.body = body
        self.auxiliary = auxiliary
        self.pool = pool
        self.workers = workers
        self.output = output
        self.similarity = similarity
        self.history = history
        self.feedback = feedback

    def forward(self, inputs: Tensor) -> BlockOutputs:
        """Inputs (B, ...) to the block's features and what its heads say of them.

        Heads answer in float32 whatever precision the body runs in.
        """
        features: Tensor = self.body(inputs)
        workers_BWC = prediction_BC = similarity_BF = None
        by_units = isinstance(self.workers, UnitWorkers)
        if self.workers is not None and by_units:
            workers_BWC = self.workers(features)
        if self.pool is not None:
            read = features if self.auxiliary is None else self.auxiliary(features)
            pooled = self.pool(read)
            if self.workers is not None and not by_units:
                workers_BWC = self.workers(pooled)
            if self.output is not None:
                prediction_BC = self.output(pooled)
        if self.similarity is not None:
            similarity_BF = self.similarity(features)
        return BlockOutputs(
            features, _full(workers_BWC), _full(prediction_BC), _full(similarity_BF)
        )


def _full(outputs: Tensor | None) -> Tensor | None:
    """Half-precision outputs in float32, others as they are."""
    if outputs is not None and outputs.dtype in {torch.bfloat16, torch.float16}:
        return outputs.float()
    return outputs


class BlockChain(nn.Module):
    """Blocks in order. As a module it maps inputs (B, ...) to the output block's outputs (B, C)."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        super().__init__()
        if not blocks:
            raise ValueError("a chain needs at least one block")
        self.blocks = nn.ModuleList(blocks)

    def __iter__(self) -> Iterator[Block]:
        for block in self.blocks:
            assert isinstance(block, Block)
            yield block

    def __len__(self) -> int:
        return len(self.blocks)

    def all_outputs(self, inputs: Tensor, num_blocks: int | None = None) -> list[BlockOutputs]:
        """Outputs of every block, first to last, for inputs (B, ...).

        Args:
            inputs: as the first stage takes them.
            num_blocks: stop after so many blocks; the rest is not computed.
        """
        outputs = []
        for block in list(self)[:num_blocks]:
            outputs.append(block(inputs))
            inputs = outputs[-1].features
        return outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (B, C) of the output block's head."""
        prediction = self.all_outputs(inputs)[-1].prediction_BC
        if prediction is None:
            raise ValueError("the last block of this chain has no output head")
        return prediction

    def parameter_counts(self) -> dict[str, int]:
        """Parameters of the bodies, the workers, the output head, and what hidden blocks add.

        ``hidden_outputs`` are the hidden blocks' output heads, ``auxiliary`` their auxiliary
        networks and similarity heads. Everything but body and output head is what a rule adds to
        the plain network.
        """
        counts = {"body": 0, "workers": 0, "output": 0, "hidden_outputs": 0, "auxiliary": 0}
        for index, block in enumerate(self):
            last = index == len(self) - 1
            counts["body"] += _count(block.body)
            counts["workers"] += _count(block.workers)
            counts["output" if last else "hidden_outputs"] += _count(block.output)
            counts["auxiliary"] += _count(block.auxiliary) + _count(block.similarity)
        return counts


def _count(module: nn.Module | None) -> int:
    return 0 if module is None else sum(p.numel() for p in module.parameters())
