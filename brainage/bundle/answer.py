"""What the networks of a model say of a scan, their common answer and how far they are apart.

Shape letters: B inputs of a network, V views of one scan, W workers, C outputs, F features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from brainage.bundle.training_space import pooled_features
from brainage.core.blocks import BlockChain, BlockOutputs
from brainage.core.tasks import Task, predict_together

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AgePrediction:
    """Predicted age of one scan, in years, uncorrected.

    ``by_block`` maps a block's number, counted from 1, to its own prediction. Blocks without an
    output head, and blocks that were not run, are absent. ``age_years`` is the answer asked for.
    Both are means over the model's networks and views.

    The spreads are standard deviations in years, of a population, None where there is one voice:
    ``spread_years`` of the answer over networks and views together, ``spread_workers`` over the
    workers of the blocks that answer, ``spread_blocks``, ``spread_networks`` and ``spread_views``
    over each of these, of the means over the others. ``training_distance`` has no unit; None where
    the model does not know its training scans' place, or its last block was not run.
    """

    age_years: float
    by_block: dict[int, float]
    spread_years: float | None = None
    spread_workers: float | None = None
    spread_blocks: float | None = None
    spread_networks: float | None = None
    spread_views: float | None = None
    training_distance: float | None = None


@dataclass(frozen=True)
class NetworkAnswer:
    """What one network says of inputs, in years.

    ``age_B`` is the answer asked for, ``by_block`` each block's own, ``workers_sd_B`` the spread
    over the workers of the blocks that answer, and ``features_BF`` those of the last block.
    """

    age_B: Floats
    by_block: dict[int, Floats]
    workers_sd_B: Floats | None
    features_BF: Floats | None

    def rows(self, rows: slice) -> "NetworkAnswer":
        """The same of some of the inputs."""
        return NetworkAnswer(
            self.age_B[rows],
            {block: ages[rows] for block, ages in self.by_block.items()},
            None if self.workers_sd_B is None else self.workers_sd_B[rows],
            None if self.features_BF is None else self.features_BF[rows],
        )


def block_of(answer: str) -> int | None:
    """The block, from 1, that ``block2`` and the like name; None for other answers.

    A network need run no further for it.
    """
    return int(answer.removeprefix("block")) if answer.startswith("block") else None


def answered_years(
    task: Task, outputs: Sequence[BlockOutputs], answer: str
) -> tuple[Tensor, dict[int, Tensor]]:
    """The ages that the output heads of one network amount to; gradients pass through.

    Args:
        task: how outputs become ages.
        outputs: of its blocks, from the first to the last that the answer needs.
        answer: ``last``, ``ensemble``, or ``block2`` where block 2 is the last of ``outputs``.

    Returns:
        The answer's years (B,), and those of each block that has a head, by its number from 1.
    """
    numbered = enumerate(outputs, start=1)
    heads = {k: each.prediction_BC for k, each in numbered if each.prediction_BC is not None}
    by_block = {block: task.predict(head_BC) for block, head_BC in heads.items()}
    if answer == "ensemble":
        return predict_together(task, list(heads.values())), by_block
    return by_block[max(by_block)], by_block


def ask_network(chain: BlockChain, task: Task, inputs_BCXYZ: Tensor, answer: str) -> NetworkAnswer:
    """Run one network, no further than the answer needs.

    Args:
        chain: in evaluation mode, without gradients.
        task: how its outputs become ages.
        inputs_BCXYZ: where the network is.
        answer: ``last``, ``ensemble``, or ``block2`` to stop behind block 2.
    """
    outputs = chain.all_outputs(inputs_BCXYZ, block_of(answer))
    age_B, by_block = answered_years(task, outputs, answer)
    blocks = list(by_block) if answer == "ensemble" else [max(by_block)]
    answering = [outputs[block - 1] for block in blocks]
    features_BF = _floats(pooled_features(outputs[-1])) if len(outputs) == len(chain) else None
    return NetworkAnswer(
        _floats(age_B),
        {block: _floats(ages_B) for block, ages_B in by_block.items()},
        _workers_sd(task, answering),
        features_BF,
    )


def joined(parts: Sequence[NetworkAnswer]) -> NetworkAnswer:
    """One network's answers to inputs that it was given in parts."""
    first = parts[0]
    if len(parts) == 1:
        return first
    return NetworkAnswer(
        np.concatenate([part.age_B for part in parts]),
        {k: np.concatenate([part.by_block[k] for part in parts]) for k in first.by_block},
        _concatenated([part.workers_sd_B for part in parts]),
        _concatenated([part.features_BF for part in parts]),
    )


def common_answer(
    networks: Sequence[NetworkAnswer], blocks: Sequence[int], distance: float | None
) -> AgePrediction:
    """The answer of all networks to all views of one scan.

    Args:
        networks: each one's answer; their inputs B are the views V.
        blocks: those that every network has.
        distance: of the scan from the training's.
    """
    age_NV = np.stack([said.age_B for said in networks])
    by_block = {
        block: float(np.mean([said.by_block[block] for said in networks]))
        for block in blocks
        if all(block in said.by_block for said in networks)
    }
    workers = [said.workers_sd_B for said in networks if said.workers_sd_B is not None]
    return AgePrediction(
        age_years=float(age_NV.mean()),
        by_block=by_block,
        spread_years=_spread(age_NV.ravel()),
        spread_workers=float(np.mean(workers)) if workers else None,
        spread_blocks=_spread(np.array(list(by_block.values()))),
        spread_networks=_spread(age_NV.mean(axis=1)),
        spread_views=_spread(age_NV.mean(axis=0)),
        training_distance=distance,
    )


def _workers_sd(task: Task, answering: Sequence[BlockOutputs]) -> Floats | None:
    """Spread over the workers of each block, averaged over the blocks that have several."""
    spreads = [
        _floats(task.predict(outputs.workers_BWC)).std(axis=1)
        for outputs in answering
        if outputs.workers_BWC is not None and outputs.workers_BWC.shape[1] > 1
    ]
    return np.mean(spreads, axis=0) if spreads else None


def _spread(values: Floats) -> float | None:
    return float(values.std()) if len(values) > 1 else None


def _concatenated(parts: Sequence[Floats | None]) -> Floats | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def _floats(values: Tensor) -> Floats:
    numbers: npt.NDArray[Any] = values.detach().cpu().numpy()
    return numbers.astype(np.float64)
