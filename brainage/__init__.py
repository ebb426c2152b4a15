"""Brain age from MRI, and leader-follower neural networks (LFNN, LFNN-l).

Importing this package loads nothing heavy; each subpackage imports what it needs, and
``load_model`` what a prediction needs.
"""

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from brainage.workflows.predict.library import AgeModel

__all__ = ["__version__", "load_model"]

__version__ = "0.1.0"


def load_model(model: str | os.PathLike[str] | None = None, *, device: str = "auto") -> "AgeModel":
    """Load a model once, to predict any number of raw scans.

    Args:
        model: a bundle's folder, or ``models:/name@alias`` and the like of MLflow; None is the
            demonstration model, and a warning says what it is.
        device: ``cpu``, ``cuda``; ``auto`` takes an accelerator if there is one.

    Returns:
        The model: its ``predict`` takes a scan, a folder or several of them, ``predict_one`` one
        scan and ``predict_array`` one that is in memory.

    Raises:
        BrainageError: if it cannot be loaded, or there is no such device.
    """
    library = importlib.import_module("brainage.workflows.predict.library")
    loaded: AgeModel = library.load_model(model, device=device)
    return loaded
