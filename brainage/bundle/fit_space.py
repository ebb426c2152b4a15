"""Fitting a training space: where scans lie in a network's features, and how far is too far.

Source: Lee et al. 2018, NeurIPS (Mahalanobis distance of features); Ledoit and Wolf 2004, Journal
of Multivariate Analysis 88:365 (a covariance that can be inverted however few the scans).
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from sklearn.covariance import LedoitWolf

from brainage.bundle.training_space import MemberSpace, pooled_features
from brainage.core.blocks import BlockChain
from brainage.errors import CohortError

Floats = npt.NDArray[np.float64]
Volume = npt.NDArray[np.float32]

WITHIN = 0.975
"""Fraction of scans of the training's studies, not trained on, that are to count as alike."""
LEAST_SCANS = 9
"""Fewer held-out scans would let more than a tenth of their kind count as unlike them."""


@torch.no_grad()
def embed(chain: BlockChain, volumes: Iterable[Volume]) -> Floats:
    """Features (N, F) of preprocessed volumes, one at a time.

    Args:
        chain: the network, in evaluation mode, on whatever device.
        volumes: each of shape (X, Y, Z).
    """
    device = next(chain.parameters()).device

    def features() -> Iterator[Floats]:
        for volume_XYZ in volumes:
            inputs = torch.from_numpy(volume_XYZ)[None, None].to(device)
            outputs = chain.all_outputs(inputs)[-1]
            yield pooled_features(outputs)[0].double().cpu().numpy()

    return np.stack(list(features()))


def fit_member_space(features_NF: Floats) -> MemberSpace:
    """Mean and precision of a network's training scans."""
    fitted = LedoitWolf().fit(features_NF)
    return MemberSpace(fitted.location_, fitted.precision_ / features_NF.shape[1])


def distance_limit(distances: Floats) -> tuple[float, float]:
    """The distance beyond which a scan counts as unlike the training's.

    Args:
        distances: (N,) of held-out scans, each by a network that has not seen it.

    Returns:
        The limit, and the largest fraction of new scans of the same kind that lie beyond it on
        average: 1 - ``WITHIN``, or 1 / (N + 1) where there are too few scans for that.

    Raises:
        CohortError: if there are fewer than ``LEAST_SCANS``.
    """
    n = len(distances)
    if n < LEAST_SCANS:
        raise CohortError(
            f"how far is too far needs {LEAST_SCANS} people who were not trained on, got {n}"
        )
    rank = min(n, math.ceil((n + 1) * WITHIN - 1e-9))
    return float(np.sort(distances)[rank - 1]), (n + 1 - rank) / (n + 1)
