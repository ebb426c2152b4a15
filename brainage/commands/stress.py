"""``brainage stress``: known changes of raw scans, and what they do to the age."""

from pathlib import Path
from typing import Annotated

import typer

from brainage.commands.options import ResultFolder, SubjectFrom
from brainage.terminal import AsJson, Verbose, finish, reporting, resumable_by

Source = Annotated[
    Path,
    typer.Argument(
        metavar="SCAN",
        help="A raw scan, or a few: NIfTI, MGH or DICOM, a folder or archive, a BIDS root, "
        "a manifest CSV.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Model folder of a training run, or one of MLflow, as for predict. Without it the "
        "demonstration model is tested.",
    ),
]
Only = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES", help="Some perturbations, such as rotation,noise; a wrong name lists all."
    ),
]
Budget = Annotated[
    float | None,
    typer.Option(metavar="YEARS", help="One budget for all perturbations in place of their own."),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="Budgets of your own, and the seed."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change one key, e.g. budgets.noise=1; repeatable."
    ),
]


def stress(
    source: Source,
    out: ResultFolder,
    model: Model = None,
    only: Only = None,
    budget: Budget = None,
    config: Config = None,
    overrides: Changes = None,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=1, help="Changes tried at the same time.")
    ] = 1,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 when a budget is exceeded, too.")
    ] = False,
    answer: Annotated[
        str, typer.Option(metavar="NAME", help="last (block), ensemble, or block2, as for predict.")
    ] = "last",
    subject_from: SubjectFrom = "hash",
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Change a scan in known ways and see what happens to its age.

    The raw scan is turned, cut, defaced, made noisy and so on, and goes through the model's whole
    chain each time. The change of age is held against a budget. Larger ventricles and a thinner
    cortex should make it older.

    \b
    Example:
      brainage stress scan.nii.gz --model runs/lfnn3d/model --out stress
      brainage stress scan.nii.gz --out stress --only rotation,defacing --budget 1 --strict
    """
    with reporting(as_json, verbose) as stream, resumable_by(["brainage", "stress"], None):
        from brainage.workflows.stress.run import stress as run_stress
        from brainage.workflows.stress.settings import stress_settings

        summary = run_stress(
            source,
            model=model,
            out=out,
            config=stress_settings(config, overrides or (), budget),
            only=[name.strip() for name in only.split(",")] if only is not None else (),
            jobs=jobs,
            answer=answer,
            subject_from=subject_from,
            strict=strict,
        )
        return finish(summary, as_json, stream)
