"""Settings of nested cross-validation: the candidates among which the inner folds choose."""

from dataclasses import dataclass, field

from brainage.config.names import is_name
from brainage.core.config import FORBID_UNKNOWN, require


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """What is tried, and chosen by the inner folds alone (``split.inner_folds``)."""

    __pydantic_config__ = FORBID_UNKNOWN

    candidates: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Name of each candidate and what it changes, as in ``--set``:
    ``{plain: [], slow: [optimizer.learning_rate=3.0e-4]}``. Of equally good ones the first is
    chosen."""

    def __post_init__(self) -> None:
        for name in self.candidates:
            expected = "names of letters, digits, '.', '_' and '-'"
            require(is_name(name), "candidates", expected, name)
        enough = len(self.candidates) != 1
        require(enough, "candidates", "none, or at least two", list(self.candidates))
