"""How long to train where there is nothing to validate on."""

import statistics
from collections.abc import Iterable


def median_epoch(best_epochs: Iterable[int | None]) -> int | None:
    """The median of the epochs at which other fits were best, rounded; none without any."""
    known = [epoch for epoch in best_epochs if epoch is not None]
    return max(1, round(statistics.median(known))) if known else None
