"""The model that comes with the package, so that a first prediction needs no training."""

from pathlib import Path

from brainage.bundle.model import ModelBundle

DEMONSTRATION = Path(__file__).with_name("demonstration_model")
"""Its folder; ``python -m pipelines.demonstration_model`` makes it."""


def demonstration_limits(bundle: ModelBundle) -> str:
    """What whoever uses it has to know, as one line."""
    facts = bundle.calibration
    low, high = facts["training_age_range_years"]
    error = facts["held_out"]["mae_years"]
    return (
        f"the demonstration model is asked, since --model names none: trained on "
        f"{facts['training_scans']} scans of {', '.join(facts['training_sites'])}, ages "
        f"{low:.0f} to {high:.0f}, held-out error {error:.1f} years there, unknown on other "
        "scanners; for trying out, not for research or clinical use"
    )
