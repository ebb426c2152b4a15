"""A coil's uneven sensitivity: a smooth field that multiplies the intensities."""

from functools import partial
from itertools import product

import numpy as np
import numpy.typing as npt

from brainage.core.random import derive_seed
from brainage.scans.nifti import Scan
from brainage.stress.head import Head
from brainage.stress.perturbation import Perturbation

# Brightest over darkest place of the brain, minus one. 3 T scanners have 20 to 40 %.
STRENGTHS = (0.2, 0.4, 0.8)
DEGREE = 3


def perturbations(seed: int) -> list[Perturbation]:
    """One field in several strengths."""
    return [
        Perturbation(
            name="bias_field",
            level=f"{strength:.0%}",
            change=partial(multiply_field, strength=strength, seed=seed),
        )
        for strength in STRENGTHS
    ]


def multiply_field(head: Head, *, strength: float, seed: int) -> Scan:
    """Multiply by the exponential of a random polynomial.

    Args:
        head: the scan.
        strength: brightest over darkest place within the brain, minus one.
        seed: of the polynomial's coefficients.
    """
    log_XYZ = random_polynomial(head.scan.data_XYZ.shape, derive_seed(seed, "bias field"))
    inside = log_XYZ[head.brain_mask]
    scale = np.log1p(strength) / float(inside.max() - inside.min())
    field_XYZ = np.exp((log_XYZ - inside.mean()) * scale)
    above = head.scan.data_XYZ - np.float32(head.background)
    return head.scanned(above * field_XYZ + np.float32(head.background))


def random_polynomial(shape_XYZ: tuple[int, ...], seed: int) -> npt.NDArray[np.float32]:
    """A polynomial of `DEGREE` in the three coordinates, each from -1 to 1 across the grid."""
    generator = np.random.default_rng(seed)
    axes = np.ogrid[tuple(slice(-1, 1, complex(0, size)) for size in shape_XYZ)]
    field_XYZ = np.zeros(shape_XYZ, dtype=np.float32)
    for powers in product(range(DEGREE + 1), repeat=3):
        if 0 < sum(powers) <= DEGREE:
            weight = generator.uniform(-1, 1)
            x, y, z = (axis**power for axis, power in zip(axes, powers, strict=True))
            field_XYZ += (weight * x * y * z).astype(np.float32)
    return field_XYZ
