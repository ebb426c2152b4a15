"""What ``brainage plan`` finds: plans, what they promise, and what was measured to find them."""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from brainage.config.plan import Planned
from brainage.core.plan.planner import Plan, Planner
from brainage.core.plan.predictions import BASELINE, Prediction, advice
from brainage.core.plan.schedules import Surroundings
from brainage.core.speed import SpeedCase

TOLERANCE = 1.15
"""Stages add up to the whole step within this factor on a quiet machine."""


@dataclass(frozen=True)
class Projection:
    """A plan with its predictions.

    ``rows``: on devices of their own. ``here``: as processes that share this machine's cores, in
    the same order; empty where they do not. ``published``: a speedup to stand beside.
    """

    devices: int
    plan: Plan
    rows: tuple[Prediction, ...]
    here: tuple[Prediction, ...] = ()
    published: float | None = None

    def row(self, engine: str, method: str | None = None) -> Prediction:
        """The prediction for one engine (and rule)."""
        return next(
            row for row in self.rows if row.engine == engine and method in {None, row.method}
        )


@dataclass(frozen=True)
class WholeSteps:
    """Steps of one device as measured whole, in seconds, and what their stages add up to."""

    bp: float
    bp_added: float
    rule: float
    rule_added: float

    @property
    def disturbed(self) -> bool:
        """Whether the sums are so far off that something else must have used the device."""
        shares = (self.bp_added / self.bp, self.rule_added / self.rule)
        return not all(1 / TOLERANCE < share < TOLERANCE for share in shares)


@dataclass(frozen=True, kw_only=True)
class PlanResult:
    """Plans for one network.

    ``further``: plans for other numbers of devices, by simulation only. ``configured``: the plan
    with as many blocks as configured, where that was left free. ``around``: this machine, where
    processes share it.
    """

    planned: Planned
    case: SpeedCase
    planner: Planner
    projections: tuple[Projection, ...]
    further: tuple[Projection, ...]
    configured: Projection | None
    whole: WholeSteps
    around: Surroundings | None
    device_name: str

    def to_json(self) -> dict[str, Any]:
        """The same numbers; ``kind`` says which were measured and which projected."""
        case = self.case
        return {
            "name": self.planned.name,
            "backbone": case.backbone,
            "input_shape": list(case.input_shape),
            "batch_size": case.batch_size,
            "precision": case.engine.precision,
            "method": case.method,
            "device_name": self.device_name,
            "torch_version": torch.__version__,
            "baseline": BASELINE,
            "stages": self._stages(),
            "whole_steps": {"kind": "measured", **asdict(self.whole)},
            "transfer": {
                "kind": "given" if self.around is None and case.device == "cpu" else "measured",
                **asdict(self.planner.transfer),
            },
            "machine": self._machine(),
            "plans": [_plan(each) for each in self.projections],
            "as_configured": None if self.configured is None else _plan(self.configured),
            "simulated": [_plan(each) for each in self.further],
        }

    def _stages(self) -> list[dict[str, Any]]:
        costs, size = self.planner.costs, self.case.batch_size
        rows = []
        for stage, head in zip(costs.stages, costs.heads, strict=True):
            rows.append(
                {
                    "kind": "measured",
                    "forward_seconds": stage.forward.at(size),
                    "backward_seconds": stage.backward.at(size),
                    "backward_as_first_seconds": stage.backward_as_first.at(size),
                    "update_seconds": stage.update,
                    "head_seconds": head.forward.at(size) + head.backward.at(size),
                    "head_update_seconds": head.update,
                    "parameters": stage.memory.num_parameters,
                    "head_parameters": head.memory.num_parameters,
                    "saved_bytes": stage.memory.saved_bytes,
                    "output_bytes": stage.memory.output_bytes,
                }
            )
        return rows

    def _machine(self) -> dict[str, Any] | None:
        if self.around is None or self.around.shared is None:
            return None
        return {"kind": "measured", **asdict(self.around.shared)}


def _plan(projection: Projection) -> dict[str, Any]:
    plan = projection.plan
    return {
        "kind": "projected",
        "devices_asked": projection.devices,
        "devices": plan.num_devices,
        "goal": plan.goal,
        "bound": plan.bound,
        "stage_counts": list(plan.stage_counts),
        "settings": {key: _plain(value) for key, value in plan.settings().items()},
        "advice": advice(projection.rows, plan.goal),
        "published_speedup": projection.published,
        "rows": [asdict(row) for row in projection.rows],
        "rows_on_this_machine": [asdict(row) for row in projection.here],
    }


def _plain(value: int | tuple[int, ...]) -> int | list[int]:
    return list(value) if isinstance(value, tuple) else value
