"""The text that travels with a model."""

from collections.abc import Mapping, Sequence
from typing import Any

from brainage import __version__
from brainage.config.run import RunConfig
from brainage.workflows.train.honest_card import honest_section

RULES = {
    "bp": "back-propagation",
    "bp_deep_supervision": "back-propagation with a loss on every block",
    "lfnn": "LFNN: leader-follower losses in every block beside the global loss",
    "lfnn_l": "LFNN-l: leader-follower losses, no gradient across block boundaries",
    "greedy": "greedy training, one block after the other",
    "dgl": "decoupled greedy learning",
    "predsim": "prediction and similarity-matching losses in every block",
    "feedback_alignment": "feedback alignment",
    "direct_feedback_alignment": "direct feedback alignment",
}
TESTED = {
    "kfold": "out of fold over all scans",
    "leave_one_site_out": "each site by a network that saw no scan of it",
    "holdout": "on scans of subjects that were not trained on",
}


def model_card(
    config: RunConfig,
    calibration: Mapping[str, Any],
    notes: Sequence[str],
    by_site: Mapping[str, Mapping[str, float]],
) -> str:
    """Markdown: what the model is, what it was trained on, how good it is, what it is not for.

    Args:
        config: of the network, or of the run that trained several.
        calibration: as in ``calibration.json``.
        notes: sentences on how the error came about, and what it says of this model.
        by_site: held-out scans ``n`` and their ``mae_years`` of each site.
    """
    held_out = calibration["held_out"]
    low, high = calibration["training_age_range_years"]
    how = TESTED[calibration["evaluation"]]
    networks, views = calibration["networks"], config.inference.test_time_augmentation
    answer = "one network" if networks == 1 else f"the mean of {networks} networks"
    answer += f", over {views} views of the scan" if views > 1 else ""
    refit = calibration["evaluation"] != "holdout" and config.inference.kept == "refit"
    told = "".join(f"{note}\n\n" for note in notes)
    sites = "\n".join(
        f"| {site} | {error['n']:.0f} | {_number(error['mae_years'])} |"
        for site, error in by_site.items()
    )
    return f"""# Model card: {config.name}

Predicts brain age in years from one T1-weighted scan. Written by brainage {__version__}.

| | |
|---|---|
| training rule | {RULES[config.objective.name]} |
| network | {config.backbone.name}, {config.blocks.num_blocks} blocks |
| answer | {answer} |
| training scans | {calibration["training_scans"]} of {", ".join(calibration["training_sites"])} |
| training ages | {low:.1f} to {high:.1f} years, mean {calibration["training_mean_age_years"]:.1f} |
| grid | {config.preprocess.grid.spacing_mm} mm, MNI152 |
| held-out MAE | {_number(held_out["mae_years"])} years (95 % interval \
{_number(held_out["mae_low"])} to {_number(held_out["mae_high"])}, n = {held_out["n"]}), {how} |
| predicting the mean age | {_number(held_out["mae_mean_baseline_years"])} years |

| site | held-out scans | MAE (years) |
|---|---|---|
{sites}

{told}\
{honest_section(calibration, refit=refit)}
Errors are uncorrected for age bias. Predictions for ages outside the training range, for other
scanners and for patients are extrapolation. Brain age is a research measure; it is not a diagnosis
and this model is not for clinical use.
"""


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
