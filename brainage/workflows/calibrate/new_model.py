"""The texts of a calibrated model: what it notes of its controls, and its card."""

from collections.abc import Sequence
from typing import Any

from brainage.bundle.files import CARD, SCAN_HASHES, SUBJECT_HASHES
from brainage.bundle.honest_numbers import HonestNumbers
from brainage.bundle.model import ModelBundle
from brainage.scans.record import ScanRecord
from brainage.workflows.calibrate.controls import Controls
from brainage.workflows.evaluate.leakage import ScanIdentity, training_identities
from brainage.workflows.train.honest_card import calibrated_section


def calibration_of_controls(
    bundle: ModelBundle,
    controls: Controls,
    honest: HonestNumbers,
    *,
    site: str,
    records: Sequence[ScanRecord],
    scans: Sequence[ScanIdentity],
) -> dict[str, Any]:
    """Content of ``calibration.json``: the model's own, with what the controls say in its place.

    Controls are noted as training scans are, all of them, so that evaluating refuses them.

    Args:
        bundle: before calibrating.
        controls: one scan each.
        honest: what was fitted on them.
        site: where they were scanned.
        records: all scans that were given, used or not.
        scans: their identities.
    """
    before = bundle.calibration
    ages = controls.age_years
    numbers = honest.as_dict()
    if "training_space" in before.get("absent", {}):
        numbers["absent"]["training_space"] = before["absent"]["training_space"]
    new = training_identities(records, [scan.sha256 for scan in scans if scan.sha256])
    return {
        **before,
        "calibrated_on": {
            "what": "controls",
            "site": site,
            "n": controls.n,
            "age_range_years": [float(ages.min()), float(ages.max())],
            "mean_age_years": float(ages.mean()),
            "base_model_hash": bundle.model_hash,
        },
        **numbers,
        **{key: sorted({*before[key], *new[key]}) for key in (SUBJECT_HASHES, SCAN_HASHES)},
    }


def card_of_controls(
    bundle: ModelBundle, calibration: dict[str, Any], said: str, warnings: Sequence[str]
) -> str:
    """The model's own card with a section on its calibration.

    Args:
        bundle: before calibrating.
        calibration: of the new model.
        said: what calibrating changes, one sentence.
        warnings: what has to be known, a sentence each.
    """
    facts = calibration["calibrated_on"]
    low, high = facts["age_range_years"]
    before = (bundle.folder / CARD).read_text(encoding="utf-8").rstrip("\n")
    told = "".join(f" {sentence}" for sentence in (said, *warnings))
    section = calibrated_section(
        calibration, refit=False, heading="What one prediction is worth there"
    )
    return f"""{before}

## Calibrated at {facts["site"]}

Age line and intervals of this model are those of {facts["n"]} controls of {low:.1f} to {high:.1f} \
years, scanned at {facts["site"]}; they replace what is said of them above. The networks and the raw
prediction are those of the model {facts["base_model_hash"]}.{told}

{section}
"""
