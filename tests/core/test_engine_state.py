"""What training has made of an engine survives a checkpoint, however the weights lie in memory."""

import pytest
import torch

from brainage.core.checkpoint import CheckpointStore
from brainage.core.engine_state import engine_tensors, load_engine_tensors, wants_tensor
from brainage.core.optim import build_optimizers
from brainage.core.training_config import EngineConfig, OptimizerConfig
from tests.core.convolutional import make_convolutional, train, volumes
from tests.core.helpers import same_weights, weights


def make_engine(name, *, channels_last):
    engine = make_convolutional(config=EngineConfig(channels_last=channels_last))
    engine.optimizers = build_optimizers(engine.chain, OptimizerConfig(name=name))
    return engine


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_loaded_engine_goes_on_as_the_saved_one(name, channels_last, tmp_path):
    batch, store = volumes(), CheckpointStore(tmp_path, "f")
    one = make_engine(name, channels_last=channels_last)
    train(one, batch)
    store.save(3, engine_tensors(one), {})
    other = make_engine(name, channels_last=channels_last)
    tensors, _ = store.load(wants_tensor(other))
    load_engine_tensors(other, tensors)
    for _ in range(2):
        train(one, batch)
        train(other, batch)
    assert same_weights(weights(one.chain), weights(other.chain))


def test_state_lies_in_memory_as_its_weights_do(tmp_path):
    store = CheckpointStore(tmp_path, "f")
    one, other = (make_engine("adamw", channels_last=True) for _ in range(2))
    train(one, volumes())
    store.save(3, engine_tensors(one), {})
    load_engine_tensors(other, store.load(wants_tensor(other))[0])
    assert other.optimizers[1].state
    for weight, state in other.optimizers[1].state.items():
        assert state["exp_avg"].stride() == weight.stride()
        assert torch.equal(state["step"], torch.tensor(3.0))
