"""Auxiliary networks between a hidden block's features and its heads. They serve training alone.

Both kinds map features (B, channels, *spatial) to what the heads read.
"""

import copy
import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

MOST_GROUPS = 8
LEAST_VALUES = 16
"""Values in one group of a normalisation, where there are as many: of one, nothing would remain."""
SHRINKING = 4
"""MLP-SR averages every axis down by this factor first."""
LAST_SIZE = 2
"""Positions along each axis that MLP-SR's fully connected layers read."""

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_POOLS = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


def build_mlp_sr(feature_shape: tuple[int, ...]) -> nn.Sequential:
    """DGL's auxiliary network with spatial reduction, up to its last linear layer.

    Average pooling to a quarter of each axis, three 1x1 convolutions with normalisation and ReLU,
    average pooling to 2 positions an axis, two fully connected layers as wide as the channels. The
    third is the head behind it. Without spatial axes only the fully connected layers remain.

    Args:
        feature_shape: (channels, *spatial) of the block's features.

    Returns:
        A module from features (B, channels, *spatial) to (B, channels).
    Source: Belilovsky et al. 2020, ICML, "MLP-SR-aux"; group normalisation takes the place of
    batch normalisation, because batches of one are usual for volumes.
    """
    channels, *spatial = feature_shape
    layers: list[nn.Module] = []
    size = channels
    if spatial:
        axes = len(spatial)
        shrunk = tuple(math.ceil(n / SHRINKING) for n in spatial)
        layers.append(_POOLS[axes](shrunk))
        for _ in range(3):
            norm = _norm(channels, math.prod(shrunk))
            layers += [_CONVOLUTIONS[axes](channels, channels, 1, bias=False), norm, nn.ReLU()]
        last = tuple(min(LAST_SIZE, n) for n in shrunk)
        layers += [_POOLS[axes](last), nn.Flatten()]
        size = channels * math.prod(last)
    layers += [nn.Linear(size, channels), nn.ReLU(), nn.Linear(channels, channels), nn.ReLU()]
    return nn.Sequential(*layers)


def _norm(channels: int, num_positions: int) -> nn.Module:
    """Group normalisation with at most 8 groups, fewer where they would hold too few values."""
    if channels * num_positions == 1:
        return nn.Identity()
    groups = math.gcd(channels, MOST_GROUPS)
    while groups > 1 and channels // groups * num_positions < LEAST_VALUES:
        groups //= 2
    return nn.GroupNorm(groups, channels)


def build_downstream(
    feature_shape: tuple[int, ...],
    stages: Sequence[nn.Module],
    stage_shapes: Sequence[tuple[int, ...]],
    depth: int,
) -> nn.Sequential | None:
    """An auxiliary network of stages like those behind the block, chosen uniformly by depth.

    The stages are copied with fresh weights. Where one does not fit its input, an adapter (average
    pooling and a 1x1 convolution) brings it to the shape that stage is used to.

    Args:
        feature_shape: (channels, *spatial) of the block's features.
        stages: all stages behind the block.
        stage_shapes: the input shape of each of them.
        depth: how many to take; the last one is always among them.

    Returns:
        A module on features, or None when there is no stage left.
    Source: Ma et al. 2024, ICLR, "AugLocal" (uniform sampling of the layers downstream).
    """
    layers: list[nn.Module] = []
    shape = feature_shape
    for index in _uniform(len(stages), depth):
        if shape != stage_shapes[index]:
            layers.append(_adapter(shape, stage_shapes[index]))
        layers.append(_with_fresh_weights(stages[index]))
        shape = _shape_behind(stages, stage_shapes, index)
    return nn.Sequential(*layers) if layers else None


def _uniform(num_stages: int, depth: int) -> list[int]:
    """``depth`` indices spread evenly over the stages, the last one included."""
    if depth >= num_stages:
        return list(range(num_stages))
    return [math.ceil(num_stages * (k + 1) / depth) - 1 for k in range(depth)]


def _shape_behind(
    stages: Sequence[nn.Module], stage_shapes: Sequence[tuple[int, ...]], index: int
) -> tuple[int, ...]:
    if index + 1 < len(stages):
        return stage_shapes[index + 1]
    return output_shape(stages[index], stage_shapes[index])


def _adapter(shape: tuple[int, ...], wanted: tuple[int, ...]) -> nn.Module:
    """From one feature shape to another: average pooling (or repetition), then channels."""
    if len(shape) == 1 or len(wanted) == 1:
        linear = nn.Linear(math.prod(shape), math.prod(wanted))
        return nn.Sequential(nn.Flatten(), linear, nn.Unflatten(1, wanted))
    axes = len(shape) - 1
    pool = _POOLS[axes](wanted[1:])
    return nn.Sequential(pool, _CONVOLUTIONS[axes](shape[0], wanted[0], 1))


def _with_fresh_weights(stage: nn.Module) -> nn.Module:
    """A copy of the stage whose layers drew new initial weights.

    Position embeddings and the like, which no layer resets, are drawn from a normal distribution
    with their own mean and standard deviation; what is constant stays so.
    """
    fresh = copy.deepcopy(stage)
    for module in fresh.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
            continue
        for parameter in module.parameters(recurse=False):
            with torch.no_grad():
                spread, mean = torch.std_mean(parameter, correction=0)
                parameter.normal_(float(mean), float(spread))
    return fresh


def output_shape(module: nn.Module, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the module's output for one input, without leaving a trace in the module.

    Raises:
        RuntimeError: if the input does not fit.
    """
    modes = {each: each.training for each in module.modules()}
    parameter = next(itertools.chain(module.parameters(), module.buffers()), None)
    example = torch.zeros(1, *input_shape)
    if parameter is not None and parameter.is_floating_point():
        example = example.to(parameter)
    module.eval()
    try:
        with torch.no_grad():
            output: Tensor = module(example)
    finally:
        for each, training in modes.items():
            each.training = training
    return tuple(output.shape[1:])
