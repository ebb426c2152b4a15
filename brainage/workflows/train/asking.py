"""What a trained network says of scans it has not seen: in one view of each, or in several."""

import numpy as np
import numpy.typing as npt

from brainage.bundle.views import ViewedBatches, make_views
from brainage.config.inference import InferenceConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.evaluation import evaluate
from brainage.core.types import BatchSource

Ages = npt.NDArray[np.float64]


def ask(
    engine: SingleDeviceEngine, source: BatchSource, config: InferenceConfig
) -> tuple[dict[int, Ages], Ages | None]:
    """Ages in years of every sample, averaged over the views; on several devices, all call it.

    Args:
        engine: after training.
        source: delivered in order, without augmentation.
        config: how many views; those that the kept model will be asked about as well.

    Returns:
        For each block that predicts, by its number from 1, its ages (N,); and those of all
        blocks together, where there are several.
    """
    seen = [
        evaluate(engine, ViewedBatches(source, view))
        for view in make_views(config.test_time_augmentation)
    ]
    by_block = {
        block + 1: _mean([view.predictions_N[block].double().numpy() for view in seen])
        for block in seen[0].predictions_N
    }
    together = [view.ensemble_N.double().numpy() for view in seen if view.ensemble_N is not None]
    return by_block, _mean(together) if together else None


def _mean(ages: list[Ages]) -> Ages:
    """Mean over views (V, N) to (N,)."""
    return np.asarray(np.mean(ages, axis=0), dtype=np.float64)
