"""``brainage explain``: where a model looks in one scan, and what its blocks say."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from brainage.commands.options import SubjectFrom
from brainage.commands.predict import Answer, Model
from brainage.errors import ConfigError
from brainage.terminal import AsJson, Verbose, finish, reporting, resumable_by

Scan = Annotated[
    Path,
    typer.Argument(
        metavar="SCAN", help="One scan: NIfTI, MGH, DICOM, or a source that holds just one."
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        metavar="DIR", help="Folder of the results; an earlier explanation there is replaced."
    ),
]
Method = Annotated[
    Literal["occlusion", "integrated_gradients", "both"],
    typer.Option(metavar="occlusion|integrated_gradients|both", help="Which maps."),
]
Baseline = Annotated[
    Literal["template", "mean"],
    typer.Option(
        metavar="template|mean",
        help="What integrated gradients start from: the template's brain, or a flat brain of the "
        "scan's mean, which networks with group or instance normalisation do not bear.",
    ),
]


def explain(
    scan: Scan,
    out: Out,
    model: Model = None,
    method: Method = "both",
    cube_mm: Annotated[
        float, typer.Option(metavar="MM", help="Edge of the cube that occlusion replaces.")
    ] = 16.0,
    stride_mm: Annotated[
        float, typer.Option(metavar="MM", help="From one cube to the next.")
    ] = 8.0,
    steps: Annotated[
        int, typer.Option(metavar="N", help="Points on the path of integrated gradients.")
    ] = 64,
    baseline: Baseline = "template",
    answer: Answer = "last",
    seed: Annotated[
        int, typer.Option(metavar="N", help="Of the sanity check's random weights.")
    ] = 0,
    subject_from: SubjectFrom = "hash",
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Explain the age of one scan.

    Maps of where the model looks, in years, on the template and on the scan; a table by region; a
    picture, with what every block and worker says; and a check that the maps depend on what the
    model learned.

    \b
    Example:
      brainage explain sub-01_T1w.nii.gz --out explained
      brainage explain sub-01_T1w.nii.gz --model runs/lfnn3d/model --out explained
      brainage explain dicom/ --model models:/brainage@champion --out explained --method occlusion
    """
    with reporting(as_json, verbose) as stream, resumable_by([], None):
        from brainage.explain.config import METHODS, ExplainConfig
        from brainage.workflows.explain.run import explain as run_explanation

        try:
            config = ExplainConfig(
                methods=METHODS if method == "both" else (method,),
                cube_mm=cube_mm,
                stride_mm=stride_mm,
                baseline=baseline,
                num_steps=steps,
                seed=seed,
            )
        except ValueError as error:
            raise ConfigError(str(error)) from error
        summary = run_explanation(
            scan, model=model, out=out, config=config, answer=answer, subject_from=subject_from
        )
        return finish(summary, as_json, stream)
