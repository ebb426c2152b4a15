"""Kernel ridge regression of age on voxels, tuned inside the training part."""

from collections.abc import Iterator, Sequence

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
    groups = np.unique(np.asarray(training_subjects), return_inverse=True)[1]
    folds = GroupKFold(min(INNER_FOLDS, len(np.unique(groups))))
    searches = []
    for train_kernel, test_kernel in _kernels(train, test):
        search = GridSearchCV(
            KernelRidge(kernel="precomputed"),
            {"alpha": ALPHAS},
            scoring="neg_mean_absolute_error",
            cv=folds,
        )
        search.fit(train_kernel, training_ages_years - mean_age, groups=groups)
        searches.append((search.best_score_, search, test_kernel))
    _, best, test_kernel = max(searches, key=lambda entry: entry[0])
    predicted: Floats = best.predict(test_kernel) + mean_age
    return predicted


def _kernels(train: Floats, test: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Kernels of training with training and of test with training scans: linear, then radial.

    Products of rows are computed once; everything else is small. The rows are centred and of mean
    square 1, so the mean squared distance of two scans is 2, whatever the grid.
    """
    train_products, test_products = train @ train.T, test @ train.T
    yield train_products, test_products
    train_squares, test_squares = (train**2).sum(axis=1), (test**2).sum(axis=1)
    train_distances = train_squares[:, None] + train_squares - 2 * train_products
    test_distances = test_squares[:, None] + train_squares - 2 * test_products
    for gamma in GAMMAS:
        yield np.exp(-gamma / 2 * train_distances), np.exp(-gamma / 2 * test_distances)


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
