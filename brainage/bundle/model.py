"""A trained model in memory: predicts preprocessed volumes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from brainage.config.run import RunConfig
from brainage.core.blocks import BlockChain
from brainage.core.tasks import Task


@dataclass(frozen=True)
class AgePrediction:
    """Predicted age of one scan, in years, uncorrected.

    ``by_block`` maps a block's number, counted from 1, to its own prediction; the last entry is the
    network's answer ``age_years``. Blocks without an output head are absent.
    """

    age_years: float
    by_block: dict[int, float]


@dataclass(frozen=True)
class ModelBundle:
    """A loaded bundle.

    Args:
        folder: where it was loaded from.
        config: the resolved configuration of its training run.
        task: how outputs become ages.
        chain: the network, in evaluation mode.
        input_shape: shape of one input without the batch axis: (1, X, Y, Z).
        calibration: training ages and held-out results, as in ``calibration.json``.
        model_hash: changes with anything that could change a prediction.
        preprocessing_hash: of steps, versions and template.
    """

    folder: Path
    config: RunConfig
    task: Task
    chain: BlockChain
    input_shape: tuple[int, ...]
    calibration: dict[str, Any]
    model_hash: str
    preprocessing_hash: str

    @torch.no_grad()
    def predict(self, volume_XYZ: npt.NDArray[np.float32]) -> AgePrediction:
        """Age of one preprocessed volume.

        One volume at a time, so that no scan's prediction depends on its neighbours in a batch.

        Raises:
            ValueError: if the volume's shape is not the network's.
        """
        if volume_XYZ.shape != self.input_shape[1:]:
            raise ValueError(
                f"expected a volume of shape {self.input_shape[1:]}, got {volume_XYZ.shape}"
            )
        inputs = torch.from_numpy(volume_XYZ)[None, None]
        by_block = {
            index + 1: float(self.task.predict(outputs.prediction_BC)[0])
            for index, outputs in enumerate(self.chain.all_outputs(inputs))
            if outputs.prediction_BC is not None
        }
        return AgePrediction(by_block[len(self.chain)], by_block)

    def in_training_range(self, age_years: float) -> bool:
        """Whether an age lies within the ages the model was trained on."""
        low, high = self.calibration["training_age_range_years"]
        return bool(low <= age_years <= high)
