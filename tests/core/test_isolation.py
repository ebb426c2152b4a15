"""In LFNN-l no gradient crosses a block boundary; and the tests that say so can fail."""

import pytest
import torch

from brainage.core import engine as engine_module
from brainage.core.config import ObjectiveConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.training_config import OptimizerConfig
from tests.core.helpers import make_ages, make_engine, weights
from tests.core.mutants import mutant

STEPS = 3
CONFIG = ObjectiveConfig(name="lfnn_l", leader_fraction=0.5)


def first_block_after_training(
    engine: SingleDeviceEngine, later_blocks_seed: int
) -> dict[str, torch.Tensor]:
    """Weights of block 0 after some steps in front of differently initialised later blocks."""
    generator = torch.Generator().manual_seed(later_blocks_seed)
    with torch.no_grad():
        for block in list(engine.chain)[1:]:
            for parameter in block.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    batch = make_ages()
    for step in range(STEPS):
        engine.train_step(batch, step, 0.05)
    return {k: v for k, v in weights(engine.chain).items() if k.startswith("blocks.0.")}


def leaks(objective: ObjectiveConfig, engine_class: type[SingleDeviceEngine]) -> bool:
    """Whether what stands behind block 0 has any influence on block 0's training."""
    results = []
    for seed in (1, 2):
        engine = make_engine(objective, optimizer=OptimizerConfig(name="adamw"))
        engine.__class__ = engine_class
        results.append(first_block_after_training(engine, seed))
    return any(not torch.equal(results[0][name], results[1][name]) for name in results[0])


def broken_engine(old: str, new: str) -> type[SingleDeviceEngine]:
    """The engine with one piece of its source replaced."""
    return mutant(engine_module, old, new)["SingleDeviceEngine"]  # type: ignore[no-any-return]


def test_later_blocks_do_not_influence_earlier_ones() -> None:
    assert not leaks(CONFIG, SingleDeviceEngine)


@pytest.mark.parametrize("name", ["bp", "bp_deep_supervision", "lfnn"])
def test_other_rules_do_cross_blocks(name: str) -> None:
    assert leaks(ObjectiveConfig(name=name, leader_fraction=0.5), SingleDeviceEngine)


def test_without_the_detach_autograd_objects() -> None:
    with pytest.raises(RuntimeError, match=r"backward through the graph a second time|inplace"):
        leaks(CONFIG, broken_engine("return features.detach()", "return features"))


def test_a_leak_that_autograd_tolerates_is_found() -> None:
    """All blocks on one graph, differentiated at once: the released code's way of training."""
    joint = broken_engine('self.objective.rule.scope == "network"', "True")
    joint_with_sum = type("Joint", (joint,), {"_network_step": _joint_step_over_own_losses})
    assert leaks(CONFIG, joint_with_sum)


def _joint_step_over_own_losses(self, batch, moment):  # type: ignore[no-untyped-def]
    inputs, total = batch.inputs, 0.0
    for index, block in enumerate(self.chain):
        outputs = self._forward(block, inputs, moment, index)
        total = total + self.objective.block_loss(index, outputs, batch.targets).own
        inputs = outputs.features
    total.backward()
    self._update(range(len(self.chain)), moment)
    return []


def test_no_graph_reaches_an_earlier_block() -> None:
    engine = make_engine(CONFIG)
    batch = make_ages()
    inputs = batch.inputs
    earlier: list[torch.nn.Parameter] = []
    for index, block in enumerate(engine.chain):
        outputs = block(inputs)
        loss = engine.objective.block_loss(index, outputs, batch.targets).own
        if earlier:
            found = torch.autograd.grad(loss, earlier, allow_unused=True, retain_graph=True)
            assert all(gradient is None for gradient in found)
        earlier += list(block.parameters())
        inputs = outputs.features.detach()
