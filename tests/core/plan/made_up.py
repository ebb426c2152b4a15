"""Costs of a network that does not exist, in round numbers."""

from collections.abc import Sequence

from brainage.core.measure import StageMemory
from brainage.core.plan.costs import HeadCosts, NetworkCosts, StageCosts, Timed, TransferCosts

NO_MEMORY = StageMemory(0, 0, False, 0, 0, False)
NO_HEAD = HeadCosts(Timed(0, 0), Timed(0, 0), 0.0, NO_MEMORY)
FREE = TransferCosts(0.0, 0.0, "free")


def stage(
    forward: float,
    *,
    spared: float = 0.0,
    update: float = 0.0,
    parameters: int = 0,
    saved: int = 0,
    features: int = 0,
    inputs: int = 0,
) -> StageCosts:
    """A stage whose backward pass takes twice its forward pass; seconds are of one sample.

    ``spared``: of the backward pass, where the input gets no gradient. Bytes are of a batch.
    """
    return StageCosts(
        Timed(0, forward),
        Timed(0, 2 * forward),
        Timed(0, 2 * forward - spared),
        update,
        StageMemory(parameters, inputs, False, saved, features, False),
    )


def network(
    stages: Sequence[StageCosts],
    *,
    batch_size: int = 1,
    heads: HeadCosts = NO_HEAD,
    output: HeadCosts = NO_HEAD,
    state_bytes: int = 8,
) -> NetworkCosts:
    """The same heads behind every stage."""
    return NetworkCosts(tuple(stages), (heads,) * len(stages), output, batch_size, state_bytes)


def equal_stages(number: int, *, batch_size: int = 1) -> NetworkCosts:
    """Stages of one second forward and two seconds backward for a sample."""
    return network([stage(1.0) for _ in range(number)], batch_size=batch_size)
