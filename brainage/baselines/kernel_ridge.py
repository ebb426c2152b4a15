"""Kernel ridge regression of age on voxels, tuned inside the training part."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, GroupKFold

Floats = npt.NDArray[np.floating]

ALPHAS = (0.01, 0.1, 1.0, 10.0)
GAMMAS = (0.1, 0.3, 1.0, 3.0)
"""Widths of the radial kernel, in units of one over the mean squared distance between scans."""
INNER_FOLDS = 4
VOXELS_ALONG_AXIS = 64
"""Finer volumes are averaged down to at most this many voxels along each axis."""


def kernel_ridge_ages(
    training_volumes: Floats,
    training_ages_years: Floats,
    training_subjects: Sequence[str],
    test_volumes: Floats,
) -> Floats:
    """Ages of test scans, shape (M,), in years.

    Linear and radial kernels and their ridge are chosen by inner cross-validation on the training
    scans, grouped by subject, for the smallest mean absolute error.

    Args:
        training_volumes: (N, X, Y, Z), preprocessed.
        training_ages_years: (N,).
        training_subjects: N names.
        test_volumes: (M, X, Y, Z).
    """
    train, test = _voxels(training_volumes), _voxels(test_volumes)
    centre = train.mean(axis=0)
    train, test = train - centre, test - centre
    scale = np.sqrt((train**2).sum(axis=1).mean())
    train, test = train / scale, test / scale
    mean_age = float(training_ages_years.mean())
    # Scaled so, the mean squared distance of two scans is 2, whatever the grid.
    grid = [
        {"kernel": ["linear"], "alpha": ALPHAS},
        {"kernel": ["rbf"], "alpha": ALPHAS, "gamma": [gamma / 2 for gamma in GAMMAS]},
    ]
    groups = np.unique(np.asarray(training_subjects), return_inverse=True)[1]
    folds = min(INNER_FOLDS, len(np.unique(groups)))
    search = GridSearchCV(
        KernelRidge(), grid, scoring="neg_mean_absolute_error", cv=GroupKFold(folds)
    )
    search.fit(train, training_ages_years - mean_age, groups=groups)
    predicted: Floats = search.predict(test) + mean_age
    return predicted


def _voxels(volumes: Floats) -> Floats:
    """Volumes (N, X, Y, Z) as rows (N, voxels), coarser where they are fine."""
    steps = [-(-size // VOXELS_ALONG_AXIS) for size in volumes.shape[1:]]
    for axis, step in enumerate(steps, start=1):
        if step > 1:
            length = volumes.shape[axis] // step * step
            cut = np.take(volumes, np.arange(length), axis=axis)
            shape = (*cut.shape[:axis], length // step, step, *cut.shape[axis + 1 :])
            volumes = cut.reshape(shape).mean(axis=axis + 1)
    return np.asarray(volumes.reshape(len(volumes), -1), dtype=np.float64)
