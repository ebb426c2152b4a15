"""A model that lives in a folder, as MLflow loads it ("model from code").

MLflow keeps a copy of this file beside the model's folder and runs it on loading. The
configuration names a ``loader`` as ``package.module:function``; called with the folder, it gives a
function from requests to rows. So this package need not know how a model is built, nor what it is
asked.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from brainage.errors import BrainageError

Predictor = Callable[[Sequence[Mapping[str, Any]]], Sequence[Mapping[str, Any]]]
"""Requests, as values by name, to one row each. A BrainageError says what is wrong with them."""


class FolderModel(PythonModel):
    """Answers each request with a row; a bad scan costs its row only."""

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
        """One row for each of the input.

        Raises:
            MlflowException: with the code of a wrong request, which a server answers as 400.
        """
        try:
            answers = self._predictor(_requests(model_input))
        except BrainageError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        # Objects keep None, which is null in JSON; a column of numbers would make it NaN.
        return pd.DataFrame(list(answers), index=model_input.index, dtype=object)


def _requests(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as values by name, without the cells that are empty."""
    rows = table.to_dict(orient="records")
    return [{str(name): value for name, value in row.items() if _is_given(value)} for row in rows]


def _is_given(value: Any) -> bool:
    return not (value is None or (isinstance(value, float) and pd.isna(value)))


set_model(FolderModel())
