"""Which engine several devices get for which rule."""

import pytest

from brainage.core.engines import check_parallel, uses_blocks
from brainage.core.placement import ParallelConfig
from brainage.core.rules import RULES

SIDE_BY_SIDE = {"lfnn_l", "dgl", "predsim"}


@pytest.mark.parametrize("rule", RULES)
def test_blocks_are_for_rules_whose_blocks_train_side_by_side(rule: str) -> None:
    assert uses_blocks(rule, ParallelConfig()) == (rule in SIDE_BY_SIDE)
    assert not uses_blocks(rule, ParallelConfig(engine="ddp"))


@pytest.mark.parametrize("rule", sorted(RULES.keys() - SIDE_BY_SIDE))
def test_blocks_of_other_rules_are_refused(rule: str) -> None:
    blocks = ParallelConfig(engine="blocks")
    with pytest.raises(ValueError, match=f"got objective '{rule}'; use ddp"):
        check_parallel(rule, 4, blocks, world_size=2)
    check_parallel(rule, 4, ParallelConfig(), world_size=2)
    check_parallel(rule, 4, blocks, world_size=1)
