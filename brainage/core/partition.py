"""Where a chain of stages is cut into blocks."""

import itertools

from brainage.core.config import BlocksConfig


def stage_counts(num_stages: int, config: BlocksConfig) -> list[int]:
    """Number of stages in each block, first to last.

    Without explicit cuts the stages are spread evenly, earlier blocks taking the remainder.

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
    if config.num_blocks > num_stages:
        raise ValueError(
            f"blocks.num_blocks: {config.num_blocks} blocks cannot be cut from a backbone "
            f"of {num_stages} stages"
        )
    share, rest = divmod(num_stages, config.num_blocks)
    return [share + (index < rest) for index in range(config.num_blocks)]
