"""Loading the networks of a bundle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from brainage.bundle.files import MODEL, WEIGHTS
from brainage.bundle.model import Member
from brainage.bundle.network import build_network
from brainage.config.candidates import with_overrides
from brainage.config.run import RunConfig
from brainage.core.blocks import BlockChain
from brainage.core.tasks import Task, task_from_mapping
from brainage.errors import BundleError, ConfigError


def load_members(
    folder: Path, model: Mapping[str, Any], config: RunConfig, input_shape: tuple[int, ...]
) -> tuple[Member, ...]:
    """The networks with their weights, ready to predict.

    Args:
        folder: of the bundle.
        model: content of ``model.yaml``.
        config: the model's configuration.
        input_shape: of one input, (1, X, Y, Z).

    Raises:
        BundleError: if one is damaged, or the weights are of other networks.
    """
    path = folder / MODEL
    described = model["members"]
    if not (isinstance(described, list) and described):
        raise BundleError(f"{path}: damaged: members: expected a list, got {described!r}")
    members = [_member(path, each, config, input_shape) for each in described]
    _load_weights(folder, members)
    return tuple(members)


def _member(path: Path, described: Any, config: RunConfig, input_shape: tuple[int, ...]) -> Member:
    """A network that is built and has no weights yet."""
    try:
        name, overrides = str(described["name"]), tuple(described["overrides"])
        task = _task(path, described["task"])
    except (KeyError, TypeError) as error:
        raise BundleError(f"{path}: damaged: members: {error}") from error
    try:
        own = with_overrides(config, overrides) if overrides else config
    except ConfigError as error:
        raise BundleError(f"{path}: members.{name}: {error}") from error
    chain, _ = build_network(own, task, input_shape, seed=0)
    return Member(name, task, chain.eval(), overrides)


def _task(path: Path, values: Any) -> Task:
    try:
        return task_from_mapping(values)
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path}: damaged: task: {error}") from error


def _load_weights(folder: Path, members: list[Member]) -> None:
    path = folder / WEIGHTS
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path}: damaged: {error}") from error
    expected = {
        f"{member.name}/{name}": tuple(value.shape)
        for member in members
        for name, value in member.chain.state_dict().items()
    }
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if expected != found:
        differing = sorted(
            name for name in expected.keys() | found.keys()
            if expected.get(name) != found.get(name)
        )  # fmt: skip
        raise BundleError(
            f"{path}: does not fit the networks of {MODEL}: {differing[0]} has shape "
            f"{found.get(differing[0])}, expected {expected.get(differing[0])} "
            f"({len(differing)} differences)"
        )
    for member in members:
        _fill(member.chain, member.name, weights)


def _fill(chain: BlockChain, name: str, weights: Mapping[str, Tensor]) -> None:
    prefix = f"{name}/"
    own = {
        key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)
    }
    chain.load_state_dict(own)
