"""Pipelined back-propagation (1F1B) over several devices: what each of them does, holds and sends.

A micro-batch is one sample, so that a batch gives as many of them as it can.
"""

from dataclasses import dataclass
from itertools import pairwise

from brainage.core.measure import GRADIENT_BYTES
from brainage.core.partition import balanced_cuts
from brainage.core.plan.costs import NetworkCosts, TransferCosts
from brainage.core.plan.schedules import StageLoad


@dataclass(frozen=True)
class PipelineStage:
    """One device of the pipeline; bytes are of a step, ``load`` of a micro-batch."""

    load: StageLoad
    memory_bytes: float
    sent_bytes: float


def pipeline_stages(
    costs: NetworkCosts, transfer: TransferCosts, num_devices: int
) -> list[PipelineStage]:
    """The network cut so that no device takes longer than it has to.

    Raises:
        ValueError: if there are fewer stages than devices.
    """

    def seconds(first: int, stop: int) -> float:
        times = costs.pipeline_times(first, stop, 1)
        return times.total - times.update

    cuts = balanced_cuts(costs.num_stages, num_devices, seconds)
    parts = list(pairwise((0, *cuts, costs.num_stages)))
    return [
        _stage(costs, transfer, first, stop, ahead=len(parts) - index)
        for index, (first, stop) in enumerate(parts)
    ]


def _stage(
    costs: NetworkCosts, transfer: TransferCosts, first: int, stop: int, *, ahead: int
) -> PipelineStage:
    """Stages ``first`` to ``stop - 1``, which hold up to ``ahead`` micro-batches at once."""
    size = costs.batch_size
    times = costs.pipeline_times(first, stop, 1)
    head = costs.output if stop == costs.num_stages else None
    features = 0.0 if head else costs.features_bytes(stop, 1)
    load = StageLoad(
        forward=times.before_send,
        backward=times.head_backward + times.backward,
        update=times.update,
        transfer=transfer.seconds(features),
    )
    parameters = costs.parameters(first, stop) + (head.memory.num_parameters if head else 0)
    weights = costs.resident_bytes(parameters) + GRADIENT_BYTES * parameters
    held = min(size, ahead) * costs.activations(first, stop, 1, head)
    gradients_back = costs.input_bytes(first, size) if first > 0 else 0.0
    return PipelineStage(load, weights + held, features * size + gradients_back)
