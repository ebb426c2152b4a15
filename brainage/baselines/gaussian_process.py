"""Gaussian process regression of age, its kernel fitted to the training part alone."""

import warnings

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, Kernel, WhiteKernel

from brainage.baselines.voxels import VoxelProducts

Floats = npt.NDArray[np.floating]

# An eigenvalue below this share of the largest is rounding.
RELATIVE_ROUNDING = 1e-10


def gaussian_process_ages(
    training_features: Floats, training_ages_years: Floats, test_features: Floats
) -> Floats:
    """Mean of the posterior age of test scans, shape (M,), in years.

    The kernel is linear plus radial plus noise. Its four amplitudes and widths are those of the
    largest marginal likelihood of the training ages, so no scan is set aside for tuning.

    Args:
        training_features: (N, F), of a mean square of about 1 to F in each row.
        training_ages_years: (N,).
        test_features: (M, F).
    """
    mean, sd = float(training_ages_years.mean()), float(training_ages_years.std())
    process = GaussianProcessRegressor(_kernel(training_features))
    with warnings.catch_warnings():
        # An amplitude at its bound is a term that the ages do not need.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(training_features, (training_ages_years - mean) / sd)
    predicted: Floats = process.predict(test_features) * sd + mean
    return predicted


def voxel_coordinates(products: VoxelProducts) -> tuple[Floats, Floats]:
    """Points with the same products and distances as the scans' voxels, in few dimensions.

    Coordinates of training scans (N, D + 1) are their principal components; what of a test scan
    lies outside of their span is one number, the last column of (M, D + 1), for it is as far from
    all training scans.
    """
    values, vectors = np.linalg.eigh(products.training_NN)
    kept = values > RELATIVE_ROUNDING * max(float(values.max()), 0.0)
    roots, vectors = np.sqrt(values[kept]), vectors[:, kept]
    training = vectors * roots
    test = products.test_MN @ vectors / roots
    outside = np.sqrt(np.maximum(products.test_squares_M - (test**2).sum(axis=1), 0))
    return (
        np.hstack([training, np.zeros((len(training), 1))]),
        np.hstack([test, outside[:, None]]),
    )


def _kernel(training_features: Floats) -> Kernel:
    """The kernel to start from, in units of the features' mean square."""
    square = float((training_features**2).sum(axis=1).mean())
    width = np.sqrt(2 * square)
    radial = RBF(width, (0.1 * width, 30 * width))
    linear = ConstantKernel(0.5 / square, (1e-5 / square, 1e3 / square)) * DotProduct(
        0.0, sigma_0_bounds="fixed"
    )
    return (
        ConstantKernel(0.5, (1e-5, 1e3)) * radial
        + linear
        + WhiteKernel(0.1, noise_level_bounds=(1e-4, 2.0))
    )
