"""The section of a model card on what one prediction is worth."""

from collections.abc import Mapping
from typing import Any


def honest_section(calibration: Mapping[str, Any], *, refit: bool) -> str:
    """Markdown: intervals with their coverage, the age line, what is known of strange scans.

    Args:
        calibration: as in ``calibration.json``.
        refit: the kept network was trained on all scans, after others had predicted them.
    """
    strange = _strange(calibration["training_space"], calibration["absent"])
    return f"{calibrated_section(calibration, refit=refit)}\n\n{strange}\n"


def calibrated_section(
    calibration: Mapping[str, Any],
    *,
    refit: bool,
    heading: str = "What one prediction is worth",
) -> str:
    """Markdown: the part of it that calibrating replaces.

    Args:
        calibration: as in ``calibration.json``.
        refit: as for ``honest_section``.
        heading: of the section.
    """
    absent = calibration["absent"]
    parts = [
        f"## {heading}",
        _intervals(calibration["intervals"], calibration["measured_coverage"], absent, refit),
        _age_line(calibration["age_line"], absent),
    ]
    return "\n\n".join(parts)


def _intervals(
    intervals: Mapping[str, Any] | None,
    measured: Mapping[str, Any] | None,
    absent: Mapping[str, str],
    refit: bool,
) -> str:
    if intervals is None:
        return f"No interval comes with an age: {absent['intervals']}."
    text = (
        f"Every age comes with an interval that is made to hold the person's age in "
        f"{intervals['coverage']:.0%} of new scans of the same kind."
    )
    if measured is None:
        return f"{text} How often it does was not measured: {absent['measured_coverage']}."
    text += (
        f" On held-out people, by intervals fitted on others, it did in "
        f"{_share(measured)}; it is {measured['width_years']:.1f} years wide on average."
    )
    if refit:
        text += (
            " These are errors of the networks of the folds. The one that is kept was trained on "
            "all scans and cannot be tested on them; it should err no more."
        )
    rows = "\n".join(
        f"| {row['ages']} | {row['n']} | {_share(row)} | {row['width_years']:.1f} |"
        for row in measured["by_age_decade"]
    )
    return (
        f"{text} By age it holds more or less often, since errors grow where training scans are "
        "few:\n\n| age | people | age within the interval | width (years) |\n|---|---|---|---|\n"
        f"{rows}"
    )


def _age_line(line: Mapping[str, Any] | None, absent: Mapping[str, str]) -> str:
    if line is None:
        return f"No age is corrected for age bias: {absent['age_line']}."
    text = (
        f"Over the ages of {line['n']} people it had not seen, the prediction is close to "
        f"{line['slope']:.2f} x age {line['intercept_years']:+.1f} years."
    )
    if "corrected_age" in absent:
        return f"{text} No age is corrected by it: {absent['corrected_age']}."
    return (
        f"{text} The corrected age inverts this line. It takes out what the model does to "
        "everybody of an age, and makes noise larger: it is for looking at gaps, not at errors."
    )


def _strange(space: Mapping[str, Any] | None, absent: Mapping[str, str]) -> str:
    if space is None:
        return f"Scans unlike the training's are not noticed: {absent['training_space']}."
    return (
        f"A scan whose features lie farther from the training's than {space['most']:.2f} is "
        f"flagged. {space['held_out_scans']} scans that were not trained on have a median of "
        f"{space['held_out_median']:.2f}; of their kind about {space['expected_beyond']:.1%} are "
        "flagged for nothing."
    )


def _share(row: Mapping[str, Any]) -> str:
    between = ""
    if row["coverage_low"] is not None:
        between = f" ({row['coverage_low']:.0%} to {row['coverage_high']:.0%})"
    return f"{row['coverage']:.0%}{between}"
