"""Gradients of data-parallel replicas, added up; every replica's loss is weighted by its share."""

from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from brainage.core.ranks import short_reason
from brainage.errors import RankError


class GradientSum:
    """Adds up gradients over a group of ranks, a block's in one message.

    Args:
        group: the replicas; None is everyone.
    """

    def __init__(self, group: dist.ProcessGroup | None) -> None:
        self.group = group

    def begin(self, parameters: Sequence[nn.Parameter]) -> "PendingSum":
        """Start adding up the gradients of these parameters; a missing one counts as zero."""
        flat = torch.cat([_gradient(p).reshape(-1) for p in parameters])
        work = dist.all_reduce(flat, group=self.group, async_op=True)
        assert work is not None
        return PendingSum(parameters, flat, work)


class PendingSum:
    """A sum under way."""

    def __init__(self, parameters: Sequence[nn.Parameter], flat: Tensor, work: dist.Work) -> None:
        self.parameters = parameters
        self.flat = flat
        self.work = work

    def finish(self) -> None:
        """Wait for the sum and make it the parameters' gradient.

        Raises:
            RankError: if a replica is gone or does not answer in time.
        """
        try:
            self.work.wait()
        except RuntimeError as error:
            reason = short_reason(error)
            raise RankError(f"rank {dist.get_rank()}: a replica is gone: {reason}") from error
        parts = torch.split(self.flat, [p.numel() for p in self.parameters])
        for parameter, part in zip(self.parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)


def trained_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Parameters that get gradients."""
    return [p for p in module.parameters() if p.requires_grad]


@torch.no_grad()
def share_buffers(
    modules: Iterable[nn.Module], source: int, group: dist.ProcessGroup | None
) -> None:
    """Give all replicas the first one's buffers: running statistics, remembered losses."""
    for module in modules:
        for buffer in module.buffers():
            dist.broadcast(buffer, source, group=group)


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
