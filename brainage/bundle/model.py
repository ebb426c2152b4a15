"""A trained model in memory: predicts preprocessed volumes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from brainage.bundle.age_line import AgeLine
from brainage.bundle.answer import (
    AgePrediction,
    NetworkAnswer,
    ask_network,
    common_answer,
    joined,
)
from brainage.bundle.intervals import Intervals
from brainage.bundle.training_space import TrainingSpace
from brainage.bundle.views import views_of
from brainage.config.run import RunConfig
from brainage.core.blocks import BlockChain
from brainage.core.tasks import Task
from brainage.errors import ConfigError

__all__ = ["AgePrediction", "Member", "ModelBundle"]

Volume = npt.NDArray[np.float32]

MOST_VOXELS_TOGETHER = 4_000_000
"""What a network is given at once, so that fine grids with many views fit in memory."""


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

    @property
    def answers(self) -> tuple[str, ...]:
        """What it can be asked for: ``last``, ``ensemble`` and ``block2``, or fewer."""
        blocks = [f"block{k}" for k in self.predicting_blocks]
        return ("last", *(["ensemble"] if len(blocks) > 1 else []), *blocks)

    def check_answer(self, answer: str) -> None:
        """Refuse an answer this model cannot give.

        Args:
            answer: ``last``, ``ensemble``, or ``block2`` for block 2, behind which the networks
                then stop.

        Raises:
            ConfigError: naming the answers there are.
        """
        if answer not in self.answers:
            expected = ", ".join(self.answers)
            raise ConfigError(f"answer: expected one of {expected}, got '{answer}'")

    def reaches_last_block(self, answer: str) -> bool:
        """Whether an answer needs the last block, in whose features scans are compared."""
        return answer in {"last", "ensemble", f"block{len(self.members[0].chain)}"}

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.members[0].chain.parameters()).device

    def to(self, device: torch.device) -> Self:
        """The same model, whose networks are moved to a device."""
        for member in self.members:
            member.chain.to(device)
        return self

    def predict(self, volume_XYZ: Volume, answer: str = "last") -> AgePrediction:
        """Age of one preprocessed volume: the mean over all networks and views.

        Args:
            volume_XYZ: as the preprocessing gives it.
            answer: ``last``, ``ensemble`` or ``block2``, as ``check_answer`` has it.

        Raises:
            ValueError: if the volume's shape is not the networks'.
            ConfigError: if the model cannot give that answer.
        """
        return self.predict_together([volume_XYZ], answer)[0]

    @torch.no_grad()
    def predict_together(
        self, volumes_XYZ: Sequence[Volume], answer: str = "last"
    ) -> list[AgePrediction]:
        """Ages of several volumes, in their order.

        A CPU takes them one by one, so that no prediction depends on those beside it; an
        accelerator takes them together. The views of one volume are always together.

        Args:
            volumes_XYZ: as for `predict`.
            answer: as for `predict`.

        Raises:
            ValueError: as for `predict`.
            ConfigError: as for `predict`.
        """
        self.check_answer(answer)
        for volume_XYZ in volumes_XYZ:
            if volume_XYZ.shape != self.input_shape[1:]:
                raise ValueError(
                    f"expected a volume of shape {self.input_shape[1:]}, got {volume_XYZ.shape}"
                )
        if self.device.type == "cpu":
            return [self._answers([volume_XYZ], answer)[0] for volume_XYZ in volumes_XYZ]
        # Exact sums in a fixed order: TF32 would move an age by hundredths of a year.
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ):
            return self._answers(volumes_XYZ, answer)

    def _answers(self, volumes_XYZ: Sequence[Volume], answer: str) -> list[AgePrediction]:
        inputs_BCXYZ = torch.stack([self._views(volume_XYZ) for volume_XYZ in volumes_XYZ])
        inputs_BCXYZ = inputs_BCXYZ.flatten(0, 1)
        most = max(1, MOST_VOXELS_TOGETHER // math.prod(self.input_shape))
        said = [
            joined(
                [
                    ask_network(member.chain, member.task, part, answer)
                    for part in torch.split(inputs_BCXYZ, most)
                ]
            )
            for member in self.members
        ]
        answers = []
        for first in range(0, len(inputs_BCXYZ), self.num_views):
            own = [each.rows(slice(first, first + self.num_views)) for each in said]
            answers.append(common_answer(own, self.predicting_blocks, self._distance(own)))
        return answers

    def _views(self, volume_XYZ: Volume) -> Tensor:
        """The views (V, 1, X, Y, Z) of a volume, on the networks' device."""
        return views_of(torch.from_numpy(volume_XYZ)[None].to(self.device), self.num_views)

    def _distance(self, said: Sequence[NetworkAnswer]) -> float | None:
        """How far a scan, in its first view, is from those of the training."""
        features = [each.features_BF[0] for each in said if each.features_BF is not None]
        if self.training_space is None or len(features) < len(said):
            return None
        return self.training_space.distance(features)

    def in_training_range(self, age_years: float) -> bool:
        """Whether an age lies within the ages the model was trained on."""
        low, high = self.calibration["training_age_range_years"]
        return bool(low <= age_years <= high)
