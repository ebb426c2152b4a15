"""How well the predictions of one subject's scans agree, and whether they age with the subject.

Of each subject the two scans that lie closest in age make a pair, the younger one first. Agreement
is judged on the gap, predicted age minus age, so that the time between the scans is taken out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainage.reporting.estimates import (
    MIN_SUBJECTS,
    Estimate,
    bootstrap_estimates,
    subject_groups,
)
from brainage.reporting.resampling import Floats, Indices, ratio

# 1.96 standard deviations hold 95 % of normal differences.
LIMIT_DEVIATIONS = 1.96
# Ages of a subject have to differ by this much to say how fast predicted age moves.
MIN_YEARS_FOR_SLOPE = 0.5


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Agreement of repeated scans; a pair is two scans of one subject."""

    num_pairs: int
    """Subjects with several scans."""

    years_between_median: float
    """Of the scans of a pair."""

    years_between_max: float

    icc_2_1_gap: Estimate
    """Absolute agreement of single scans, ICC(2,1), of the gap."""

    icc_3_1_gap: Estimate
    """Consistency of single scans, ICC(3,1), of the gap."""

    icc_2_1_predicted_age: Estimate
    """ICC(2,1) of predicted age; it grows with the age range of the subjects."""

    icc_3_1_predicted_age: Estimate

    mean_difference_years: Estimate
    """Gap of the second scan minus that of the first."""

    limit_low_years: Estimate
    """Lower 95 % limit of agreement: mean difference minus 1.96 standard deviations."""

    limit_high_years: Estimate

    absolute_difference_years: Estimate
    """Mean absolute difference of the gaps."""

    first_predicted_age: Floats
    """Of the first scan of each pair, (P,)."""

    second_predicted_age: Floats

    gap_difference_years: Floats
    """Gap of the second minus that of the first, (P,)."""


@dataclass(frozen=True, kw_only=True)
class LongitudinalSlope:
    """How fast predicted age moves within subjects."""

    num_subjects: int
    """Subjects whose ages differ by half a year or more."""

    num_scans: int

    years_per_year: Estimate
    """Years of predicted age per year of age; 1 is ageing as the calendar has it."""


def reliability(
    age_years: npt.ArrayLike, predicted_age: npt.ArrayLike, subjects: Sequence[str]
) -> Reliability | None:
    """Agreement of the closest two scans of each subject; None with fewer than three such subjects.

    Args:
        age_years: shape (N,).
        predicted_age: shape (N,), years.
        subjects: who each scan is of.

    Source: Shrout and Fleiss 1979 for the ICC; Bland and Altman 1986 for the limits.
    """
    age = np.asarray(age_years, dtype=np.float64)
    predicted = np.asarray(predicted_age, dtype=np.float64)
    pairs = closest_pairs(age, subject_groups(subjects, len(age)))
    if len(pairs) < MIN_SUBJECTS:
        return None
    first, second = pairs.T
    gaps, ages = (predicted - age)[pairs], predicted[pairs]

    def statistics(weights: Floats) -> dict[str, Floats]:
        of_gap = intraclass_correlations(weights, gaps)
        of_age = intraclass_correlations(weights, ages)
        return {
            "icc_2_1_gap": of_gap[0],
            "icc_3_1_gap": of_gap[1],
            "icc_2_1_predicted_age": of_age[0],
            "icc_3_1_predicted_age": of_age[1],
            **_agreement(weights, gaps[:, 1] - gaps[:, 0]),
        }

    between = np.abs(age[second] - age[first])
    return Reliability(
        num_pairs=len(pairs),
        years_between_median=float(np.median(between)),
        years_between_max=float(between.max()),
        first_predicted_age=predicted[first],
        second_predicted_age=predicted[second],
        gap_difference_years=gaps[:, 1] - gaps[:, 0],
        **bootstrap_estimates(statistics, np.arange(len(pairs))),
    )


def longitudinal_slope(
    age_years: npt.ArrayLike, predicted_age: npt.ArrayLike, subjects: Sequence[str]
) -> LongitudinalSlope | None:
    """The slope of predicted age over age within subjects; None with fewer than three to fit.

    Regression with one slope and an intercept for each subject.

    Args:
        age_years: shape (N,).
        predicted_age: shape (N,), years.
        subjects: who each scan is of.
    """
    age = np.asarray(age_years, dtype=np.float64)
    predicted = np.asarray(predicted_age, dtype=np.float64)
    groups = subject_groups(subjects, len(age))
    used = np.isin(groups, [g for g in np.unique(groups) if _spans(age[groups == g])])
    moved = np.unique(groups[used], return_inverse=True)[1].astype(np.intp)
    num_subjects = int(moved.max()) + 1 if len(moved) else 0
    if num_subjects < MIN_SUBJECTS:
        return None
    centred_age = _centred(age[used], moved)
    # Times ages about their mean, predictions need no centring of their own.
    products = np.bincount(moved, weights=centred_age * predicted[used])
    squares = np.bincount(moved, weights=centred_age**2)
    found = bootstrap_estimates(
        lambda weights: {"slope": ratio(weights @ products, weights @ squares)},
        np.arange(num_subjects),
    )
    return LongitudinalSlope(
        num_subjects=num_subjects, num_scans=int(used.sum()), years_per_year=found["slope"]
    )


def closest_pairs(age_years: Floats, groups: Indices) -> Indices:
    """Of each subject with several scans the two that lie closest in age, (P, 2) scans.

    The younger one comes first; of equal ages, the one that comes first.
    """
    pairs = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if len(members) > 1:
            by_age = members[np.argsort(age_years[members], kind="stable")]
            closest = int(np.argmin(np.diff(age_years[by_age])))
            pairs.append(by_age[closest : closest + 2])
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)


def intraclass_correlations(weights: Floats, ratings: Floats) -> tuple[Floats, Floats]:
    """ICC(2,1) and ICC(3,1) under each row of weights, (B,) each.

    With mean squares between subjects (BMS), between scans (JMS) and of the rest (EMS), n subjects
    and k scans of each: ICC(2,1) = (BMS - EMS) / (BMS + (k - 1) EMS + k (JMS - EMS) / n), and
    ICC(3,1) leaves out the last summand.

    Args:
        weights: how often each subject counts, (B, P).
        ratings: of first, second and further scans, (P, k).

    Source: Shrout and Fleiss 1979, cases 2 and 3.
    """
    k = ratings.shape[1]
    n = weights.sum(axis=1)
    of_scan = weights @ ratings / n[:, None]  # (B, k)
    of_subject = ratings.mean(axis=1)  # (P,)
    overall = of_scan.mean(axis=1)  # (B,)
    between_subjects = k * (weights * (of_subject - overall[:, None]) ** 2).sum(axis=1) / (n - 1)
    between_scans = n * ((of_scan - overall[:, None]) ** 2).sum(axis=1) / (k - 1)
    within = ratings - of_subject[:, None]  # (P, k)
    rest = within - (of_scan - overall[:, None])[:, None]  # (B, P, k)
    error = (weights * (rest**2).sum(axis=2)).sum(axis=1) / ((n - 1) * (k - 1))
    consistency = between_subjects + (k - 1) * error
    agreement = consistency + k * (between_scans - error) / n
    return (
        ratio(between_subjects - error, agreement),
        ratio(between_subjects - error, consistency),
    )


def _agreement(weights: Floats, difference: Floats) -> dict[str, Floats]:
    """Bland-Altman of differences (P,) under each row of weights (B, P)."""
    n = weights.sum(axis=1)
    mean = weights @ difference / n
    variance = (weights * (difference - mean[:, None]) ** 2).sum(axis=1) / (n - 1)
    reach = LIMIT_DEVIATIONS * np.sqrt(variance)
    return {
        "mean_difference_years": mean,
        "limit_low_years": mean - reach,
        "limit_high_years": mean + reach,
        "absolute_difference_years": weights @ np.abs(difference) / n,
    }


def _spans(ages: Floats) -> bool:
    return bool(np.ptp(ages) >= MIN_YEARS_FOR_SLOPE)


def _centred(values: Floats, groups: Indices) -> Floats:
    means = np.bincount(groups, weights=values) / np.bincount(groups)
    return values - means[groups]
