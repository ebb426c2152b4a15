"""The warnings that whoever predicts a changed scan would get: those of ``brainage predict``."""

from dataclasses import replace

from brainage.bundle.answer import AgePrediction
from brainage.bundle.model import ModelBundle
from brainage.preprocess.contrast import measure_contrast
from brainage.preprocess.pipeline import PreprocessedScan
from brainage.preprocess.quality_limits import load_quality_limits, quality_flags


def flags_of(
    bundle: ModelBundle, prepared: PreprocessedScan, said: AgePrediction
) -> tuple[str, ...]:
    """Flags of what can be seen in the scan and its age; who it is of is no matter here.

    Figures that cost another look at the scan are left out, as predicting leaves them out: a
    warning that nobody gets does not count.
    """
    known = load_quality_limits()
    measured = {name: each for name, each in known.limits.items() if name in prepared.quality}
    flags = quality_flags(prepared.quality, replace(known, limits=measured))
    space, distance = bundle.training_space, said.training_distance
    others = {
        "contrast_not_t1w": not measure_contrast(prepared).is_t1w,
        "unlike_training": (
            space is not None and distance is not None and space.is_outside(distance)
        ),
        "predicted_age_outside_training": not bundle.in_training_range(said.age_years),
    }
    return (*flags, *(name for name, is_so in others.items() if is_so))
