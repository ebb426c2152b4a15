"""What ranks of a speed case have learned, for comparison."""

from torch import Tensor

from brainage.core.ranks import ProcessRanks
from brainage.core.speed_ranks import RankCase, _Runner


def weights_after_steps(ranks: ProcessRanks, case: RankCase, steps: int) -> dict[str, Tensor]:
    """Weights of this rank's blocks, by the number of the block in the whole network."""
    runner = _Runner(case, ranks)
    for step in range(steps):
        if runner.pipeline is not None:
            runner.pipeline.train_step(runner.batch, 0.01)
        else:
            assert runner.engine is not None
            runner.engine.train_step(runner.batch, step, 0.01)
    if runner.pipeline is not None:
        blocks, first = runner.pipeline.module.blocks, case.placement.places[ranks.rank].first
    else:
        assert runner.engine is not None
        blocks, first = runner.engine.chain.blocks, 0
    return {
        f"{first + index}.{name}": value.detach().clone()
        for index, block in enumerate(blocks)
        for name, value in block.named_parameters()
    }
