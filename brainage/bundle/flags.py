"""Warnings that can be seen in a scan and its predicted age, whoever it is of."""

from collections.abc import Mapping
from dataclasses import replace

from brainage.bundle.answer import AgePrediction
from brainage.bundle.model import ModelBundle
from brainage.preprocess.contrast import Contrast
from brainage.preprocess.quality_limits import load_quality_limits, quality_flags


def scan_flags(
    bundle: ModelBundle,
    quality: Mapping[str, float],
    contrast: Contrast | None,
    said: AgePrediction,
    *,
    orientation_stated: bool = True,
) -> tuple[str, ...]:
    """Flags of a predicted scan, those of its quality figures first.

    Figures that cost another look at the scan, such as ``cjv``, are those of
    ``brainage preprocess``. The other flags are ``contrast_not_t1w``: the tissues are not as bright
    as in a T1w scan; ``orientation_guessed``; ``unlike_training``: the scan lies far from those of
    the training; and ``predicted_age_outside_training``: the age is beyond all of the training's.

    Args:
        bundle: the model.
        quality: the figures that preprocessing leaves by itself.
        contrast: of the preprocessed scan; None where it was not measured.
        said: the prediction.
        orientation_stated: whether the file states where left and right are.
    """
    space, distance = bundle.training_space, said.training_distance
    found = {
        "contrast_not_t1w": contrast is not None and not contrast.is_t1w,
        "orientation_guessed": not orientation_stated,
        "unlike_training": (
            space is not None and distance is not None and space.is_outside(distance)
        ),
        "predicted_age_outside_training": not bundle.in_training_range(said.age_years),
    }
    return (*_figure_flags(quality), *(name for name, is_so in found.items() if is_so))


def _figure_flags(quality: Mapping[str, float]) -> tuple[str, ...]:
    known = load_quality_limits()
    limits = {name: limit for name, limit in known.limits.items() if name in quality}
    return quality_flags(quality, replace(known, limits=limits))
