"""``brainage export``: a model in a format that other software runs."""

from pathlib import Path
from typing import Annotated

import typer

from brainage.commands.predict import Answer, Model
from brainage.terminal import AsJson, Verbose, finish, reporting


def export(
    form: Annotated[
        str,
        typer.Option("--format", metavar="FORMAT", help="onnx, torchscript or monai-bundle."),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="PATH", help="File to write; a MONAI bundle is a folder or .zip."),
    ],
    model: Model = None,
    answer: Answer = "last",
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Export a model to ONNX, TorchScript or a MONAI bundle.

    The exported model takes preprocessed volumes and gives ages in years: the answer of all
    networks over all views, and that of each block. Both are compared with the model's own first;
    if they differ, nothing is written. The steps that make its input go along as a file for
    brainage preprocess.

    \b
    Example:
      brainage export --model runs/lfnn3d/model --format onnx --out model.onnx
      brainage preprocess scans/ --config model.onnx.preprocessing.yaml --out derivatives
      brainage export --model models:/brainage@champion --format monai-bundle --out age_bundle
    """
    with reporting(as_json, verbose) as stream:
        from brainage.workflows.export.run import export as run_export

        summary = run_export(model, format_name=form, out=out, answer=answer, force=force)
        return finish(summary, as_json, stream)
