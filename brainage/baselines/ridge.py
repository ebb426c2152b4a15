"""Ridge regression of age on a few features, tuned inside the training part."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Floats = npt.NDArray[np.floating]

ALPHAS = tuple(float(alpha) for alpha in np.logspace(-2, 4, 13))
INNER_FOLDS = 4


def ridge_ages(
    training_features: Floats,
    training_ages_years: Floats,
    training_subjects: Sequence[str],
    test_features: Floats,
) -> Floats:
    """Ages of test scans, shape (M,), in years.

    Features are standardised by the training scans. The ridge is chosen by inner cross-validation
    on them, grouped by subject, for the smallest mean absolute error.

    Args:
        training_features: (N, F).
        training_ages_years: (N,).
        training_subjects: N names.
        test_features: (M, F).
    """
    groups = np.unique(np.asarray(training_subjects), return_inverse=True)[1]
    folds = GroupKFold(min(INNER_FOLDS, len(np.unique(groups))))
    parts = list(folds.split(training_features, groups=groups))
    model = make_pipeline(
        StandardScaler(), RidgeCV(ALPHAS, scoring="neg_mean_absolute_error", cv=parts)
    )
    model.fit(training_features, training_ages_years)
    predicted: Floats = model.predict(test_features)
    return predicted
