"""A model that lives in a folder, as MLflow loads it ("model from code").

MLflow keeps a copy of this file beside the model's folder and runs it on loading. The
configuration names a ``loader`` as ``package.module:function``; called with the folder, it gives a
function from paths of raw scans to one answer each, in their order. So this package need not know
how a model is built.
"""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

Predictor = Callable[[Sequence[Path]], Sequence[tuple[float | None, str]]]
"""For each scan its age in years, or None and the reason why there is none."""


class FolderModel(PythonModel):
    """Predicts ages in years from the paths of raw scans; a bad scan costs its row only."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model from its folder.

        Raises:
            ValueError: if the configured loader is not of the form ``package.module:function``.
        """
        loader = str((context.model_config or {}).get("loader", ""))
        module, colon, function = loader.partition(":")
        if not (module and colon and function):
            raise ValueError(f"loader: expected package.module:function, got {loader!r}")
        load = getattr(importlib.import_module(module), function)
        self._predictor: Predictor = load(Path(context.artifacts["folder"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - the signature is MLflow's
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Status, reason and predicted age in years of each scan in the column ``scan``."""
        answers = self._predictor([Path(scan) for scan in model_input["scan"]])
        return pd.DataFrame(
            {
                "status": ["failed" if age is None else "ok" for age, _ in answers],
                "reason": [reason for _, reason in answers],
                "predicted_age": [float("nan") if age is None else age for age, _ in answers],
            },
            index=model_input.index,
        )


set_model(FolderModel())
