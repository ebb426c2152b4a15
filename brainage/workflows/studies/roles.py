"""How good the workers of a trained network are, and who of them leads.

Shape letters: B samples, W workers, C outputs of one worker.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from brainage.core.engine import SingleDeviceEngine
from brainage.core.leaders import count_leaders, select_leaders
from brainage.core.types import BatchSource


@dataclass(frozen=True)
class BlockScores:
    """Means over a set of samples, of the workers of one block.

    ``loss_W`` and ``accuracy_W`` are each worker's. ``best_loss`` and ``best_accuracy`` are those
    of a worker that changes from sample to sample: the one with the lowest loss on it, which the
    followers follow where leaders are chosen for each sample. Labels choose it, so it tells what
    the workers together contain and not what one would get without labels.
    """

    loss_W: Tensor
    accuracy_W: Tensor
    best_loss: float
    best_accuracy: float


@dataclass(frozen=True)
class NetworkScores:
    """``blocks`` by index: of the blocks with workers; ``loss`` and ``accuracy`` of the network."""

    blocks: dict[int, BlockScores]
    loss: float
    accuracy: float


@torch.no_grad()
def network_scores(engine: SingleDeviceEngine, source: BatchSource) -> NetworkScores:
    """Losses (cross-entropy) and accuracies (shares) of all workers and of the network.

    Args:
        engine: its chain is put in evaluation mode.
        source: delivered in order, without augmentation.
    """
    task, chain = engine.objective.task, engine.answering_chain
    chain.eval()
    losses: dict[int, Tensor] = {}
    hits: dict[int, Tensor] = {}
    best: dict[int, Tensor] = {}
    own = torch.zeros(2, dtype=torch.float64)
    for inputs, labels in source.batches(0):
        targets_B = labels.to(engine.device)
        outputs = chain.all_outputs(inputs.to(engine.device))
        for index, block in enumerate(outputs):
            if block.workers_BWC is None:
                continue
            losses_BW = task.prediction_loss(block.workers_BWC, targets_B[:, None]).double().cpu()
            hits_BW = (task.predict(block.workers_BWC) == targets_B[:, None]).double().cpu()
            least = losses_BW.min(1)
            hit_B = hits_BW.gather(1, least.indices[:, None])[:, 0]
            _add(losses, index, losses_BW.sum(0))
            _add(hits, index, hits_BW.sum(0))
            _add(best, index, torch.stack([least.values.sum(), hit_B.sum()]))
        answer_BC = outputs[-1].prediction_BC
        assert answer_BC is not None, "the output block has an output head"
        loss = task.prediction_loss(answer_BC, targets_B).double().sum()
        hit = (task.predict(answer_BC) == targets_B).double().sum()
        own += torch.stack([loss, hit]).cpu()
    count = source.num_samples
    blocks = {
        index: BlockScores(
            losses[index] / count,
            hits[index] / count,
            float(best[index][0]) / count,
            float(best[index][1]) / count,
        )
        for index in losses
    }
    return NetworkScores(blocks, float(own[0]) / count, float(own[1]) / count)


def mean_leaders(scores: NetworkScores, leader_fraction: float) -> dict[int, Tensor]:
    """By block, the workers with the lowest mean loss over a set of samples: a mask (W,).

    Over the training images, this names leaders without a label of the test images.

    Args:
        scores: over the set.
        leader_fraction: delta in (0, 1].
    """
    return {
        index: select_leaders(block.loss_W[None], leader_fraction).leaders_BW[0]
        for index, block in scores.blocks.items()
    }


def best_workers(scores: NetworkScores) -> dict[int, int]:
    """By block, the worker with the lowest mean loss over a set of samples."""
    return {index: int(block.loss_W.argmin()) for index, block in scores.blocks.items()}


def random_masks(
    num_workers: Sequence[int], size_fraction: float, *, followers: bool, generator: torch.Generator
) -> list[Tensor]:
    """Random sets of as many workers as lead, or as follow, in each block: masks (W,).

    Args:
        num_workers: W of each block.
        size_fraction: delta in (0, 1].
        followers: as many as follow.
        generator: of the choice.
    """
    masks = []
    for count in num_workers:
        leaders = count_leaders(count, size_fraction)
        chosen = torch.randperm(count, generator=generator)[:leaders]
        mask = torch.zeros(count, dtype=torch.bool)
        mask[chosen] = True
        masks.append(~mask if followers else mask)
    return masks


def _add(sums: dict[int, Tensor], index: int, value: Tensor) -> None:
    sums[index] = sums[index] + value if index in sums else value
