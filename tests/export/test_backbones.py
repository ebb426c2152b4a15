"""Every backbone of one-channel volumes can be exported."""

from dataclasses import replace

import pytest
import torch

from brainage.bundle.model import Member
from brainage.export.graph import AgeGraph
from brainage.export.onnx_file import open_onnx, write_onnx
from brainage.export.parity import largest_difference
from brainage.export.torchscript import open_torchscript, write_torchscript
from tests.backbones.test_backbones import CASES, IDS, make_engine

VOLUMES = [
    (config, shape, name)
    for (config, shape), name in zip(CASES, IDS, strict=True)
    if len(shape) == 4 and shape[0] == 1
]


@pytest.fixture(params=VOLUMES, ids=[name for *_, name in VOLUMES])
def small(request, model):
    """The model with one network of that backbone and two views."""
    config, shape, _ = request.param
    engine = make_engine(config, shape, "lfnn_l", 2)
    run = replace(model.config, inference=replace(model.config.inference, test_time_augmentation=2))
    member = Member("final", engine.objective.task, engine.chain.eval())
    return replace(model, config=run, members=(member,), input_shape=shape)


@pytest.fixture
def batches(small):
    generator = torch.Generator().manual_seed(4)
    return [torch.randn(3, *small.input_shape, generator=generator)]


def test_it_is_written_as_torchscript(small, batches, tmp_path):
    graph = AgeGraph(small)
    write_torchscript(graph, graph.example(2), tmp_path / "model.ts", {}, "")
    ask = open_torchscript(tmp_path / "model.ts")
    assert largest_difference(small, "last", ask, batches) < 1e-4


@pytest.mark.slow
def test_it_is_written_as_onnx(small, batches, tmp_path):
    graph = AgeGraph(small)
    write_onnx(graph, tmp_path / "model.onnx", {}, "")
    assert largest_difference(small, "last", open_onnx(tmp_path / "model.onnx"), batches) < 1e-4
