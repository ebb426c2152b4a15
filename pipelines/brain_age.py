"""Brain age under several training rules and seeds, each run trained and evaluated alike.

Command::

    python -m pipelines.brain_age --config lfnn3d.yaml --config bp3d.yaml --seeds 3 \
        --out docs/results/sample_cpu.json

A seed decides the split, the initial weights, the order of samples and the augmentation, so runs
of one seed differ by their training rule alone. Scans are preprocessed once.
"""

import argparse
import json
import logging
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from brainage.config.load import load_config
from brainage.workflows.summary import TrainSummary
from brainage.workflows.train.baselines import METHODS
from brainage.workflows.train.run import train

_log = logging.getLogger(__name__)


def run_seeds(
    configs: Sequence[str], num_seeds: int, overrides: Sequence[str], runs_folder: Path
) -> list[dict[str, Any]]:
    """Train every configuration with seeds 0, 1, ...; one row each, in that order.

    Args:
        configs: names or paths of configurations.
        num_seeds: number of seeds.
        overrides: like ``trainer.epochs=3``, for all runs.
        runs_folder: where the runs' folders are made.
    """
    rows = []
    for seed in range(num_seeds):
        for name in configs:
            config = replace(load_config(name, overrides), seed=seed)
            config = replace(config, name=f"{config.name}-seed{seed}")
            rows.append(_row(name, seed, train(config, runs_folder=runs_folder, resume=None)))
            _log.info("%s, seed %d: MAE %.2f years", name, seed, rows[-1]["mae_years"])
    return rows


def summarise(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over seeds for each configuration."""
    tables = []
    for name in dict.fromkeys(row["config"] for row in rows):
        mine = [row for row in rows if row["config"] == name]
        entry: dict[str, Any] = {"config": name, "seeds": len(mine)}
        for key in ("mae_years", "mae_mean_baseline_years", "mae_kernel_ridge_years"):
            values = [row[key] for row in mine]
            entry[key] = round(statistics.mean(values), 3)
            entry[f"{key}_sd"] = round(statistics.stdev(values), 3) if len(values) > 1 else None
        tables.append(entry)
    return tables


def _row(name: str, seed: int, summary: TrainSummary) -> dict[str, Any]:
    return {
        "config": name,
        "seed": seed,
        "objective": summary.objective,
        "num_blocks": summary.num_blocks,
        "n": summary.test["n"],
        "mae_years": summary.test["mae_years"],
        "mae_low": summary.test["mae_low"],
        "mae_high": summary.test["mae_high"],
        "mae_mean_baseline_years": summary.test["mae_mean_baseline_years"],
        "mae_kernel_ridge_years": summary.baselines[METHODS["kernel_ridge"].label]["mae_years"],
        "block_mae_years": summary.block_mae_years,
        "by_site": summary.by_site,
        "step_seconds": summary.step_seconds,
        "peak_memory_bytes": summary.peak_memory_bytes,
        "seconds": summary.seconds,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line and write one JSON file."""
    parser = argparse.ArgumentParser(description="Brain age under several rules and seeds.")
    parser.add_argument("--config", action="append", required=True, help="repeatable")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    rows = run_seeds(options.config, options.seeds, options.set, options.runs)
    content = {"summary": summarise(rows), "rows": rows}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
