"""What each stage of a chain costs: bytes, exact and repeatable, and seconds, which are neither.

A *stage* is any module from a tensor to a tensor, or a ``Block``, whose features go on. Measuring
leaves no trace: running statistics, gradients and random generators are as before. One stage is
measured at a time, so measuring needs no more memory than the largest of them.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call

from brainage.core.random import random_stream
from brainage.core.timing import synchronize

Precision = Literal["float32", "bfloat16"]

TIMED_REPEATS = 5
"""Repeats of which the median is taken."""
GRADIENT_BYTES = 4
"""Of one parameter; gradients are float32 whatever precision the forward pass has."""
WARMUP_REPEATS = 2
"""Repeats before those: the first ones allocate memory and choose kernels."""


@dataclass(frozen=True)
class StageMemory:
    """Memory of one stage for one batch, in bytes.

    ``saved_bytes`` is what the stage keeps for its backward pass beside its input, its output and
    its parameters; a storage counts once, whole, however often it is saved.
    """

    num_parameters: int
    input_bytes: int
    input_is_saved: bool
    saved_bytes: int
    output_bytes: int
    output_is_saved: bool


@dataclass(frozen=True)
class StageSeconds:
    """Time of one stage for one batch, in seconds.

    ``backward_as_first`` is the backward pass of a block's first stage, whose input gets no
    gradient.
    """

    forward: float
    backward: float
    backward_as_first: float


def activation_bytes(stages: Sequence[StageMemory]) -> int:
    """What consecutive stages hold at once when they are one block: A_k + X_k and their output.

    Between two stages the tensor is held where either keeps it for its backward pass.
    """
    held = stages[0].input_bytes + stages[-1].output_bytes
    held += sum(stage.saved_bytes for stage in stages)
    for before, after in itertools.pairwise(stages):
        if before.output_is_saved or after.input_is_saved:
            held += before.output_bytes
    return held


def block_bytes(stages: Sequence[StageMemory]) -> int:
    """What consecutive stages need at most when they are one block: activations and gradients."""
    parameters = sum(stage.num_parameters for stage in stages)
    return activation_bytes(stages) + GRADIENT_BYTES * parameters


def block_seconds(stages: Sequence[StageSeconds]) -> float:
    """Forward and backward time of consecutive stages when they are one isolated block."""
    first, *rest = stages
    return (
        first.forward
        + first.backward_as_first
        + sum(stage.forward + stage.backward for stage in rest)
    )


def measure_memory(
    stages: Iterable[nn.Module],
    input_shape: tuple[int, ...],
    batch_size: int,
    *,
    device: torch.device | None = None,
    precision: Precision = "float32",
) -> list[StageMemory]:
    """Memory of every stage in training, by running each forward once.

    Args:
        stages: in order; moved to the device.
        input_shape: shape of one input without the batch axis.
        batch_size: B.
        device: where they run; the CPU if None.
        precision: of the forward pass.
    """
    device = device or torch.device("cpu")
    measured = []
    for index, stage, inputs in _inputs_of(stages, input_shape, batch_size, device, precision):
        inputs.requires_grad_(index > 0)
        saved: list[Tensor] = []  # holding the tensors keeps their addresses from being reused
        with saved_tensors_hooks(_remember_in(saved), _unpack):
            result, features = _run(stage, inputs, precision)
        sizes = {_address(tensor): tensor.untyped_storage().nbytes() for tensor in saved}
        for parameter in stage.parameters():
            sizes.pop(_address(parameter), None)
        input_is_saved = sizes.pop(_address(inputs), None) is not None
        output_is_saved = sizes.pop(_address(features), None) is not None
        measured.append(
            StageMemory(
                num_parameters=sum(p.numel() for p in stage.parameters()),
                input_bytes=inputs.untyped_storage().nbytes(),
                input_is_saved=input_is_saved,
                saved_bytes=sum(sizes.values()),
                output_bytes=features.untyped_storage().nbytes(),
                output_is_saved=output_is_saved,
            )
        )
        del result
    return measured


def measure_seconds(
    stages: Iterable[nn.Module],
    input_shape: tuple[int, ...],
    batch_size: int,
    *,
    device: torch.device | None = None,
    precision: Precision = "float32",
    repeats: int = TIMED_REPEATS,
) -> list[StageSeconds]:
    """Forward and backward time of every stage in training: medians after a warm-up.

    Args:
        stages: in order; moved to the device.
        input_shape: shape of one input without the batch axis.
        batch_size: B.
        device: where they run; the CPU if None.
        precision: of the forward pass.
        repeats: timed repeats of every stage.
    """
    device = device or torch.device("cpu")
    measured = []
    for index, stage, inputs in _inputs_of(stages, input_shape, batch_size, device, precision):
        as_first = _time_stage(stage, inputs, precision, repeats)
        inner = as_first
        if index > 0:
            inner = _time_stage(stage, inputs.requires_grad_(), precision, repeats)
        measured.append(StageSeconds(inner[0], inner[1], as_first[1]))
    return measured


def _time_stage(
    stage: nn.Module, inputs: Tensor, precision: Precision, repeats: int
) -> tuple[float, float]:
    """Median seconds of the forward and of the backward pass."""
    forward, backward = [], []
    wanted: list[Tensor] = [p for p in stage.parameters() if p.requires_grad]
    wanted += [inputs] if inputs.requires_grad else []
    for _ in range(WARMUP_REPEATS + repeats):
        started = _now(inputs.device)
        result, features = _run(stage, inputs, precision)
        forward.append(_now(inputs.device) - started)
        if features.requires_grad:
            gradient = torch.ones_like(features)
            resumed = _now(inputs.device)
            torch.autograd.grad(features, wanted, gradient, allow_unused=True)
            backward.append(_now(inputs.device) - resumed)
        else:
            backward.append(0.0)
        del result, features
    kept = slice(WARMUP_REPEATS, None)
    return statistics.median(forward[kept]), statistics.median(backward[kept])


def _inputs_of(
    stages: Iterable[nn.Module],
    input_shape: tuple[int, ...],
    batch_size: int,
    device: torch.device,
    precision: Precision,
) -> Iterator[tuple[int, nn.Module, Tensor]]:
    """Every stage in training mode with a leaf tensor like the one it gets in the chain."""
    with random_stream(0, "measure"):
        inputs = torch.randn(batch_size, *input_shape).to(device)
        for index, stage in enumerate(stages):
            stage.to(device)
            modes = {module: module.training for module in stage.modules()}
            stage.train()
            try:
                yield index, stage, inputs.detach()
                with torch.no_grad():
                    inputs = _run(stage, inputs.detach(), precision)[1]
            finally:
                for module, training in modes.items():
                    module.training = training


def _run(stage: nn.Module, inputs: Tensor, precision: Precision) -> tuple[Any, Tensor]:
    """The stage's whole result, which holds the graph, and its features.

    It works on copies of the buffers, so that running statistics stay what they are.
    """
    buffers = {name: buffer.clone() for name, buffer in stage.named_buffers()}
    with _autocast(inputs.device, precision):
        result = functional_call(stage, buffers, (inputs,))
    features = result if isinstance(result, Tensor) else result.features
    assert isinstance(features, Tensor)
    return result, features


def _autocast(device: torch.device, precision: Precision) -> AbstractContextManager[None]:
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _remember_in(saved: list[Tensor]) -> Callable[[Tensor], Tensor]:
    def pack(tensor: Tensor) -> Tensor:
        # Without its graph, which holds what is returned here: a circle that nobody would free.
        kept = tensor.detach()
        saved.append(kept)
        return kept

    return pack


def _unpack(tensor: Tensor) -> Tensor:
    return tensor


def _now(device: torch.device) -> float:
    synchronize(device)
    return time.perf_counter()
