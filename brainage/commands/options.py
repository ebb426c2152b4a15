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
Resume = Annotated[
    bool, typer.Option("--resume", help="Keep the rows that are there; do the other scans.")
]
Jobs = Annotated[int, typer.Option(metavar="N", min=1, help="Scans preprocessed at the same time.")]
SharedCache = Annotated[
    Path, typer.Option(metavar="DIR", help="Preprocessed volumes, shared with training.")
]
Root = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Folder that a manifest's scans start from; else the manifest's."
    ),
]
OtherPeople = Annotated[
    bool,
    typer.Option(
        "--other-people", help="Subjects with the name of a training subject are other people."
    ),
]
ResultFolder = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder of the results; made when needed.")
]
