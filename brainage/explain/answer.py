"""The function that is explained: from a volume to the age a model answers, in years.

It is the mean over the model's networks, of the scan as it is: the moved views that `predict` may
ask about, too, would smear a map.

Shape letters: B volumes, C channels.
"""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from brainage.bundle.answer import answered_years, block_of
from brainage.bundle.model import Member
from brainage.core.blocks import BlockChain
from brainage.core.heads import OutputHead
from brainage.core.memory_layout import use_channels_last, with_channels_last

Advance = Callable[[int], object]


class AnswerNetwork(nn.Module):
    """Ages of volumes that are given as their difference from a baseline.

    With the baseline at zero, a place of a volume is taken away by setting it to zero, whatever the
    baseline is: both methods then mean the same by "nothing is there".

    Args:
        members: networks of the model; they are copied and stay as they are.
        answer: ``last``, ``ensemble`` or ``block2``, as the bundle has it.
        baseline_XYZ: volume to compare with, see `baseline`.
        advance: told how many volumes were answered.
    """

    baseline_CXYZ: Tensor

    def __init__(
        self,
        members: Sequence[Member],
        answer: str,
        baseline_XYZ: npt.NDArray[np.float32],
        advance: Advance = lambda _rows: None,
    ) -> None:
        super().__init__()
        self._tasks = [member.task for member in members]
        self._chains = nn.ModuleList(differentiable(member.chain) for member in members)
        self._answer = answer
        self._advance = advance
        self.register_buffer("baseline_CXYZ", torch.from_numpy(baseline_XYZ)[None])

    def forward(self, difference_BCXYZ: Tensor) -> Tensor:
        """Ages in years, (B,)."""
        inputs = with_channels_last(self.baseline_CXYZ + difference_BCXYZ)
        ages = []
        for task, chain in zip(self._tasks, self._chains, strict=True):
            assert isinstance(chain, BlockChain)
            outputs = chain.all_outputs(inputs, block_of(self._answer))
            ages.append(answered_years(task, outputs, self._answer)[0])
        self._advance(len(inputs))
        return torch.stack(ages).mean(0)

    def skip(self, rows: int) -> None:
        """Count volumes as answered that need not be asked about."""
        self._advance(rows)

    def difference(self, volume_XYZ: npt.NDArray[np.float32]) -> Tensor:
        """A volume as this network takes it, (1, 1, X, Y, Z)."""
        return torch.from_numpy(volume_XYZ)[None, None] - self.baseline_CXYZ

    @torch.no_grad()
    def age_years(self, volume_XYZ: npt.NDArray[np.float32]) -> float:
        """Age of one volume."""
        return float(self(self.difference(volume_XYZ))[0])


def differentiable(chain: BlockChain) -> BlockChain:
    """A copy whose gradient with respect to its input is that of the function it computes.

    Training bends gradients on purpose: probe heads pass none to the features they read, and
    feedback alignment sends them back through other weights. Neither changes an age, and either
    would make a map of gradients wrong. Parameters need no gradients here.

    Weights lie in memory as a CPU convolves fastest, which takes half of the time.
    """
    chain = copy.deepcopy(chain).eval().requires_grad_(False)
    use_channels_last(chain)
    for module in chain.modules():
        if isinstance(module, OutputHead):
            module.probe = False
        if "feedback_weight" in module._buffers:
            weight = module.weight
            assert isinstance(weight, Tensor)
            module.register_buffer("feedback_weight", weight.detach())
    return chain
