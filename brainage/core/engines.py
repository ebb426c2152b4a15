"""Which engine a run gets, and the whole network back from it."""

from typing import Any

import torch

from brainage.core.blocks import BlockChain
from brainage.core.config import ObjectiveName
from brainage.core.engine import SingleDeviceEngine
from brainage.core.engine_blocks import (
    BlocksEngine,
    own_blocks,
    refuse_rule,
    trains_side_by_side,
)
from brainage.core.engine_ddp import DataParallelEngine
from brainage.core.objectives import Objective
from brainage.core.optim import build_optimizers
from brainage.core.placement import ParallelConfig, settle_placement
from brainage.core.ranks import ProcessRanks, Ranks
from brainage.core.rules import RULES
from brainage.core.training_config import EngineConfig, OptimizerConfig


def build_engine(
    chain: BlockChain,
    objective: Objective,
    optimizer: OptimizerConfig,
    *,
    device: torch.device,
    seed: int,
    config: EngineConfig | None = None,
    parallel: ParallelConfig | None = None,
    ranks: Ranks | None = None,
) -> SingleDeviceEngine:
    """The engine of one device, or this rank's of several.

    Args:
        chain: the whole network, the same on every rank; an engine of blocks keeps its own ones.
        objective: the training rule.
        optimizer: of each block.
        device: of this rank.
        seed: of dropout.
        config: how steps are carried out.
        parallel: how several devices share the run.
        ranks: the processes that train together; one process by default.

    Raises:
        ValueError: if blocks and devices do not add up, or the rule cannot be spread so.
    """
    parallel = parallel or ParallelConfig()
    options: dict[str, Any] = {
        "device": device,
        "seed": seed,
        "clip_norm": optimizer.clip_norm,
        "config": config,
    }
    if not isinstance(ranks, ProcessRanks):
        return SingleDeviceEngine(chain, objective, build_optimizers(chain, optimizer), **options)
    if not uses_blocks(objective.config.name, parallel):
        return DataParallelEngine(
            chain, objective, build_optimizers(chain, optimizer), ranks, **options
        )
    placement = settle_placement(parallel, len(chain), ranks.world_size)
    mine = own_blocks(chain, placement, ranks.rank)
    return BlocksEngine(
        mine,
        objective,
        build_optimizers(mine, optimizer),
        placement=placement,
        parallel=parallel,
        ranks=ranks,
        **options,
    )


def uses_blocks(rule: ObjectiveName, parallel: ParallelConfig) -> bool:
    """Whether several devices each get blocks of their own; else each gets the whole network."""
    if parallel.engine == "auto":
        return trains_side_by_side(RULES[rule])
    return parallel.engine == "blocks"


def check_parallel(
    rule: ObjectiveName, num_blocks: int, parallel: ParallelConfig, world_size: int
) -> None:
    """Refuse what so many ranks cannot do.

    Raises:
        ValueError: if blocks and devices do not add up, or the rule cannot be spread so.
    """
    if world_size > 1 and uses_blocks(rule, parallel):
        refuse_rule(rule)
        settle_placement(parallel, num_blocks, world_size)


def reads_inputs(
    rule: ObjectiveName, num_blocks: int, parallel: ParallelConfig, ranks: Ranks
) -> bool:
    """Whether this rank needs the network's inputs, not only features of another one."""
    if ranks.world_size == 1 or not uses_blocks(rule, parallel):
        return True
    placement = settle_placement(parallel, num_blocks, ranks.world_size)
    return placement.place_of(ranks.rank) == 0


def collect_answering_chain(engine: SingleDeviceEngine, whole: BlockChain) -> BlockChain:
    """The network that predicts, with the weights of every rank's blocks; all ranks call it.

    Args:
        engine: after training.
        whole: a network of the same form, whose weights are replaced; unused on a single device.
    """
    if engine.ranks.world_size == 1:
        return engine.answering_chain
    own = {
        engine.first_block + index: {k: v.cpu() for k, v in block.state_dict().items()}
        for index, block in enumerate(engine.answering_chain)
    }
    of_ranks = engine.ranks.gather(own if engine.replica == 0 else {})
    states = {block: state for rank in of_ranks for block, state in rank.items()}
    for index, block in enumerate(whole):
        block.load_state_dict(states[index])
    return whole
