"""Settings of the model that is kept: its networks, how they are asked, what intervals hold."""

from dataclasses import dataclass
from typing import Literal

from brainage.core.config import FORBID_UNKNOWN, require

MOST_VIEWS = 32
LEAST_COVERAGE, MOST_COVERAGE = 0.5, 0.99


@dataclass(frozen=True, kw_only=True)
class InferenceConfig:
    """Which networks answer, and from how many views of a scan."""

    __pydantic_config__ = FORBID_UNKNOWN

    kept: Literal["refit", "folds"] = "refit"
    """With folds: ``refit`` trains one network on all scans afterwards and keeps it; ``folds``
    keeps the networks of all folds, which answer with the mean of their ages. One split keeps its
    one network either way."""
    test_time_augmentation: int = 1
    """Views of a scan that a network is asked about; it answers with their mean age. 1 is the scan
    as it is, 2 adds its mirror image, more add small turns and shifts."""
    coverage: float = 0.9
    """Fraction of ages of new people, of the kind that was trained on, that the interval of a
    prediction is to hold."""

    def __post_init__(self) -> None:
        views = self.test_time_augmentation
        valid = 1 <= views <= MOST_VIEWS
        require(valid, "test_time_augmentation", f"from 1 to {MOST_VIEWS}", views)
        held = LEAST_COVERAGE <= self.coverage <= MOST_COVERAGE
        require(held, "coverage", f"from {LEAST_COVERAGE} to {MOST_COVERAGE}", self.coverage)
