"""Costs of a network, stage by stage, with the clock on the device that it would train on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from brainage.core.plan.costs import HeadCosts, NetworkCosts, StageCosts, Timed, timed
from brainage.core.plan.walk import Walk
from brainage.core.speed import SpeedCase
from brainage.core.training_config import OptimizerConfig

ROUNDS = 5
"""Rounds of which medians are taken, at least."""
SECONDS = 3.0
"""Rounds go on until so much time has passed: a small network needs more of them."""


def measure_costs(
    case: SpeedCase,
    *,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
    report: Callable[[str], None] = lambda _: None,
) -> NetworkCosts:
    """Costs of every stage of a network, for one sample and for a batch.

    Args:
        case: the network, its heads and optimizer, and where it runs. Its rule is an isolated one;
            how it is cut does not matter.
        rounds: timed walks through the network at least, after a warm-up.
        seconds: time that they take at least.
        report: told what is being measured.

    Raises:
        ValueError: if heads do not fit behind a stage.
    """
    with _threads(case.num_threads):
        walk = Walk(case)
        report(f"cost of {walk.num_stages} stages, one sample and a batch of {case.batch_size}")
        laps = walk.measure(rounds, seconds)
        stages, heads = walk.memories()
    one, whole = laps[1], laps[case.batch_size]

    def line(index: int, name: str) -> Timed:
        return timed(one[index, name], whole[index, name], case.batch_size)

    def costs_of_heads(index: int) -> HeadCosts:
        update = whole[index, "head_update"]
        return HeadCosts(
            line(index, "head_forward"), line(index, "head_backward"), update, heads[index]
        )

    num_stages = walk.num_stages
    return NetworkCosts(
        stages=tuple(
            StageCosts(
                line(index, "forward"),
                line(index, "backward"),
                line(index, "backward_as_first"),
                whole[index, "update"],
                memory,
            )
            for index, memory in enumerate(stages)
        ),
        heads=tuple(costs_of_heads(index) for index in range(num_stages)),
        output=costs_of_heads(num_stages),
        batch_size=case.batch_size,
        state_bytes=state_bytes(case.optimizer),
    )


def state_bytes(config: OptimizerConfig) -> int:
    """What the optimizer keeps for one parameter: two moments, one, or none."""
    if config.name == "sgd":
        return 4 if config.momentum > 0 else 0
    return 8


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """So many threads of the CPU's kernels for the body."""
    before = torch.get_num_threads()
    if number is not None:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
