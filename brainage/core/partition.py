"""Where a chain of stages is cut into blocks: by number, or by what the stages cost."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import torch
from torch import nn

from brainage.core.config import BlocksConfig
from brainage.core.measure import (
    Precision,
    block_bytes,
    block_seconds,
    measure_memory,
    measure_seconds,
)

_Way = tuple[list[float], tuple[int, ...]]  # costs of the blocks in falling order, and the cuts

BlockCost = Callable[[int, int], float]
"""Cost of one block made of stages ``first`` to ``stop - 1``."""


def stage_counts(num_stages: int, config: BlocksConfig) -> list[int]:
    """Number of stages in each block, first to last.

    Without explicit cuts the stages are spread evenly, earlier blocks taking the remainder; cuts
    balanced by a measurement come from ``resolve_cuts`` first.

    Raises:
        ValueError: if there are fewer stages than blocks, or a cut lies beyond the last stage.
    """
    if config.cuts is not None:
        edges = (0, *config.cuts, num_stages)
        if config.cuts and config.cuts[-1] >= num_stages:
            raise ValueError(
                f"blocks.cuts: {config.cuts[-1]} is beyond the last of {num_stages} stages"
            )
        return [b - a for a, b in itertools.pairwise(edges)]
    _check_enough_stages(num_stages, config.num_blocks)
    share, rest = divmod(num_stages, config.num_blocks)
    return [share + (index < rest) for index in range(config.num_blocks)]


def resolve_cuts(
    stages: Sequence[nn.Module],
    input_shape: tuple[int, ...],
    batch_size: int,
    config: BlocksConfig,
    *,
    device: torch.device | None = None,
    precision: Precision = "float32",
) -> BlocksConfig:
    """The same configuration with the cuts that its ``balance`` asks for.

    ``activation_bytes``, with the gradients of a block's parameters, gives the same cuts every
    time. ``seconds`` runs a clock, so that another measurement may cut elsewhere: keep what is
    returned. A configuration with cuts of its own, or one that shares stages by number, comes back
    as it is.

    Args:
        stages: the backbone, in order; moved to the device.
        input_shape: shape of one input without the batch axis.
        batch_size: samples that pass the network at once.
        config: number of blocks and what they share evenly.
        device: where the stages are measured; the CPU if None.
        precision: of the forward pass.

    Raises:
        ValueError: if there are fewer stages than blocks.
        RuntimeError: if the input does not fit the stages.
    """
    if config.cuts is not None or config.balance == "stages":
        return config
    _check_enough_stages(len(stages), config.num_blocks)
    if config.balance == "activation_bytes":
        memory = measure_memory(stages, input_shape, batch_size, device=device, precision=precision)
        cuts = balanced_cuts(len(stages), config.num_blocks, lambda a, b: block_bytes(memory[a:b]))
    else:
        times = measure_seconds(stages, input_shape, batch_size, device=device, precision=precision)
        cuts = balanced_cuts(len(stages), config.num_blocks, lambda a, b: block_seconds(times[a:b]))
    return dataclasses.replace(config, cuts=cuts)


def balanced_cuts(num_stages: int, num_blocks: int, cost: BlockCost) -> tuple[int, ...]:
    """Stages before each cut, so that the largest block costs as little as possible.

    Among cuts with the same largest block the second largest is smallest, and so on; what is equal
    in all of them is cut as early as possible.

    Args:
        num_stages: stages to share out.
        num_blocks: K; every block gets at least one stage.
        cost: of one block; need not be a sum over its stages.

    Raises:
        ValueError: if there are fewer stages than blocks.

    Dynamic programming over (stages shared out, blocks made). Costs in falling order compare
    block by block, and a further block joins two such lists without changing how they compare,
    so the best way to the last cut is part of the best way to the end.
    """
    _check_enough_stages(num_stages, num_blocks)
    best: dict[int, _Way] = {stop: ([cost(0, stop)], ()) for stop in range(1, num_stages + 1)}
    for block in range(1, num_blocks):
        longer: dict[int, _Way] = {}
        for stop in range(block + 1, num_stages + 1):
            longer[stop] = min(
                (sorted([*best[cut][0], cost(cut, stop)], reverse=True), (*best[cut][1], cut))
                for cut in range(block, stop)
            )
        best = longer
    return best[num_stages][1]


def _check_enough_stages(num_stages: int, num_blocks: int) -> None:
    if num_blocks > num_stages:
        raise ValueError(
            f"blocks.num_blocks: {num_blocks} blocks cannot be cut from a backbone "
            f"of {num_stages} stages"
        )
