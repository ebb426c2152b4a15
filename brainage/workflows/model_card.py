"""The text that travels with a model."""

from collections.abc import Mapping
from typing import Any

from brainage import __version__
from brainage.config.run import RunConfig

RULES = {
    "bp": "back-propagation",
    "bp_deep_supervision": "back-propagation with a loss on every block",
    "lfnn": "LFNN: leader-follower losses in every block beside the global loss",
    "lfnn_l": "LFNN-l: leader-follower losses, no gradient across block boundaries",
}


def model_card(config: RunConfig, calibration: Mapping[str, Any]) -> str:
    """Markdown: what the model is, what it was trained on, how good it is, what it is not for."""
    held_out = calibration["held_out"]
    low, high = calibration["training_age_range_years"]
    how = {
        "kfold": "out of fold over all scans; the kept model was then trained on all of them",
        "holdout": "on scans of subjects that were not trained on",
    }[calibration["evaluation"]]
    return f"""# Model card: {config.name}

Predicts brain age in years from one T1-weighted scan. Written by brainage {__version__}.

| | |
|---|---|
| training rule | {RULES[config.objective.name]} |
| network | {config.backbone.name}, {config.blocks.num_blocks} blocks |
| training scans | {calibration["training_scans"]} of {", ".join(calibration["training_sites"])} |
| training ages | {low:.1f} to {high:.1f} years, mean {calibration["training_mean_age_years"]:.1f} |
| grid | {config.preprocess.grid.spacing_mm} mm, MNI152 |
| held-out MAE | {_number(held_out["mae_years"])} years (95 % interval \
{_number(held_out["mae_low"])} to {_number(held_out["mae_high"])}, n = {held_out["n"]}), {how} |
| predicting the mean age | {_number(held_out["mae_mean_baseline_years"])} years |

Errors are uncorrected for age bias. Predictions for ages outside the training range, for other
scanners and for patients are extrapolation. Brain age is a research measure; it is not a diagnosis
and this model is not for clinical use.
"""


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
