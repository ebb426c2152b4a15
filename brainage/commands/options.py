"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Scans = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE", help="A scan, a folder of them, a BIDS root, or a manifest CSV."
    ),
]
StepsFile = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Steps and grid: tried as given, then under configs/, then as installed.",
    ),
]
StepChanges = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change one key, e.g. grid.mask=scan; repeatable."
    ),
]
SubjectFrom = Annotated[
    Literal["hash", "PatientID"],
    typer.Option(
        metavar="hash|PatientID",
        help="What names the subject of a DICOM study: a keyed hash of the patient number, or "
        "that number itself, which then stands in what is written.",
    ),
]
Devices = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, help="Accelerators, or processes on a CPU, that share the training."
    ),
]
