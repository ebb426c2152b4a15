"""Train the demonstration model that comes with the package, test it elsewhere, put it in place.

It is trained by LFNN-l on scans in the public domain only, those of
``data_manifests/open_cohort/public.csv``, and asked once about the cohort's other scans, of a study
that no fold has seen. The result of that stands in its card. The scans are expected below
``$BRAINAGE_DATA``.

Command::

    python -m pipelines.demonstration_model --out docs/results/demonstration_cpu.json
"""

import argparse
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from brainage.bundle.demonstration import DEMONSTRATION
from brainage.bundle.files import CARD
from brainage.bundle.load import load_bundle
from brainage.config.load import load_config
from brainage.config.run import RunConfig
from brainage.errors import BrainageError, BundleError
from brainage.workflows.evaluate.checks import Consent
from brainage.workflows.evaluate.results import EvaluateSummary
from brainage.workflows.evaluate.run import Prediction, evaluate_scans
from brainage.workflows.train.run import train
from brainage.workflows.train.run_folder import write_text

CONFIG = "demonstration.yaml"
ELSEWHERE = Path("data_manifests/open_cohort/other.csv")
MOST_BYTES = 12_000_000
DATA = """
## Data

Three open studies in the public domain, as copies at 2 mm: OpenNeuro ds000228 (PDDL; Richardson
et al. 2018, Nature Communications 9:1027; children and young adults, already in template space),
ds002748 (CC0; Bezmaternykh et al. 2021; adults, 41 of 59 with mild to moderate depression, skull
stripped) and ds000011 (PDDL; Foerde et al. 2006, PNAS 103:11778; young adults, defaced). Study and
age go together, so an error of a site is also one of its ages.
"""


def make_demonstration(
    config: RunConfig, *, runs: Path, resume: Path | None, target: Path
) -> dict[str, Any]:
    """Train, test and put in place.

    Args:
        config: of the training run.
        runs: folder of runs.
        resume: an interrupted run to go on with.
        target: the folder that the model replaces.

    Returns:
        What ``--out`` writes.

    Raises:
        BrainageError: if a step fails, or the model is too large to be given away with the code.
    """
    summary = train(config, runs_folder=runs, resume=resume)
    size = folder_bytes(summary.model_dir)
    if size > MOST_BYTES:
        raise BundleError(
            f"{summary.model_dir}: expected at most {MOST_BYTES} bytes to ship, got {size}"
        )
    how = Prediction(cache_folder=Path(config.data.cache_dir), root=config.data.root_folder())
    elsewhere = evaluate_scans(
        ELSEWHERE,
        model=str(summary.model_dir),
        out=summary.run_dir / "elsewhere",
        how=how,
        # Making the model again is no search for a better one: nothing is chosen by these scans.
        consent=Consent(again=True),
    )
    card = summary.model_dir / CARD
    written = card.read_text(encoding="utf-8").rstrip("\n")
    write_text(card, f"{written}\n{DATA}{outside_test(elsewhere)}")
    put_in_place(summary.model_dir, target)
    return {
        "command": "python -m pipelines.demonstration_model",
        "model_hash": load_bundle(target).model_hash,
        "bytes": size,
        "train": {
            key: value
            for key, value in summary.to_json().items()
            # of a run that was resumed, seconds are those of the last part
            if key not in {"run_dir", "model_dir", "mlflow_run_id", "seconds"}
        },
        "elsewhere": {
            key: value for key, value in elsewhere.to_json().items() if key not in {"out", "report"}
        },
    }


def outside_test(elsewhere: EvaluateSummary) -> str:
    """A section of the card on scans of a study that was not trained on."""
    metrics = elsewhere.evaluation.metrics
    error = metrics.mae_years
    interval = "" if error.low is None else f" (95 % interval {error.low:.2f} to {error.high:.2f})"
    return f"""
## A study it was not trained on

{metrics.n} scans of IXI (Hammersmith; CC BY-SA 3.0, not part of the training), \
{metrics.age_min_years:.0f} to {metrics.age_max_years:.0f} years:
MAE {error.value:.2f} years{interval}, mean gap {metrics.mean_gap_years.value:+.2f} years,
uncorrected; predicting the mean age of the training scans
{metrics.mae_mean_baseline_years.value:.2f} years. So few scans of one scanner say little about any
other.
"""


def folder_bytes(folder: Path) -> int:
    """Size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def put_in_place(model: Path, target: Path) -> None:
    """Replace a folder by a copy of the model: all of it, or nothing."""
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(model, part)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the model and write what it took and how good it is."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.demonstration_model",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", default=CONFIG, help=f"default: {CONFIG}")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the run")
    parser.add_argument("--resume", type=Path, help="go on with the interrupted run in this folder")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the result")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        config = load_config(options.config, ())
        made = make_demonstration(
            config, runs=options.runs, resume=options.resume, target=DEMONSTRATION
        )
    except BrainageError as error:
        sys.exit(f"error: {error}")
    write_text(options.out, json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
