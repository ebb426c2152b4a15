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

from brainage.errors import CohortError
from brainage.reporting.resampling import bootstrap_weights, percentile_interval

NUM_RESAMPLES = 5000
TABLE = "held_out_predictions.csv"


def paired_difference(first: Path, second: Path) -> dict[str, float | int | None]:
    """MAE of the first run minus that of the second, in years, with its bootstrap interval.

    Args:
        first: a run's folder.
        second: the folder of another run on the same scans and folds.

    Raises:
        CohortError: if the runs did not hold out the same scans in the same folds.
    """
    tables = [_read(run / TABLE) for run in (first, second)]
    keys = [[(row["scan"], row["fold"], row["age_years"]) for row in table] for table in tables]
    if keys[0] != keys[1]:
        raise CohortError(f"{first} and {second} did not hold out the same scans in the same folds")
    gaps = [np.abs([float(row["brain_age_gap"]) for row in table]) for table in tables]
    difference = gaps[0] - gaps[1]
    subjects = np.unique([row["subject"] for row in tables[0]], return_inverse=True)[1]
    draws = [
        weights @ difference / weights.sum(axis=1)
        for weights in bootstrap_weights(subjects, NUM_RESAMPLES, seed=0)
    ]
    interval = percentile_interval(draws, 0.95)
    return {
        "n": len(difference),
        "difference_years": float(difference.mean()),
        "low": None if interval is None else interval[0],
        "high": None if interval is None else interval[1],
    }


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write one JSON object to stdout."""
    parser = argparse.ArgumentParser(description="Paired difference of two runs' errors.")
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    options = parser.parse_args(arguments)
    sys.stdout.write(json.dumps(paired_difference(options.first, options.second)) + "\n")


if __name__ == "__main__":
    main()
