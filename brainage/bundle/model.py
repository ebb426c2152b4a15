"""A trained model in memory: predicts preprocessed volumes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from brainage.config.run import RunConfig
from brainage.core.blocks import BlockChain
from brainage.core.tasks import Task, predict_together
from brainage.errors import ConfigError


@dataclass(frozen=True)
class AgePrediction:
    """Predicted age of one scan, in years, uncorrected.

    ``by_block`` maps a block's number, counted from 1, to its own prediction. Blocks without an
    output head, and blocks that were not run, are absent. ``age_years`` is the answer asked for.
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

    @property
    def predicting_blocks(self) -> list[int]:
        """Numbers, from 1, of the blocks that have an output head."""
        return [k + 1 for k, block in enumerate(self.chain) if block.output is not None]

    def check_answer(self, answer: str) -> None:
        """Refuse an answer this model cannot give.

        Args:
            answer: ``last``, ``ensemble``, or ``block2`` for block 2, behind which the network
                then stops.

        Raises:
            ConfigError: naming the answers there are.
        """
        blocks = [f"block{k}" for k in self.predicting_blocks]
        known = ["last", *(["ensemble"] if len(blocks) > 1 else []), *blocks]
        if answer not in known:
            raise ConfigError(f"answer: expected one of {', '.join(known)}, got '{answer}'")

    @torch.no_grad()
    def predict(self, volume_XYZ: npt.NDArray[np.float32], answer: str = "last") -> AgePrediction:
        """Age of one preprocessed volume.

        One volume at a time, so that no scan's prediction depends on its neighbours in a batch.

        Args:
            volume_XYZ: as the preprocessing gives it.
            answer: ``last``, ``ensemble`` or ``block2``, as ``check_answer`` has it.

        Raises:
            ValueError: if the volume's shape is not the network's.
            ConfigError: if the model cannot give that answer.
        """
        self.check_answer(answer)
        if volume_XYZ.shape != self.input_shape[1:]:
            raise ValueError(
                f"expected a volume of shape {self.input_shape[1:]}, got {volume_XYZ.shape}"
            )
        inputs = torch.from_numpy(volume_XYZ)[None, None]
        stop = int(answer.removeprefix("block")) if answer.startswith("block") else None
        heads = [outputs.prediction_BC for outputs in self.chain.all_outputs(inputs, stop)]
        outputs_by_block = {k + 1: head for k, head in enumerate(heads) if head is not None}
        by_block = {k: float(self.task.predict(head)[0]) for k, head in outputs_by_block.items()}
        if answer == "ensemble":
            together = predict_together(self.task, list(outputs_by_block.values()))
            return AgePrediction(float(together[0]), by_block)
        return AgePrediction(by_block[max(by_block)], by_block)

    def in_training_range(self, age_years: float) -> bool:
        """Whether an age lies within the ages the model was trained on."""
        low, high = self.calibration["training_age_range_years"]
        return bool(low <= age_years <= high)
