"""What reads a block's features: the workers, and the output head.

Shape letters: B samples, W workers, C outputs of one worker, F pooled features.
"""

import math

import torch
from torch import Tensor, nn

from brainage.core.config import HeadConfig


class PooledFeatures(nn.Module):
    """Average-pools features (B, channels, *spatial) to (B, channels, positions).

    Each axis keeps at most ``pooled_size`` positions. Features without spatial axes, shape
    (B, channels), become (B, channels, 1). The smaller of size and limit is taken per axis, since
    pooling three positions to four would only repeat some.
    """

    def __init__(self, feature_shape: tuple[int, ...], pooled_size: int) -> None:
        super().__init__()
        self.channels, *spatial = feature_shape
        self.pooled_shape = tuple(min(size, pooled_size) for size in spatial)
        self.num_positions = math.prod(self.pooled_shape)
        pools = {0: nn.Identity, 1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d}
        kind = pools.get(len(spatial), nn.AdaptiveAvgPool3d)
        self.pool = kind(self.pooled_shape) if spatial else kind()

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, channels, *spatial) to (B, channels, positions)."""
        pooled: Tensor = self.pool(features)
        return pooled.reshape(features.shape[0], self.channels, self.num_positions)


class BlockWorkers(nn.Module):
    """W workers that each read all features: (B, channels, positions) to outputs (B, W, C).

    Args:
        size: F = channels * positions.
        num_outputs: C.
        config: number of workers and dropout.
        initial_bias: C numbers, the bias each worker starts from.
    """

    def __init__(
        self, size: int, num_outputs: int, config: HeadConfig, initial_bias: list[float]
    ) -> None:
        super().__init__()
        assert config.num_lf_workers is not None, "only units count themselves"
        self.num_workers = config.num_lf_workers
        self.num_outputs = num_outputs
        self.dropout = nn.Dropout(config.dropout)
        # One matrix for all workers: as many small ones would cost more time than they compute.
        self.linear = nn.Linear(size, self.num_workers * num_outputs)
        with torch.no_grad():
            self.linear.bias.copy_(torch.tensor(initial_bias).repeat(self.num_workers))

    def forward(self, pooled: Tensor) -> Tensor:
        """Pooled features (B, channels, positions) to outputs (B, W, C)."""
        outputs: Tensor = self.linear(self.dropout(pooled.flatten(1)))
        return outputs.reshape(len(pooled), self.num_workers, self.num_outputs)


class GroupWorkers(nn.Module):
    """W workers that each read their own channels: (B, channels, positions) to (B, W, C).

    Args:
        channels: feature channels of the block.
        num_positions: pooled positions of each channel.
        num_outputs: C.
        config: number of workers and dropout.
        initial_bias: C numbers, the bias each worker starts from.

    Raises:
        ValueError: if the workers cannot share the channels evenly.
    """

    def __init__(
        self,
        channels: int,
        num_positions: int,
        num_outputs: int,
        config: HeadConfig,
        initial_bias: list[float],
    ) -> None:
        super().__init__()
        assert config.num_lf_workers is not None, "only units count themselves"
        self.num_workers = config.num_lf_workers
        if channels % self.num_workers:
            raise ValueError(
                f"heads.readout group: {channels} channels do not divide among "
                f"{self.num_workers} workers; choose another heads.num_lf_workers"
            )
        size = channels // self.num_workers * num_positions
        bound = 1 / math.sqrt(size)
        self.dropout = nn.Dropout(config.dropout)
        self.weight_WFC = nn.Parameter(torch.empty(self.num_workers, size, num_outputs))
        nn.init.uniform_(self.weight_WFC, -bound, bound)
        # One axis, as biases have: weight decay leaves those alone.
        self.bias = nn.Parameter(torch.tensor(initial_bias).repeat(self.num_workers))

    def forward(self, pooled: Tensor) -> Tensor:
        """Pooled features (B, channels, positions) to outputs (B, W, C)."""
        read_BWF = self.dropout(pooled).reshape(len(pooled), self.num_workers, -1)
        outputs_BWC = torch.einsum("bwf,wfc->bwc", read_BWF, self.weight_WFC)
        return outputs_BWC + self.bias.reshape(1, self.num_workers, -1)


class UnitWorkers(nn.Module):
    """Workers that are units of the layer itself: no parameter is added.

    Worker w is the C channels from w * C on; the average of each over all positions is one of its
    C outputs, read as logits, or as the standardised age where C is 1. Channels are neurons of a
    fully connected layer, filters of a convolution, or embedding dimensions behind attention.

    Args:
        channels: of the block's features.
        num_outputs: C.
        num_workers: W; None for as many as there are.

    Raises:
        ValueError: unless the workers use every channel exactly once.
    Source: supplement, "MNIST" (each worker has as many neurons as there are classes).
    """

    def __init__(self, channels: int, num_outputs: int, num_workers: int | None) -> None:
        super().__init__()
        self.num_workers = channels // num_outputs if num_workers is None else num_workers
        self.num_outputs = num_outputs
        if self.num_workers < 1 or self.num_workers * num_outputs != channels:
            wanted = "workers" if num_workers is None else f"{num_workers} workers"
            raise ValueError(
                f"heads.readout units: {channels} channels are not {wanted} of {num_outputs} "
                "outputs; change the backbone's width or heads.num_lf_workers, or use readout "
                "'group' or 'block'"
            )

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, channels, *spatial) to outputs (B, W, C)."""
        means = features.flatten(2).mean(2) if features.ndim > 2 else features
        return means.reshape(len(features), self.num_workers, self.num_outputs)


class OutputHead(nn.Module):
    """A block's own prediction: features (B, channels, positions) to outputs (B, C).

    Linear, or with one hidden layer. ``probe`` heads read detached features: they show what the
    block knows without changing it.

    Args:
        size: channels * positions of the pooled features.
        num_outputs: C.
        config: width of the hidden layer, dropout.
        initial_bias: C numbers.
        probe: whether features are detached.
    """

    def __init__(
        self,
        size: int,
        num_outputs: int,
        config: HeadConfig,
        initial_bias: list[float],
        *,
        probe: bool,
    ) -> None:
        super().__init__()
        self.probe = probe
        layers: list[nn.Module] = [nn.Flatten(), nn.Dropout(config.dropout)]
        if config.hidden_size is not None:
            layers += [nn.Linear(size, config.hidden_size), nn.ReLU()]
        last = nn.Linear(config.hidden_size or size, num_outputs)
        with torch.no_grad():
            last.bias.copy_(torch.tensor(initial_bias))
        self.layers = nn.Sequential(*layers, last)

    def forward(self, pooled: Tensor) -> Tensor:
        """Pooled features (B, channels, positions) to outputs (B, C)."""
        outputs: Tensor = self.layers(pooled.detach() if self.probe else pooled)
        return outputs


Workers = BlockWorkers | GroupWorkers | UnitWorkers
"""The three readouts."""
