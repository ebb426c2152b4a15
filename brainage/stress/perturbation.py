"""A perturbation: one known change of a raw scan, and what is expected of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from brainage.scans.nifti import Scan
from brainage.stress.head import Head

Expected = Literal["same age", "refusal or flag", "older"]
"""``same age``: the brain is the same, so the age has to stay. ``refusal or flag``: no scan that
a model knows. ``older``: mimics atrophy, so the age should rise with the dose."""

Change = Callable[[Head], Scan]


class NotApplicable(Exception):  # noqa: N818 - no error: there is nothing to change in this scan
    """This change cannot be made to this scan; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """One change of one severity.

    ``name`` is the key of its budget, ``level`` tells the severities of a name apart, ``dose`` is
    the level as a number where the effect should grow with it. ``change`` returns a new scan, the
    same one for the same head; it raises `NotApplicable` for a scan without what it changes.
    """

    name: str
    level: str
    change: Change
    dose: float | None = None
    expected: Expected = "same age"

    @property
    def family(self) -> str:
        """The first word of the name: what ``--only`` may name, too."""
        return self.name.partition("_")[0]
