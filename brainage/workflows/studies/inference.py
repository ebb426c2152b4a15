"""Figure S2: the trained network with all workers, its leaders alone, its followers alone.

Who leads is not defined without labels, since leaders have the lowest prediction loss. Three
readings are measured. ``training``: the workers with the lowest mean loss over the training images;
no test label takes part. ``oracle``: those with the lowest loss on each test image, which the
image's label names: an upper bound, not an inference that can be done. ``random``: sets of workers
of the same sizes drawn by lot, which tell what the number of workers does alone.

Where workers own channels (readout ``units`` or ``group``), the channels of the other workers are
set to zero in every block (``zeroed``); ``scaled`` besides multiplies the kept ones by
W / (kept workers), so that the next layer's inputs have the size it was trained on. Workers with
readout ``block`` own no channel. In all readouts ``together`` is the answer of a hidden block's
workers by themselves: the mean of their probabilities.

Shape letters: B samples, W workers, C outputs of one worker.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from brainage.core.blocks import BlockChain
from brainage.core.engine import SingleDeviceEngine
from brainage.core.heads import BlockWorkers
from brainage.core.leaders import select_leaders
from brainage.core.random import derive_seed
from brainage.core.tasks import Task
from brainage.core.types import BatchSource
from brainage.workflows.studies.roles import random_masks

Masks = Mapping[int, Tensor]
"""By block, which workers are kept: (W,) or (B, W), boolean."""


@torch.no_grad()
def inference_accuracies(
    engine: SingleDeviceEngine,
    source: BatchSource,
    leaders: Masks,
    *,
    leader_fraction: float,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Accuracy in per cent of every way to run the network.

    Args:
        engine: its chain is put in evaluation mode.
        source: the test images, in order.
        leaders: by block, who leads by the training images, (W,).
        leader_fraction: delta, of the leaders for each image and of the random sets.
        draws: random sets.
        seed: of the random sets.

    Returns:
        ``together``: by ``block N`` and by ``all``, ``leaders``, ``followers``. ``zeroed`` and
        ``scaled``: by ``all``, ``leaders``, ``followers``, ``oracle leaders``, ``oracle
        followers``, ``random, as many as lead``, ``random, as many as follow``; empty where workers
        own no channels.
    """
    chain, task = engine.answering_chain, engine.objective.task
    chain.eval()
    kept = {index: mask.to(engine.device) for index, mask in leaders.items()}
    fixed = {"leaders": kept, "followers": _inverted(kept)}
    by_lot = _random_sets(kept, leader_fraction, draws, seed)
    owned = owns_channels(chain)
    hits: dict[tuple[str, str], float] = defaultdict(float)
    for inputs, labels in source.batches(0):
        inputs_B, targets_B = inputs.to(engine.device), labels.to(engine.device)
        outputs = chain.all_outputs(inputs_B)
        workers = {k: w for k, each in enumerate(outputs) if (w := each.workers_BWC) is not None}
        for index, workers_BWC in workers.items():
            for name, mask in (("all", None), *((n, m[index]) for n, m in fixed.items())):
                answer = _together(task, workers_BWC, mask)
                hits[f"block {index + 1}", name] += float((answer == targets_B).sum())
        if not owned:
            continue
        oracle = {
            index: select_leaders(
                task.prediction_loss(workers_BWC, targets_B[:, None]), leader_fraction
            ).leaders_BW
            for index, workers_BWC in workers.items()
        }
        ways: dict[str, Masks] = {
            "all": {},
            **fixed,
            "oracle leaders": oracle,
            "oracle followers": _inverted(oracle),
            **by_lot,
        }
        for name, masks in ways.items():
            for form in ("zeroed", "scaled"):
                answer_BC = masked_answer(chain, inputs_B, masks, scaled=form == "scaled")
                hits[form, name] += float((task.predict(answer_BC) == targets_B).sum())
    return _gathered(hits, source.num_samples)


def owns_channels(chain: BlockChain) -> bool:
    """Whether every worker of the chain has channels of its own."""
    return not any(isinstance(block.workers, BlockWorkers) for block in chain)


@torch.no_grad()
def masked_answer(chain: BlockChain, inputs: Tensor, masks: Masks, *, scaled: bool) -> Tensor:
    """The network's outputs (B, C) with the channels of some workers at zero.

    Args:
        chain: in evaluation mode; workers own equally many consecutive channels.
        inputs: (B, ...).
        masks: by block, the workers that are kept; a block without one keeps all.
        scaled: multiply kept channels by W / (kept workers).
    """
    blocks = list(chain)
    for index, block in enumerate(blocks):
        features: Tensor = block.body(inputs)
        if index in masks:
            features = _masked(features, masks[index], scaled=scaled)
        inputs = features
    last = blocks[-1]
    assert last.pool is not None, "the output block has an output head"
    assert last.output is not None, "the output block has an output head"
    answer: Tensor = last.output(last.pool(inputs))
    return answer


def _masked(features: Tensor, mask: Tensor, *, scaled: bool) -> Tensor:
    mask_BW = mask.to(features.dtype).reshape(-1, mask.shape[-1])
    if scaled:
        mask_BW = mask_BW * mask_BW.shape[1] / mask_BW.sum(1, keepdim=True)
    channels = features.shape[1]
    own = mask_BW.repeat_interleave(channels // mask_BW.shape[1], dim=1)
    return features * own.reshape(*own.shape, *(1,) * (features.ndim - 2))


def _together(task: Task, workers_BWC: Tensor, mask_W: Tensor | None) -> Tensor:
    """Predictions (B,) by the mean probability of the workers of a mask, or of all."""
    log_probability = task.log_probability(workers_BWC)
    assert log_probability is not None, "classes have a distribution"
    chosen = log_probability if mask_W is None else log_probability[:, mask_W]
    return task.predict(chosen.logsumexp(1))


def _inverted(masks: Masks) -> dict[int, Tensor]:
    return {index: ~mask for index, mask in masks.items()}


def _random_sets(
    leaders: Masks, leader_fraction: float, draws: int, seed: int
) -> dict[str, dict[int, Tensor]]:
    generator = torch.Generator().manual_seed(derive_seed(seed, "random workers"))
    sizes = [mask.shape[-1] for mask in leaders.values()]
    found = {}
    for draw in range(draws):
        for word in ("lead", "follow"):
            masks = random_masks(
                sizes, leader_fraction, followers=word == "follow", generator=generator
            )
            placed = {
                index: mask.to(leaders[index].device)
                for index, mask in zip(leaders, masks, strict=True)
            }
            found[f"random, as many as {word}/{draw}"] = placed
    return found


def _gathered(hits: Mapping[tuple[str, str], float], count: int) -> dict[str, Any]:
    """Shares of hits in per cent; the mean over the draws of random sets."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (form, name), number in hits.items():
        values[form][name.split("/")[0]].append(100 * number / count)
    found = {
        form: {name: round(fmean(own), 4) for name, own in by_name.items()}
        for form, by_name in values.items()
    }
    together = {form: own for form, own in found.items() if form.startswith("block ")}
    return {
        "together": together,
        "zeroed": found.get("zeroed", {}),
        "scaled": found.get("scaled", {}),
    }


def means_over_fits(fits: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """By name, the values of all fits in their order."""
    return {name: [fit[name] for fit in fits] for name in (fits[0] if fits else {})}
