"""What training has made of an engine's blocks, as tensors with names that no device changes.

``blocks/2/model/body.0.weight``, ``blocks/2/optimizer/0/exp_avg``, ``blocks/2/average/...``: blocks
count from 0 over the whole network, so that what one device has saved, several can load.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from brainage.core.engine import SingleDeviceEngine


def engine_tensors(engine: SingleDeviceEngine) -> dict[str, Tensor]:
    """Weights, buffers, optimizer state and averages of the engine's blocks, by name."""
    tensors: dict[str, Tensor] = {}
    for index, block in enumerate(engine.chain):
        name = _prefix(engine, index)
        tensors |= {f"{name}model/{key}": value for key, value in block.state_dict().items()}
        for number, state in engine.optimizers[index].state_dict()["state"].items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"{name}optimizer/{number}/{key}"] = value
        if engine.averages:
            averages = engine.averages[index].state_dict()
            tensors |= {f"{name}average/{key}": value for key, value in averages.items()}
    return tensors


def wants_tensor(engine: SingleDeviceEngine) -> Callable[[str], bool]:
    """Whether a name is that of one of the engine's blocks."""
    prefixes = tuple(_prefix(engine, index) for index in range(len(engine.chain)))
    return lambda name: name.startswith(prefixes)


def load_engine_tensors(engine: SingleDeviceEngine, tensors: Mapping[str, Tensor]) -> None:
    """Put the blocks back into the state that ``engine_tensors`` described.

    Raises:
        RuntimeError: if tensors are missing or do not fit.
    """
    for index, block in enumerate(engine.chain):
        name = _prefix(engine, index)
        block.load_state_dict(_behind(f"{name}model/", tensors))
        _load_optimizer(engine.optimizers[index], _behind(f"{name}optimizer/", tensors))
        if engine.averages:
            engine.averages[index].load_state_dict(_behind(f"{name}average/", tensors))


def _load_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Its settings are the configuration's and the schedule's: the state alone comes back."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition("/")
        state.setdefault(int(number), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _behind(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _prefix(engine: SingleDeviceEngine, index: int) -> str:
    return f"blocks/{engine.first_block + index}/"
