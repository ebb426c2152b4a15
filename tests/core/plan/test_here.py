"""Predictions for processes of this machine."""

import dataclasses
import functools

import pytest

from brainage.backbones.config import MLPConfig
from brainage.backbones.registry import build_stages
from brainage.core.placement import ParallelConfig, Placement
from brainage.core.plan.here import predict_here
from tests.core.plan.test_measuring import make_case


@pytest.mark.slow
@pytest.mark.distributed
def test_what_is_placed_already_is_predicted_beside_the_other_ways():
    build = functools.partial(build_stages, MLPConfig(hidden_sizes=(16, 16, 16)), (6,), 0)
    case = dataclasses.replace(make_case(build_stages=build), stage_counts=(1, 2))
    placement = Placement((1, 1), (1, 1))
    rows = predict_here(case, placement, ParallelConfig(), cores=2, seconds=0)
    (blocks,) = (row for row in rows if row.engine == "blocks")
    assert (blocks.method, blocks.devices, blocks.blocks) == ("lfnn_l", 2, 2)
    assert blocks.kind == "projected"
    assert {row.engine for row in rows} == {
        "single",
        "checkpointed",
        "blocks",
        "ddp",
        "pipeline_1f1b",
    }
