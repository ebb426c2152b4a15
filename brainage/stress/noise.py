"""Noise of a magnitude image: Rician."""

from functools import partial

import numpy as np

from brainage.core.random import derive_seed
from brainage.scans.nifti import Scan
from brainage.stress.head import Head
from brainage.stress.perturbation import Perturbation

# Standard deviation over the median of white matter.
LEVELS = (0.05, 0.12)


def perturbations(seed: int) -> list[Perturbation]:
    """Noise in several strengths, from the same random numbers."""
    return [
        Perturbation(
            name="noise", level=f"{level:.0%}", change=partial(add_noise, level=level, seed=seed)
        )
        for level in LEVELS
    ]


def add_noise(head: Head, *, level: float, seed: int) -> Scan:
    """The magnitude of the scan plus complex Gaussian noise.

    Args:
        head: the scan.
        level: the noise's standard deviation over the median of white matter.
        seed: of the noise.

    Source: Gudbjartsson and Patz 1995, Magn Reson Med 34:910.
    """
    generator = np.random.default_rng(derive_seed(seed, "noise"))
    sd = level * head.white_level
    real, imaginary = (
        sd * generator.standard_normal(head.scan.data_XYZ.shape, dtype=np.float32) for _ in range(2)
    )
    above = head.scan.data_XYZ - np.float32(head.background)
    return head.scanned(np.hypot(above + real, imaginary) + np.float32(head.background))
