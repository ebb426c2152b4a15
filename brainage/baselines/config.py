"""Settings of the baselines that a run is printed beside."""

from dataclasses import dataclass
from typing import Literal

from brainage.core.config import FORBID_UNKNOWN


@dataclass(frozen=True, kw_only=True)
class BaselinesConfig:
    """What a network has to beat."""

    __pydantic_config__ = FORBID_UNKNOWN

    harmonise: Literal["none", "combat"] = "none"
    """``combat``: take the sites' differences out of the tissue volumes before the ridge, with
    estimates of the training part. Every site that is tested on has to be in it."""
