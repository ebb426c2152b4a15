"""A model: what it is, made with which versions, and whether it computes here what it did then."""

from contextlib import ExitStack
from typing import Any

from brainage.bundle.files import MODEL, read_yaml
from brainage.bundle.golden import TOLERANCE_YEARS, GoldenResult, replay_golden
from brainage.bundle.load import load_bundle
from brainage.bundle.model import ModelBundle
from brainage.bundle.versions import version_differences
from brainage.errors import BrainageError
from brainage.reporting.counts import counted
from brainage.workflows.doctor.finding import Finding
from brainage.workflows.doctor.probe import ModelRefused
from brainage.workflows.model_source import model_folder

GROUP = "model"
GOLDEN = "golden scan"


def model(name: str | None) -> list[Finding]:
    """Load a model and let it predict its golden scan.

    Args:
        name: as for ``model_folder``; None is the demonstration model.

    Raises:
        ModelRefused: if a model that was named cannot be loaded.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(model_folder(name))
            bundle = load_bundle(folder)
        except BrainageError as error:
            if name is None:
                raise
            raise ModelRefused(str(error)) from error
        saved_with = read_yaml(folder / MODEL).get("versions")
        return [
            _identity(name or "demonstration model", bundle),
            _training(bundle),
            _versions(saved_with),
            _golden(bundle),
        ]


def _identity(name: str, bundle: ModelBundle) -> Finding:
    config = bundle.config
    grid = config.preprocess.grid
    shape = "x".join(map(str, grid.shape_XYZ))
    networks = len(bundle.members)
    values: dict[str, Any] = {
        "model": name,
        "objective": config.objective.name,
        "num_blocks": config.blocks.num_blocks,
        "backbone": config.backbone.name,
        "networks": networks,
        "grid": {"spacing_mm": grid.spacing_mm, "shape_XYZ": list(grid.shape_XYZ)},
        "brain_extraction": config.preprocess.brain_extraction.method,
        "model_hash": bundle.model_hash,
        "preprocessing_hash": bundle.preprocessing_hash,
    }
    blocks, kept = counted(config.blocks.num_blocks, "block"), counted(networks, "network")
    found = (
        f"{name}: {config.objective.name}, {blocks}, {config.backbone.name}, {kept}; "
        f"{shape} voxels of {grid.spacing_mm:g} mm; model {bundle.model_hash}, preprocessing "
        f"{bundle.preprocessing_hash}"
    )
    return _ok("bundle", found, values)


def _training(bundle: ModelBundle) -> Finding:
    """Ages and held-out error, as far as the model tells them; free text is not repeated."""
    facts = bundle.calibration
    low, high = facts["training_age_range_years"]
    held_out = facts.get("held_out")
    error = held_out.get("mae_years") if isinstance(held_out, dict) else None
    scans = facts.get("training_scans")
    count = f"{counted(scans, 'scan')}, " if isinstance(scans, int) else ""
    known = isinstance(error, int | float)
    said = f"held-out error {error:.2f} years" if known else "held-out error unknown"
    return _ok(
        "training",
        f"{count}ages {low:.1f} to {high:.1f} years; {said}; {_numbers(bundle)}",
        {
            "training_scans": scans if isinstance(scans, int) else None,
            "training_age_range_years": [low, high],
            "held_out_mae_years": error if known else None,
            "age_line": bundle.age_line is not None,
            "interval_coverage": bundle.intervals.coverage if bundle.intervals else None,
            "training_space": bundle.training_space is not None,
        },
    )


def _numbers(bundle: ModelBundle) -> str:
    """What the model can say beside an age."""
    known = [
        name
        for name, value in {
            "its age bias": bundle.age_line,
            "intervals": bundle.intervals,
            "where its training scans lie": bundle.training_space,
        }.items()
        if value is not None
    ]
    return f"knows {', '.join(known)}" if known else "knows neither its age bias nor intervals"


def _versions(saved_with: object) -> Finding:
    """Versions that differ; the golden scan tells whether that matters."""
    noted = saved_with if isinstance(saved_with, dict) else {}
    differing = version_differences(noted)
    told = ", ".join(
        f"{package} {here or 'not installed'} here, {then} then"
        for package, then, here in differing
    )
    same = f"the {len(noted)} that were noted are the same here" if noted else "none were noted"
    found = f"{told}; the golden scan tells whether it matters" if differing else same
    values = {package: {"saved_with": then, "here": here} for package, then, here in differing}
    return _ok("versions", found, {"differing": values})


def _golden(bundle: ModelBundle) -> Finding:
    try:
        result = replay_golden(bundle)
    except BrainageError as error:
        return Finding(
            group=GROUP, name=GOLDEN, status="problem", found=str(error), advice=_DISAGREES
        )
    difference = result.obtained_years - result.expected_years
    return Finding(
        group=GROUP,
        name=GOLDEN,
        status="ok" if result.agrees else "problem",
        found=f"expected {result.expected_years:.4f} years, obtained "
        f"{result.obtained_years:.4f}, difference {difference:+.4f} "
        f"({'within' if result.agrees else 'more than'} {TOLERANCE_YEARS:g})",
        advice="" if result.agrees else _DISAGREES,
        values=_golden_values(result, difference),
    )


_DISAGREES = (
    "do not use the model here; install the versions it was saved with (line versions), then ask "
    "again"
)


def _golden_values(result: GoldenResult, difference: float) -> dict[str, Any]:
    return {
        "expected_years": result.expected_years,
        "obtained_years": result.obtained_years,
        "difference_years": difference,
        "tolerance_years": TOLERANCE_YEARS,
        "agrees": result.agrees,
    }


def _ok(name: str, found: str, values: dict[str, Any]) -> Finding:
    return Finding(group=GROUP, name=name, status="ok", found=found, values=values)
