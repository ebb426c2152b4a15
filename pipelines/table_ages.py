"""Age from FreeSurfer tables: networks under several training rules beside simple methods.

Three protocols: the two files as they are given; five folds over all rows, by subject, balanced
over site, age and sex; and each site tested by what learned from the others. Of the given files,
test rows of people who are in the training file too are left out. All methods of a protocol see the
same rows and the same features, standardised by the training part. A fit that is in the file of
rows is not run again, so an interrupted study goes on where it stopped.

Command::

    python -m pipelines.table_ages --data $BRAINAGE_DATA/tables \
        --out docs/results/table_ages_cpu.json
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from brainage.core.timing import describe_device
from brainage.data.config import DataConfig
from brainage.data.split_config import SplitConfig
from brainage.data.splits import make_folds, make_site_folds
from brainage.data.tables import FeatureTable, join_tables, read_feature_table
from brainage.errors import BrainageError
from pipelines.study import KeptRows, command_line
from pipelines.table_methods import (
    GRID,
    RULES,
    SIMPLE,
    Part,
    described_grid,
    fit_network,
    tune_network,
)
from pipelines.table_summary import summarise

FILES = ("OpenNeuroTransfer_ct_tr.csv", "OpenNeuroTransfer_ct_te.csv")
PROTOCOLS = ("given files", "five folds", "leave one site out")
METHODS = (*SIMPLE, *RULES)
NUM_FOLDS = 5
# Every site is tested; the smallest has 79 people.
SPLIT = SplitConfig(folds=NUM_FOLDS)
KEY = ("protocol", "fold", "method", "harmonise", "seed")


def read_tables(folder: Path) -> tuple[FeatureTable, int]:
    """Both files as one table, and how many of its first rows are the training file's.

    Raises:
        DataError: if a file is missing or cannot be used.
    """
    tables = [read_feature_table(folder / name) for name in FILES]
    return join_tables(tables), len(tables[0])


def make_parts(
    table: FeatureTable, num_given: int, protocol: str, harmonise: str = "none"
) -> dict[str, Part]:
    """The protocol's training and test parts by name.

    Args:
        table: all rows.
        num_given: how many of the first rows are the given training file's.
        protocol: one of ``PROTOCOLS``.
        harmonise: ``none`` or ``combat``.

    Raises:
        CohortError: if there are too few people for the protocol.
    """
    if protocol == "given files":
        train = range(num_given)
        known = {table.subjects[row] for row in train}
        test = [row for row in range(num_given, len(table)) if table.subjects[row] not in known]
        return {"test file": Part(table, tuple(train), tuple(test), harmonise)}
    if protocol == "five folds":
        folds = make_folds(table.records, SPLIT, seed=0)
        splits = {f"fold {number}": split for number, split in enumerate(folds, start=1)}
    else:
        splits = make_site_folds(table.records, SplitConfig(leave_one_site_out=True), seed=0)
    return {
        name: Part(table, tuple(sorted([*split.train, *split.validation])), split.test, harmonise)
        for name, split in splits.items()
    }


def run_protocol(
    parts: dict[str, Part], protocol: str, methods: Sequence[str], seeds: int, kept: KeptRows
) -> Iterator[dict[str, Any]]:
    """A row for every part, method and seed; methods without a seed have one row a part."""
    for fold, part in parts.items():
        for method in methods:
            key = {
                "protocol": protocol,
                "fold": fold,
                "method": method,
                "harmonise": part.harmonise,
            }
            if method in SIMPLE:
                yield kept.find_or_make(key | {"seed": 0}, partial(_simple, part, method))
                continue
            tuned = kept.find_or_make(
                key | {"seed": "tuning"}, partial(tune_network, RULES[method], part, 0)
            )
            for seed in range(seeds):
                make = partial(_network, part, method, tuned["chosen"], seed)
                yield kept.find_or_make(key | {"seed": seed}, make)


def _simple(part: Part, method: str) -> dict[str, Any]:
    return _row(part, {"last": SIMPLE[method](part)})


def _network(part: Part, method: str, chosen: int, seed: int) -> dict[str, Any]:
    predicted = fit_network(RULES[method], part, GRID[chosen], seed)
    return {"chosen": chosen, **_row(part, predicted)}


def _row(part: Part, predicted: dict[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    return {
        "rows": [int(row) for row in part.test],
        "predicted": {
            name: [round(float(age), 3) for age in ages] for name, ages in predicted.items()
        },
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.table_ages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    folder = DataConfig(root="$BRAINAGE_DATA/tables").root_folder()
    parser.add_argument("--data", type=Path, default=folder, help="folder of the two tables")
    parser.add_argument("--protocols", nargs="*", choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=METHODS)
    parser.add_argument("--harmonise", choices=("none", "combat"), default="none")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the result")
    parser.add_argument("--rows", type=Path, help="JSON lines of all fits; beside --out by default")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study and write its table as JSON."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    try:
        table, num_given = read_tables(options.data)
        kept = KeptRows(options.rows or options.out.with_suffix(".jsonl"), KEY)
        rows = []
        for protocol in options.protocols:
            parts = make_parts(table, num_given, protocol, options.harmonise)
            for row in run_protocol(parts, protocol, options.methods, options.seeds, kept):
                rows.append(row)
                name = ", ".join(str(row[column]) for column in KEY)
                sys.stderr.write(f"{name}\n")
    except BrainageError as error:
        sys.exit(f"error: {error}")
    content = {
        "command": command_line("pipelines.table_ages", arguments),
        "rows": len(table),
        "people": len(set(table.subjects)),
        "features": len(table.names),
        "grid": described_grid(),
        "device": describe_device(torch.device("cpu")),
        "torch": torch.__version__,
        "protocols": summarise(rows, table),
    }
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
