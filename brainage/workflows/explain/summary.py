"""What ``brainage explain`` returns."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ExplainSummary:
    """Result of ``brainage explain``; ``explanation.json`` holds the same and more.

    ``predicted_age`` is what `predict` says, ``explained_age`` what the maps explain: the age of
    the scan as it is, without the moved views that `predict` may average over. ``stage`` and
    ``reason`` say why a scan could not be used. ``strongest_regions`` has the share of each map
    that lies in its three strongest regions, ``sanity`` how alike a map is under random weights.
    """

    scan: str
    status: str
    stage: str | None = None
    reason: str | None = None
    answer: str
    predicted_age: float | None = None
    explained_age: float | None = None
    strongest_regions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sanity: Mapping[str, float | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    seconds: float
    out: Path

    @property
    def exit_code(self) -> int:
        """0, or 1 when the scan could not be used."""
        return 0 if self.status == "ok" else 1

    def describe(self) -> list[str]:
        """What a person wants to know, one line each, ``name: value``."""
        if self.status != "ok":
            return [f"{self.scan}: {self.stage}: {self.reason}"]
        return [
            f"predicted age: {self.predicted_age:.2f} years ({self.answer})",
            f"explained: {self.explained_age:.2f} years, of the scan as it is",
            *(
                f"{_words(method)}: {', '.join(_share(*each) for each in shares.items())}"
                for method, shares in self.strongest_regions.items()
            ),
            *(
                f"sanity check, {_words(method)}: rank correlation with random weights "
                f"{'unknown' if value is None else format(value, '.2f')}"
                for method, value in self.sanity.items()
            ),
            f"time: {self.seconds:.0f} s",
            f"picture: {self.out / 'picture.png'}",
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        names = self.__dataclass_fields__
        values = {name: getattr(self, name) for name in names}
        plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
        return plain


def _share(region: str, share: float) -> str:
    return f"{share:.0%} {region}"


def _words(method: str) -> str:
    return method.replace("_", " ")
