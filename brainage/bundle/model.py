"""A trained model in memory: predicts preprocessed volumes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from brainage.bundle.age_line import AgeLine
from brainage.bundle.intervals import Intervals
from brainage.bundle.training_space import TrainingSpace
from brainage.bundle.views import make_views, show
from brainage.config.run import RunConfig
from brainage.core.blocks import BlockChain
from brainage.core.tasks import Task, predict_together
from brainage.errors import ConfigError


@dataclass(frozen=True)
class Member:
    """One network of a model.

    Args:
        name: the part of the run that trained it: ``final``, ``holdout``, ``fold1``.
        task: how its outputs become ages.
        chain: the network, in evaluation mode.
        overrides: what its configuration changes in that of the model, as in ``--set``.
    """

    name: str
    task: Task
    chain: BlockChain
    overrides: tuple[str, ...] = ()

    @property
    def predicting_blocks(self) -> list[int]:
        """Numbers, from 1, of the blocks that have an output head."""
        return [k + 1 for k, block in enumerate(self.chain) if block.output is not None]


@dataclass(frozen=True)
class AgePrediction:
    """Predicted age of one scan, in years, uncorrected.

    ``by_block`` maps a block's number, counted from 1, to its own prediction. Blocks without an
    output head, and blocks that were not run, are absent. ``age_years`` is the answer asked for.
    Both are means over the model's networks and views; ``spread_years`` is the standard deviation
    of the answer over them, None where there is one of each.
    """

    age_years: float
    by_block: dict[int, float]
    spread_years: float | None = None


@dataclass(frozen=True)
class ModelBundle:
    """A loaded bundle.

    Args:
        folder: where it was loaded from.
        config: the resolved configuration of its training run.
        members: its networks, one or those of all folds.
        input_shape: shape of one input without the batch axis: (1, X, Y, Z).
        calibration: training ages and held-out results, as in ``calibration.json``.
        model_hash: changes with anything that could change a prediction.
        preprocessing_hash: of steps, versions and template.
        age_line: the age bias found on scans that were not seen, if it is known.
        intervals: of the ages of new scans, if enough were predicted unseen.
        training_space: where the training scans lie, if it is known.
    """

    folder: Path
    config: RunConfig
    members: tuple[Member, ...]
    input_shape: tuple[int, ...]
    calibration: dict[str, Any]
    model_hash: str
    preprocessing_hash: str
    age_line: AgeLine | None = None
    intervals: Intervals | None = None
    training_space: TrainingSpace | None = None

    @property
    def predicting_blocks(self) -> list[int]:
        """Numbers, from 1, of the blocks that have an output head in every network."""
        shared = set.intersection(*(set(member.predicting_blocks) for member in self.members))
        return sorted(shared)

    @property
    def num_views(self) -> int:
        """Views of a scan that every network is asked about."""
        return self.config.inference.test_time_augmentation

    def check_answer(self, answer: str) -> None:
        """Refuse an answer this model cannot give.

        Args:
            answer: ``last``, ``ensemble``, or ``block2`` for block 2, behind which the networks
                then stop.

        Raises:
            ConfigError: naming the answers there are.
        """
        blocks = [f"block{k}" for k in self.predicting_blocks]
        known = ["last", *(["ensemble"] if len(blocks) > 1 else []), *blocks]
        if answer not in known:
            raise ConfigError(f"answer: expected one of {', '.join(known)}, got '{answer}'")

    @torch.no_grad()
    def predict(self, volume_XYZ: npt.NDArray[np.float32], answer: str = "last") -> AgePrediction:
        """Age of one preprocessed volume: the mean over all networks and views.

        One volume at a time, so that no scan's prediction depends on its neighbours in a batch.

        Args:
            volume_XYZ: as the preprocessing gives it.
            answer: ``last``, ``ensemble`` or ``block2``, as ``check_answer`` has it.

        Raises:
            ValueError: if the volume's shape is not the networks'.
            ConfigError: if the model cannot give that answer.
        """
        self.check_answer(answer)
        if volume_XYZ.shape != self.input_shape[1:]:
            raise ValueError(
                f"expected a volume of shape {self.input_shape[1:]}, got {volume_XYZ.shape}"
            )
        said = [
            _ask(member, view, answer)
            for view in self._views(torch.from_numpy(volume_XYZ)[None])
            for member in self.members
        ]
        by_block = {
            block: float(np.mean([each.by_block[block] for each in said]))
            for block in self.predicting_blocks
            if all(block in each.by_block for each in said)
        }
        ages = [each.age_years for each in said]
        spread = float(np.std(ages)) if len(ages) > 1 else None
        return AgePrediction(float(np.mean(ages)), by_block, spread)

    def _views(self, volume_CXYZ: Tensor) -> Iterator[Tensor]:
        for view in make_views(self.num_views):
            yield show(volume_CXYZ, view)

    def in_training_range(self, age_years: float) -> bool:
        """Whether an age lies within the ages the model was trained on."""
        low, high = self.calibration["training_age_range_years"]
        return bool(low <= age_years <= high)


def _ask(member: Member, volume_CXYZ: Tensor, answer: str) -> AgePrediction:
    """What one network says of one view."""
    stop = int(answer.removeprefix("block")) if answer.startswith("block") else None
    heads = [each.prediction_BC for each in member.chain.all_outputs(volume_CXYZ[None], stop)]
    outputs_by_block = {k + 1: head for k, head in enumerate(heads) if head is not None}
    by_block = {k: float(member.task.predict(head)[0]) for k, head in outputs_by_block.items()}
    if answer == "ensemble":
        together = predict_together(member.task, list(outputs_by_block.values()))
        return AgePrediction(float(together[0]), by_block)
    return AgePrediction(by_block[max(by_block)], by_block)
