"""Table S10: how alike the outputs of leaders and followers are.

The supplement names three metrics and defines none. Chosen here, for the outputs a and b, vectors
of C numbers, of two workers of one block on one test image:

* cosine similarity: a.b / (|a| |b|); pairs with a vector of zeros have none and are left out.
* normalised Euclidean distance: |a - b| / (|a| + |b|), from 0 (the same) to 1
  (opposite); 0 where both are zero.
* normalised variance, of a pair of workers: the variance of a worker is that of its outputs over
  the images, summed over its C outputs; the smaller of the two divided by the larger. 1 says that
  the two vary equally much, 0 that one of them has stopped to vary.

They are averaged over all pairs of a leader and a follower, and of two different followers, and
over the images. Who leads is told in two ways: ``training``, the lowest mean loss over the training
images, and ``each image``, the lowest loss on the image at hand, as in training where leaders are
chosen for each sample. Outputs are taken as they are (``outputs``) and after the softmax
(``probabilities``), which is what followers align where the distance is of probabilities.

Shape letters: B samples, W workers, C outputs of one worker.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from brainage.core.engine import SingleDeviceEngine
from brainage.core.leaders import select_leaders
from brainage.core.types import BatchSource

PAIRS = ("leader-follower", "follower-follower")
TINY = 1e-12


def pair_similarity(outputs_BWC: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine similarity and normalised distance of all pairs of workers, both (B, W, W).

    Args:
        outputs_BWC: of the workers.

    Returns:
        The cosines, NaN where a vector is zero, and the distances; see the module.
    """
    outputs = outputs_BWC.double()
    norm_BW = outputs.norm(dim=2)
    scale = norm_BW[:, :, None] * norm_BW[:, None]
    products = outputs @ outputs.transpose(1, 2)
    cosine = torch.where(scale > TINY, products / scale.clamp_min(TINY), torch.nan)
    total = norm_BW[:, :, None] + norm_BW[:, None]
    distance = torch.cdist(outputs, outputs, compute_mode="donot_use_mm_for_euclid_dist")
    return cosine, torch.where(total > TINY, distance / total.clamp_min(TINY), 0.0)


def variance_ratios(variance_W: Tensor) -> Tensor:
    """For all pairs of workers the smaller variance over the larger, (W, W); 1 of two zeros."""
    smaller = torch.minimum(variance_W[:, None], variance_W[None])
    larger = torch.maximum(variance_W[:, None], variance_W[None])
    return torch.where(larger > TINY, smaller / larger.clamp_min(TINY), 1.0)


def pair_counts(leaders_BW: Tensor) -> tuple[Tensor, Tensor]:
    """Masks (B, W, W) of the pairs leader-follower and of two followers, each pair once."""
    followers_BW = ~leaders_BW
    mixed = leaders_BW[:, :, None] & followers_BW[:, None]
    both = followers_BW[:, :, None] & followers_BW[:, None]
    return mixed, both.triu(diagonal=1)


@dataclass
class _Sums:
    """Count, sum and sum of squares of the metrics of one kind of pairs."""

    of: dict[str, Tensor] = field(default_factory=dict)
    pairs_WW: Tensor | None = None

    def add(self, name: str, values: Tensor) -> None:
        """Take in values, those that are numbers."""
        known = values[~values.isnan()]
        new = torch.stack([torch.tensor(float(known.numel())).to(known), known.sum(),
                           known.square().sum()])  # fmt: skip
        self.of[name] = self.of[name] + new if name in self.of else new

    def count_pairs(self, mask_BWW: Tensor) -> None:
        """How often each pair of workers was of this kind."""
        own = mask_BWW.sum(0).double()
        self.pairs_WW = own if self.pairs_WW is None else self.pairs_WW + own

    def results(self, ratios_WW: Tensor) -> dict[str, dict[str, float]]:
        """Mean and standard deviation over pairs and images."""
        found = {}
        for name, (count, total, squares) in self.of.items():
            found[name] = _moments(float(count), float(total), float(squares))
        assert self.pairs_WW is not None
        weighted = self.pairs_WW * ratios_WW
        found["normalised_variance"] = _moments(
            float(self.pairs_WW.sum()), float(weighted.sum()), float((weighted * ratios_WW).sum())
        )
        return found


def _moments(count: float, total: float, squares: float) -> dict[str, float]:
    mean = total / max(count, 1)
    variance = max(0.0, squares / max(count, 1) - mean * mean)
    return {"mean": round(mean, 6), "sd": round(variance**0.5, 6)}


class _BlockDiversity:
    """Gathers the metrics of one block over batches."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, str], _Sums] = {}
        self.moments: Tensor | None = None
        self.count = 0

    def add(self, outputs_BWC: Tensor, roles: Mapping[str, Tensor]) -> None:
        """Take in a batch: outputs, and by way of telling who leads, a mask (B, W)."""
        similarity = pair_similarity(outputs_BWC)
        for way, leaders_BW in roles.items():
            for pair, mask in zip(PAIRS, pair_counts(leaders_BW), strict=True):
                own = self.sums.setdefault((way, pair), _Sums())
                own.add("cosine_similarity", similarity[0][mask])
                own.add("normalised_distance", similarity[1][mask])
                own.count_pairs(mask)
        outputs = outputs_BWC.double()
        new = torch.stack([outputs.sum(0), outputs.square().sum(0)])
        self.moments = new if self.moments is None else self.moments + new
        self.count += len(outputs)

    def results(self) -> dict[str, dict[str, Any]]:
        """By way and kind of pair, the three metrics."""
        assert self.moments is not None
        mean, squares = self.moments / self.count
        variance_W = (squares - mean.square()).clamp_min(0).sum(1)
        ratios = variance_ratios(variance_W)
        found: dict[str, dict[str, Any]] = {}
        for (way, pair), sums in self.sums.items():
            found.setdefault(way, {})[pair] = sums.results(ratios)
        return found


@torch.no_grad()
def output_diversity(
    engine: SingleDeviceEngine,
    source: BatchSource,
    leaders: Mapping[int, Tensor],
    leader_fraction: float,
) -> dict[str, Any]:
    """The three metrics over a set of images.

    Args:
        engine: its chain is put in evaluation mode.
        source: the images, in order.
        leaders: by block, who leads by the training images: a mask (W,).
        leader_fraction: delta, of the leaders for each image.

    Returns:
        By ``block N``, by ``outputs`` and ``probabilities``, by ``training`` and ``each image``,
        by kind of pair, by metric: ``mean`` and ``sd`` over pairs and images.
    """
    task, chain = engine.objective.task, engine.answering_chain
    chain.eval()
    blocks = {(index, form): _BlockDiversity() for index in leaders
              for form in ("outputs", "probabilities")}  # fmt: skip
    for inputs, labels in source.batches(0):
        targets_B = labels.to(engine.device)
        outputs = chain.all_outputs(inputs.to(engine.device))
        for index, leaders_W in leaders.items():
            workers_BWC = outputs[index].workers_BWC
            assert workers_BWC is not None
            losses_BW = task.prediction_loss(workers_BWC, targets_B[:, None])
            roles = {
                "training": leaders_W.to(losses_BW.device).expand_as(losses_BW),
                "each image": select_leaders(losses_BW, leader_fraction).leaders_BW,
            }
            log_probability = task.log_probability(workers_BWC)
            assert log_probability is not None, "classes have a distribution"
            blocks[index, "outputs"].add(workers_BWC, roles)
            blocks[index, "probabilities"].add(log_probability.exp(), roles)
    found: dict[str, Any] = {}
    for (index, form), gathered in blocks.items():
        found.setdefault(f"block {index + 1}", {})[form] = gathered.results()
    return found
