"""Kernel ridge regression of age on voxels, tuned inside the training part."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, GroupKFold

from brainage.baselines.voxels import VoxelProducts

Floats = npt.NDArray[np.floating]

ALPHAS = (0.01, 0.1, 1.0, 10.0)
GAMMAS = (0.1, 0.3, 1.0, 3.0)
"""Widths of the radial kernel, in units of one over the mean squared distance between scans."""
INNER_FOLDS = 4


def kernel_ridge_ages(
    products: VoxelProducts, training_ages_years: Floats, training_subjects: Sequence[str]
) -> Floats:
    """Ages of test scans, shape (M,), in years.

    Linear and radial kernels and their ridge are chosen by inner cross-validation on the training
    scans, grouped by subject, for the smallest mean absolute error.

    Args:
        products: of N training and M test scans.
        training_ages_years: (N,).
        training_subjects: N names.
    """
    mean_age = float(training_ages_years.mean())
    groups = np.unique(np.asarray(training_subjects), return_inverse=True)[1]
    folds = GroupKFold(min(INNER_FOLDS, len(np.unique(groups))))
    searches = []
    for train_kernel, test_kernel in _kernels(products):
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


def _kernels(products: VoxelProducts) -> Iterator[tuple[Floats, Floats]]:
    """Kernels of training with training and of test with training scans: linear, then radial."""
    yield products.training_NN, products.test_MN
    train_distances, test_distances = products.squared_distances()
    for gamma in GAMMAS:
        yield np.exp(-gamma / 2 * train_distances), np.exp(-gamma / 2 * test_distances)
