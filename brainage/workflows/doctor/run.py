"""``brainage doctor``: everything that can be looked at, a line each."""

import importlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brainage.workflows.doctor.finding import Check, Finding
from brainage.workflows.doctor.isolation import make_checks
from brainage.workflows.doctor.packages import DECIDING, OPTIONAL

_HERE = "brainage.workflows.doctor"
_GOLDEN = "golden scan"

GROUPS = ("packages", "machine", "devices", "preprocessing", "surroundings", "model")
"""Headings of the report, in order."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DoctorSummary:
    """Result of ``brainage doctor``."""

    findings: Sequence[Finding]

    @property
    def exit_code(self) -> int:
        """0, or 1 when something is a problem; what is missing is none."""
        return 1 if self._names("problem") else 0

    def describe(self) -> list[str]:
        """A line for each finding under its group, and a last line that sums up."""
        lines: list[str] = []
        group = ""
        width = max(len(each.name) for each in self.findings)
        for each in self.findings:
            if each.group != group:
                group = each.group
                lines += [*([""] if lines else []), group]
            advice = f" -> {each.advice}" if each.advice else ""
            lines.append(f"  {each.status:7}  {each.name:{width}}  {each.found}{advice}")
        return [*lines, "", self._verdict()]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        golden = [dict(each.values) for each in self.findings if each.name == _GOLDEN]
        return {
            "problems": self._names("problem"),
            "missing": self._names("missing"),
            "golden": golden[0] if golden and golden[0] else None,
            "checks": [asdict(each) for each in self.findings],
        }

    def _names(self, status: str) -> list[str]:
        return [each.name for each in self.findings if each.status == status]

    def _verdict(self) -> str:
        problems = self._names("problem")
        if not problems:
            return "no problem found"
        return f"{len(problems)} problem{'s' * (len(problems) > 1)}: {', '.join(problems)}"


def doctor(model: str | None) -> DoctorSummary:
    """Look at packages, machine, surroundings and a model, and change nothing.

    Args:
        model: a folder, or a URI of MLflow; None replays the demonstration model.

    Raises:
        BundleError: if the model that was named cannot be loaded.
    """
    if model is not None:
        _refuse_at_once(model)
    _log.info("checking packages, machine and model, about ten seconds")
    checks = all_checks(model)
    if model is not None:  # if it cannot be loaded, that is all there is to say
        checks = [checks[-1], *checks[:-1]]
    findings = make_checks(checks)
    return DoctorSummary(findings=sorted(findings, key=lambda each: GROUPS.index(each.group)))


def _refuse_at_once(model: str) -> None:
    """Refuse a folder that is no model, for which nothing heavy is needed."""
    try:
        files = importlib.import_module("brainage.bundle.files")
    except ImportError:  # a finding of its own, later
        return
    if not model.startswith(("models:/", "runs:/")):
        files.check_complete(Path(model))


def all_checks(model: str | None) -> list[Check]:
    """Every check in the order of the report, the model last."""
    packages = [
        Check("packages", "own versions", f"{_HERE}.packages:own_versions"),
        *_each("required_package", DECIDING),
        Check("packages", "other requirements", f"{_HERE}.packages:other_requirements"),
        *_each("optional_package", OPTIONAL),
    ]
    return [
        *packages,
        *_group("machine", "memory", "disk"),
        *_group("devices", "processor", "accelerators", "process_groups"),
        *_group("preprocessing", "template", "extraction_weights", "programs"),
        *_group("surroundings", "mlflow_store", "data_folder"),
        Check("model", _GOLDEN, f"{_HERE}.model:model", (model,)),
    ]


def _each(function: str, packages: Sequence[str] | dict[str, Any]) -> list[Check]:
    return [Check("packages", name, f"{_HERE}.packages:{function}", (name,)) for name in packages]


def _group(group: str, *functions: str) -> list[Check]:
    return [Check(group, name.replace("_", " "), f"{_HERE}.{group}:{name}") for name in functions]
