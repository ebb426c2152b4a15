"""What one check found, and how a check is named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Status = Literal["ok", "missing", "problem"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report.

    ``missing`` is something that is not there and that most people can do without; a ``problem``
    keeps the package from doing its work.
    """

    group: str
    """Heading under which the line stands."""

    name: str
    """What was looked at."""

    status: Status
    """How it is."""

    found: str
    """What was found."""

    advice: str = ""
    """What to do about it; empty where nothing is to be done."""

    values: Mapping[str, Any] = field(default_factory=dict)
    """The same as plain JSON values, where there is more to it than a sentence."""


class Check(NamedTuple):
    """A check that is made in a process of its own.

    Args:
        group: heading of what it finds.
        name: what is looked at, for the case that the process dies.
        function: ``module:function``; imported there only, since the import itself may fail.
        arguments: of the function, plain JSON values. It returns a list of findings.
    """

    group: str
    name: str
    function: str
    arguments: tuple[Any, ...] = ()
