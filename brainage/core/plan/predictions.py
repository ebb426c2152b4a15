"""One way to train a network on some devices, what it is predicted to cost, and which is best."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from brainage.core.plan.planner import Goal

Engine = Literal["single", "checkpointed", "blocks", "ddp", "pipeline_1f1b"]

BASELINE = "bp on one device, same batch"
CLEARLY_BETTER = 0.97
"""Another way is named where it needs less than this share of what blocks need."""

_NAMES: dict[Engine, str] = {
    "single": "one device",
    "checkpointed": "one device with checkpoints",
    "ddp": "DDP",
    "pipeline_1f1b": "a 1F1B pipeline",
}
_SETTINGS: dict[Engine, list[str]] = {
    "ddp": ["parallel.engine=ddp"],
    "checkpointed": ["engine.recompute_activations=true"],
}


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One way to train. Without ``step_seconds`` it cannot be done: ``note`` says why.

    ``peak_memory_bytes``: of the largest device: weights, optimizer state, gradients, activations,
    buffers; not the kernels' scratch memory nor the interpreter. ``traffic_bytes``: what the
    busiest device sends in a step. ``speedup``: over ``baseline``.
    """

    method: str
    engine: Engine
    devices: int
    replicas: tuple[int, ...]
    blocks: int
    batch_size: int
    step_seconds: float | None = None
    speedup: float | None = None
    peak_memory_bytes: float | None = None
    traffic_bytes: float | None = None
    note: str = ""
    baseline: str = BASELINE
    kind: Literal["projected"] = "projected"

    def cost(self, goal: Goal) -> float:
        """Seconds of a step or bytes of the largest device; infinite where it cannot be done."""
        value = self.step_seconds if goal == "time" else self.peak_memory_bytes
        return float("inf") if value is None else value

    def describe_cost(self, goal: Goal) -> str:
        """The same for people."""
        if goal == "time":
            return f"{self.cost(goal):.4g} s a step"
        return f"{self.cost(goal) / 1e9:.3g} GB a device"


def advice(rows: Sequence[Prediction], goal: Goal) -> str:
    """A line that says whether another way is better than blocks, and what to set for it.

    A way that keeps the training rule goes before one that does not.
    """
    (blocks,) = (row for row in rows if row.engine == "blocks")
    better = [row for row in rows if row.cost(goal) < CLEARLY_BETTER * blocks.cost(goal)]
    if not better and blocks.devices > 1 and len(blocks.replicas) == 1:
        return (
            "use DDP (--set parallel.engine=ddp): the best plan has all blocks on every device and "
            "splits the batch, which is what DDP does"
        )
    if not better:
        wanted = "shorter step" if goal == "time" else "smaller device"
        return f"use blocks: no other way has a clearly {wanted}"
    best = min(better, key=lambda row: (row.method != blocks.method, row.cost(goal)))
    settings = [] if best.method == blocks.method else [f"objective.name={best.method}"]
    settings += _SETTINGS.get(best.engine, [])
    how = f"; --set {' --set '.join(settings)}" if settings else ""
    if best.engine == "pipeline_1f1b":
        how = ", which training does not offer"
    against = f"{best.describe_cost(goal)} against {blocks.describe_cost(goal)} with blocks"
    return f"use {_NAMES[best.engine]} instead: {best.method} takes {against}{how}"
