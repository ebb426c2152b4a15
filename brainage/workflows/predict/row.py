"""The row of one scan: what the table holds, the library returns and a server answers."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ScanPrediction:
    """What became of one scan. Ages are in years; None is unknown or was not asked for."""

    scan: str
    """Path of the scan."""

    subject: str
    session: str | None

    status: str
    """``ok``, or ``failed``."""

    stage: str | None = None
    """Where it failed, one of ``ScanError.STAGES``, ``worker`` or ``unexpected``."""

    reason: str | None = None
    """Why it failed: what was expected and what was got."""

    qc_flags: tuple[str, ...] = ()
    """Reasons to look at the scan before its age is used, see docs/predicting.md."""

    age_years: float | None = None
    """Age at the scan, where the source tells it."""

    predicted_age: float | None = None
    """As the networks say it, without any correction."""

    predicted_age_corrected: float | None = None
    """Without the age bias of the model's line; None where the model has no line."""

    brain_age_gap: float | None = None
    """``predicted_age`` - ``age_years``."""

    brain_age_gap_corrected: float | None = None
    """``predicted_age_corrected`` - ``age_years``."""

    interval_low: float | None = None
    interval_high: float | None = None
    """Bounds on the person's age, from ``predicted_age``."""

    coverage: float | None = None
    """How many people's ages lie within such bounds, as a fraction."""

    age_in_training_range: bool | None = None
    """Whether the model was trained on ages as young and as old as ``age_years``."""

    model_hash: str
    """Of the model, with ``+answer`` where that is not the last block's."""

    preprocessing_hash: str

    seconds: float
    """Preprocessing and network."""

    spread_workers: float | None = None
    """Standard deviation over the workers of the answering block."""

    spread_blocks: float | None = None
    """Standard deviation over the blocks that were run."""

    spread_networks: float | None = None
    """Standard deviation over the networks of the model, such as those of its folds."""

    spread_views: float | None = None
    """Standard deviation over the views of test-time augmentation."""

    training_distance: float | None = None
    """How far the scan is from those of the training, without a unit."""

    scan_sha256: str | None = None
    """First half of the SHA-256 of the scan's bytes, in hexadecimal; None if they are not known."""

    def cells(self) -> list[str]:
        """The row as text: numbers to four decimals, flags with spaces between them."""
        return [cell_text(getattr(self, name)) for name in COLUMNS]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values under the names of the columns; flags as a list."""
        values = {name: getattr(self, name) for name in COLUMNS}
        return {**values, "qc_flags": list(self.qc_flags)}


COLUMNS = tuple(entry.name for entry in fields(ScanPrediction))


def cell_text(value: object) -> str:
    """A value as the table has it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return " ".join(value)
    return f"{value:.4f}" if isinstance(value, float) else str(value)
