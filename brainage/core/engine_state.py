"""What training has made of an engine's blocks, as tensors with names that no device changes.

``blocks/2/model/body.0.weight``, ``blocks/2/optimizer/0/exp_avg``, ``blocks/2/average/...``: blocks
count from 0 over the whole network, so that what one device has saved, several can load.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from brainage.core.engine import SingleDeviceEngine


def engine_tensors(engine: SingleDeviceEngine) -> dict[str, Tensor]:
    """Weights, buffers, optimizer state and averages of the engine's blocks, by name."""
    tensors: dict[str, Tensor] = {}
    for name, module in _answering_modules(engine):
        tensors |= {f"{name}{key}": value for key, value in module.state_dict().items()}
    for index, optimizer in enumerate(engine.optimizers):
        name = _prefix(engine, index)
        for number, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"{name}optimizer/{number}/{key}"] = value
    return tensors


def answer_tensors(engine: SingleDeviceEngine) -> dict[str, Tensor]:
    """Copies on the CPU of what decides an answer: weights, buffers and averages, by name."""
    return {
        f"{name}{key}": value.detach().cpu().clone()
        for name, module in _answering_modules(engine)
        for key, value in module.state_dict().items()
    }


def wants_tensor(engine: SingleDeviceEngine) -> Callable[[str], bool]:
    """Whether a name is that of one of the engine's blocks."""
    prefixes = tuple(_prefix(engine, index) for index in range(len(engine.chain)))
    return lambda name: name.startswith(prefixes)


def load_engine_tensors(engine: SingleDeviceEngine, tensors: Mapping[str, Tensor]) -> None:
    """Put the blocks back into the state that ``engine_tensors`` described.

    Raises:
        RuntimeError: if tensors are missing or do not fit.
    """
    load_answer_tensors(engine, tensors)
    for index, optimizer in enumerate(engine.optimizers):
        _load_optimizer(optimizer, _behind(f"{_prefix(engine, index)}optimizer/", tensors))


def load_answer_tensors(engine: SingleDeviceEngine, tensors: Mapping[str, Tensor]) -> None:
    """Give the blocks the weights, buffers and averages that ``answer_tensors`` copied.

    Raises:
        RuntimeError: if tensors are missing or do not fit.
    """
    for name, module in _answering_modules(engine):
        module.load_state_dict(_behind(name, tensors))


def _answering_modules(engine: SingleDeviceEngine) -> Iterator[tuple[str, nn.Module]]:
    """The blocks, and their averages where they are kept, each with the names' beginning."""
    for index, block in enumerate(engine.chain):
        yield f"{_prefix(engine, index)}model/", block
    for index, average in enumerate(engine.averages):
        yield f"{_prefix(engine, index)}average/", average


def _load_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Its settings are the configuration's and the schedule's: the state alone comes back."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition("/")
        state.setdefault(int(number), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    # A fused step walks through memory: state in another layout than its weights would meet others.
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                kept[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _behind(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _prefix(engine: SingleDeviceEngine, index: int) -> str:
    return f"blocks/{engine.first_block + index}/"
