"""One optimizer a block, and a learning rate that depends on the step alone."""

import math
from collections.abc import Iterable

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from brainage.core.training_config import OptimizerConfig, ScheduleConfig


def build_optimizer(module: nn.Module, config: OptimizerConfig) -> Optimizer:
    """Optimizer of one block's parameters.

    Weight decay acts on tensors with two or more axes only: not on biases and normalisation. A
    block without parameters, such as an activation alone, gets an optimizer that does nothing.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    decayed = [p for p in parameters if p.ndim >= 2]
    plain = [p for p in parameters if p.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]] or groups[:1]
    if config.name == "sgd":
        nesterov = config.momentum > 0
        return SGD(
            groups, config.learning_rate, momentum=config.momentum, nesterov=nesterov, fused=True
        )
    kind = AdamW if config.name == "adamw" else Adam
    return kind(groups, config.learning_rate, fused=True)


def build_optimizers(blocks: Iterable[nn.Module], config: OptimizerConfig) -> list[Optimizer]:
    """One optimizer for each block, in the blocks' order."""
    return [build_optimizer(block, config) for block in blocks]


def learning_rate_at(step: int, num_steps: int, config: ScheduleConfig, highest: float) -> float:
    """Learning rate of step ``step`` (0-based) of ``num_steps``.

    It rises linearly over the warm-up, reaching ``highest`` at its last step, then stays or falls
    along half a cosine to ``final_fraction * highest`` at the last step of the run.
    """
    warmup_steps = round(config.warmup_fraction * num_steps)
    if step < warmup_steps:
        return highest * (step + 1) / warmup_steps
    if config.name == "constant":
        return highest
    progress = (step - warmup_steps) / max(1, num_steps - 1 - warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return highest * (config.final_fraction + (1 - config.final_fraction) * cosine)


def set_learning_rate(optimizer: Optimizer, learning_rate: float) -> None:
    """Use this learning rate from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
