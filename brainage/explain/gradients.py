"""Integrated gradients: a share of the age for every voxel.

Source: Sundararajan et al. 2017, ICML, "Axiomatic attribution for deep networks".
"""

from dataclasses import dataclass

import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from brainage.explain.answer import AnswerNetwork


@dataclass(frozen=True)
class Attribution:
    """``years_XYZ``: what each voxel adds to the age of the baseline.

    ``completeness_years`` is by how much their sum misses the difference between the two ages; it
    would be zero with infinitely many steps.
    """

    years_XYZ: Tensor
    age_years: float
    baseline_age_years: float
    completeness_years: float


def integrated_gradients(
    network: AnswerNetwork, difference: Tensor, *, num_steps: int, rows: int
) -> Attribution:
    """Shares of the age, from the baseline to the scan.

    The path goes straight from the network's baseline to the volume; steps are placed by
    Gauss-Legendre quadrature. Gradients flow through all blocks: they are of the finished function,
    and nothing is trained by them.

    Args:
        network: what is explained.
        difference: the volume as the network takes it, (1, 1, X, Y, Z).
        num_steps: points on the path.
        rows: volumes that go through the network together.
    """
    zero = torch.zeros_like(difference)
    years = IntegratedGradients(network).attribute(
        difference, zero, n_steps=num_steps, internal_batch_size=rows
    )
    with torch.no_grad():
        age_years, baseline_age_years = float(network(difference)), float(network(zero))
    missed = float(years.sum(dtype=torch.float64)) - (age_years - baseline_age_years)
    return Attribution(years[0, 0].detach().float(), age_years, baseline_age_years, missed)
