"""Whether an exported model still says what the model says."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from brainage.bundle.model import ModelBundle

TOLERANCE_YEARS = 1e-4

_NUM_RANDOM = 3
_NOISE = 0.5


def parity_batches(volume_XYZ: npt.NDArray[np.float32]) -> list[Tensor]:
    """Inputs (B, 1, X, Y, Z): the volume alone, and a batch of it with noise in the brain."""
    volume = torch.from_numpy(volume_XYZ)[None, None]
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(_NUM_RANDOM, *volume.shape[1:], generator=generator)
    return [volume, torch.where(volume != 0, volume + _NOISE * noise, 0.0)]


def largest_difference(
    bundle: ModelBundle,
    answer: str,
    ask: Callable[[Tensor], tuple[Any, Any]],
    batches: list[Tensor],
) -> float:
    """How far the exported ages lie from the model's own, in years, at most.

    Args:
        bundle: the model.
        answer: that was exported.
        ask: the exported model; volumes (B, 1, X, Y, Z) to ages (B,) and ages by block (B, K).
        batches: what both are asked about.

    Returns:
        The largest difference of an answer or of a block; infinity where one is no number.
    """
    largest = 0.0
    for batch in batches:
        ages, by_block = ask(batch)
        for row, volume in enumerate(batch):
            expected = bundle.predict(volume[0].numpy(), answer)
            wanted = [expected.age_years, *expected.by_block.values()]
            got = [float(ages[row]), *(float(age) for age in by_block[row])]
            difference = float(np.abs(np.subtract(wanted, got)).max())
            largest = max(largest, difference if np.isfinite(difference) else np.inf)
    return largest
