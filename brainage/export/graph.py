"""A model's whole answer as one module: all of its networks, asked about all views."""

import copy

import torch
from torch import Tensor, nn

from brainage.bundle.answer import answered_years, block_of
from brainage.bundle.model import Member, ModelBundle
from brainage.bundle.views import make_views, show
from brainage.core.blocks import BlockChain
from brainage.export.pooling import fix_pooling


class AgeGraph(nn.Module):
    """Preprocessed volumes to ages, as ``ModelBundle.predict`` gives them one by one.

    Args:
        bundle: the model, which is not changed.
        answer: ``last``, ``ensemble`` or ``block2``; blocks behind it are left out.

    Raises:
        ConfigError: if the model cannot give that answer.
    """

    def __init__(self, bundle: ModelBundle, answer: str = "last") -> None:
        super().__init__()
        bundle.check_answer(answer)
        stop = block_of(answer)
        self.answer = answer
        self.input_shape = bundle.input_shape
        self.blocks = [k for k in bundle.predicting_blocks if stop is None or k <= stop]
        """Numbers, from 1, of the blocks in the second output, in its order."""
        self.views = make_views(bundle.num_views)
        self.tasks = [member.task for member in bundle.members]
        self.networks = nn.ModuleList(
            _only_heads(member, bundle.input_shape, stop) for member in bundle.members
        )
        self.eval().requires_grad_(False)

    def forward(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        """Volumes (B, 1, X, Y, Z) to ages in years: the answer's (B,), and by block (B, K)."""
        # All views in one batch: a network for each would make the file and its making longer.
        seen = torch.cat([show(volume, view) for view in self.views])
        said = [self._ask(number, seen) for number in range(len(self.tasks))]
        ages = torch.stack([answered for answered, _ in said]).mean(0)
        by_block = torch.stack([blocks for _, blocks in said]).mean(0)
        by_block = by_block.reshape(len(self.views), -1, len(self.blocks))
        return ages.reshape(len(self.views), -1).mean(0), by_block.mean(0)

    def _ask(self, number: int, volume: Tensor) -> tuple[Tensor, Tensor]:
        """What one network says of volumes: (B,) and (B, K)."""
        network, task = self.networks[number], self.tasks[number]
        assert isinstance(network, BlockChain)
        age, by_block = answered_years(task, network.all_outputs(volume), self.answer)
        return age, torch.stack([by_block[k] for k in self.blocks], dim=1)

    def example(self, batch_size: int) -> Tensor:
        """Volumes of the right shape."""
        generator = torch.Generator().manual_seed(0)
        return torch.randn(batch_size, *self.input_shape, generator=generator)


def _only_heads(member: Member, input_shape: tuple[int, ...], stop: int | None) -> BlockChain:
    """A copy of a network up to a block, without what only training reads."""
    chain = BlockChain(list(copy.deepcopy(member.chain))[:stop])
    for block in chain:
        block.workers = block.similarity = block.history = block.feedback = None
    fix_pooling(chain, torch.zeros(1, *input_shape))
    return chain.eval()
