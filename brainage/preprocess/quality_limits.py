"""Limits of the quality figures, learned from the open cohort, and what lies beyond them.

The limits are data: ``quality_limits.json`` beside this file, which also holds the rule and the
command that made it. A flag is a reason to look at a scan, not to drop it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from brainage.preprocess.quality import FIGURES


@dataclass(frozen=True)
class Limit:
    """What a figure of an unsuspicious scan lies between; None is no limit on that side."""

    low: float | None
    high: float | None


@dataclass(frozen=True)
class QualityLimits:
    """Limits by figure; ``identity`` changes with them, ``rule`` says where they are from."""

    limits: Mapping[str, Limit]
    rule: str
    num_scans: int
    identity: str


@cache
def load_quality_limits() -> QualityLimits:
    """The limits that came with the package."""
    file = resources.files("brainage.preprocess") / "quality_limits.json"
    text = file.read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return QualityLimits(
        limits={name: Limit(row["low"], row["high"]) for name, row in content["limits"].items()},
        rule=content["rule"],
        num_scans=content["num_scans"],
        identity=hashlib.sha256(text.encode()).hexdigest()[:16],
    )


def quality_flags(
    figures: Mapping[str, float], limits: QualityLimits | None = None
) -> tuple[str, ...]:
    """Names like ``low_template_dice``, in the order of ``FIGURES``.

    Args:
        figures: of one scan; ``no_cjv`` flags a figure with limits that it does not have, unless
            it is optional.
        limits: by default those of the package.
    """
    known = (limits or load_quality_limits()).limits
    flags = []
    for figure in FIGURES:
        if figure.name not in known:
            continue
        limit, value = known[figure.name], figures.get(figure.name)
        if value is None:
            flags += [] if figure.optional else [f"no_{figure.name}"]
        elif limit.low is not None and value < limit.low:
            flags.append(f"low_{figure.name}")
        elif limit.high is not None and value > limit.high:
            flags.append(f"high_{figure.name}")
    return tuple(flags)
