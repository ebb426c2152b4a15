"""``brainage export``: write a model in a format that other software runs, and check what it says.

What is exported answers for preprocessed volumes. The steps that make them go along as a file of
``brainage preprocess``.
"""

import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brainage.bundle.demonstration import demonstration_limits
from brainage.bundle.golden import golden_volume
from brainage.bundle.load import load_bundle
from brainage.bundle.model import ModelBundle
from brainage.errors import BundleError, ConfigError
from brainage.export.contract import preprocessing_text
from brainage.export.formats import FORMATS, Format
from brainage.export.graph import AgeGraph
from brainage.export.parity import (
    TOLERANCE_YEARS,
    largest_difference,
    parity_batches,
)
from brainage.workflows.export.place import Place, check_place, put, staged
from brainage.workflows.model_source import model_folder

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ExportSummary:
    """Result of ``brainage export``.

    ``blocks`` numbers the columns of the second output. ``difference_years`` is the largest one
    between the exported and the original model's ages that the check found.
    """

    out: Path
    format: str
    answer: str
    networks: int
    views: int
    blocks: list[int]
    input_shape: list[int]
    preprocessing: Path
    difference_years: float
    model_hash: str
    seconds: float

    exit_code = 0

    def describe(self) -> list[str]:
        """What a person wants to know, one line each."""
        networks = f"{self.networks} network{'s' if self.networks > 1 else ''}"
        views = f"{self.views} view{'s' if self.views > 1 else ''}"
        shape = " x ".join(str(size) for size in self.input_shape)
        return [
            f"out: {self.out}",
            f"answer: {self.answer} of {networks} over {views}",
            f"input: volumes of {shape}, as brainage preprocess --config {self.preprocessing} "
            "makes them",
            f"largest difference to the model: {self.difference_years:.1e} years "
            f"(allowed {TOLERANCE_YEARS:.0e})",
        ]

    def to_json(self) -> dict[str, Any]:
        """The same with plain types."""
        plain = asdict(self)
        return {**plain, "out": str(self.out), "preprocessing": str(self.preprocessing)}


def export(
    model: str | None, *, format_name: str, out: Path, answer: str = "last", force: bool = False
) -> ExportSummary:
    """Export a model.

    Args:
        model: a bundle's folder, or a URI of MLflow as `model_folder` has them; None takes the
            demonstration model, and a warning says what it is.
        format_name: one of ``FORMATS``.
        out: the file, or the folder (or zip file) of a MONAI bundle.
        answer: ``last``, ``ensemble``, or ``block2`` to leave out what lies behind block 2.
        force: replace what is there.

    Raises:
        BrainageError: if the model cannot be used or exported, ``out`` is taken, a package is
            missing, or the exported model does not say what the model says.
    """
    began = time.perf_counter()
    if format_name not in FORMATS:
        raise ConfigError(f"--format: expected one of {', '.join(FORMATS)}, got '{format_name}'")
    chosen = FORMATS[format_name]
    place = check_place(out, is_folder=chosen.is_folder, force=force)
    chosen.check()
    with model_folder(model) as folder:
        bundle = load_bundle(folder)
        if model is None:
            _log.warning("%s", demonstration_limits(bundle))
        graph = AgeGraph(bundle, answer)
        _log.info("preprocessing the golden scan, to compare answers")
        difference = export_graph(bundle, graph, chosen, place, golden_volume(bundle))
    return ExportSummary(
        out=out,
        format=format_name,
        answer=answer,
        networks=len(graph.tasks),
        views=len(graph.views),
        blocks=graph.blocks,
        input_shape=list(bundle.input_shape[1:]),
        preprocessing=place.preprocessing,
        difference_years=difference,
        model_hash=bundle.model_hash,
        seconds=round(time.perf_counter() - began, 3),
    )


def export_graph(
    bundle: ModelBundle,
    graph: AgeGraph,
    chosen: Format,
    place: Place,
    volume_XYZ: npt.NDArray[np.float32],
) -> float:
    """Write, compare, and only then put in place.

    Args:
        bundle: the model.
        graph: what is exported of it.
        chosen: the format.
        place: where it goes.
        volume_XYZ: a preprocessed volume to compare answers on.

    Returns:
        The largest difference in years.

    Raises:
        BundleError: if it is larger than ``TOLERANCE_YEARS``; nothing is left then.
        RunFolderError: if the place cannot be written.
    """
    steps = None if place.steps is None else place.steps.name
    with staged(place) as staged_at:
        chosen.write(bundle, graph, staged_at, steps or "")
        batches = parity_batches(volume_XYZ)
        difference = largest_difference(bundle, graph.answer, chosen.ask(staged_at), batches)
        if difference > TOLERANCE_YEARS:
            raise BundleError(
                f"{place.out}: not exported: its ages differ from the model's by up to "
                f"{difference:.2g} years, more than {TOLERANCE_YEARS:.0e}"
            )
        put(staged_at, place, steps and preprocessing_text(bundle, steps))
    return difference
