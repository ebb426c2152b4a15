"""Difference in error between two runs on the same held-out scans, paired scan by scan.

Command::

    python -m pipelines.paired_difference runs/cohort-lfnn3d runs/cohort-bp3d
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brainage.errors import BrainageError, CohortError
from brainage.workflows.train.baselines import METHODS
from pipelines.study import mean_with_interval

TABLE = "held_out_predictions.csv"


def paired_difference(
    first: Path, second: Path, answers: tuple[str, str] = ("last", "last")
) -> dict[str, float | int | None]:
    """MAE of the first run minus that of the second, in years, with its bootstrap interval.

    Args:
        first: a run's folder.
        second: the folder of another run on the same scans and folds, or the same one.
        answers: which prediction of each run: the network's own (``last``), that of all its blocks
            (``ensemble``) or one of them (``block2``), or a baseline's (``kernel_ridge``,
            ``gaussian_process``, ``tissue_ridge``).

    Raises:
        CohortError: if the runs did not hold out the same scans in the same folds, or a run has no
            such answer.
    """
    tables = [_read(run / TABLE) for run in (first, second)]
    keys = [[(row["scan"], row["fold"], row["age_years"]) for row in table] for table in tables]
    if keys[0] != keys[1]:
        raise CohortError(f"{first} and {second} did not hold out the same scans in the same folds")
    gaps = [_errors(table, answer) for table, answer in zip(tables, answers, strict=True)]
    difference = gaps[0] - gaps[1]
    found = mean_with_interval(difference, [row["subject"] for row in tables[0]])
    return {
        "n": len(difference),
        "difference_years": found["mean"],
        "low": found["low"],
        "high": found["high"],
    }


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _errors(table: list[dict[str, str]], answer: str) -> npt.NDArray[np.float64]:
    """Absolute errors in years, shape (N,)."""
    names = {"last": "predicted_age", **{name: f"{name}_age" for name in METHODS}}
    column = names.get(answer, f"{answer}_predicted_age")
    if column not in table[0]:
        raise CohortError(f"{TABLE}: has no column {column}; it has {', '.join(table[0])}")
    return np.abs([float(row[column]) - float(row["age_years"]) for row in table])


def main(arguments: Sequence[str] | None = None) -> None:
    """Write one JSON object to stdout."""
    parser = argparse.ArgumentParser(description="Paired difference of two runs' errors.")
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    known = ", ".join(METHODS)
    for which in ("first", "second"):
        parser.add_argument(
            f"--{which}-answer",
            default="last",
            help=f"of the {which} run: last, ensemble, block2, {known} (default: last)",
        )
    options = parser.parse_args(arguments)
    answers = (options.first_answer, options.second_answer)
    try:
        found = paired_difference(options.first, options.second, answers)
    except (BrainageError, OSError) as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
