"""A program: four scans on a cluster of processes, of which one scan kills every worker it meets.

Prints one line of JSON: name, status, stage and reason of each scan.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
import dask
import distributed

from brainage.derivatives.task import MakeDerivatives
from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.worker import PreprocessOutcome
from brainage.workflows.preprocess.dask_cluster import preprocess_on_dask


@dataclass(frozen=True)
class Deadly(MakeDerivatives):
    """Ends the process as a lack of memory does."""

    def only(self, path):
        return self

    def __call__(self, path, config, cache):
        if path.name == "deadly":
            os._exit(9)
        return PreprocessOutcome(path, "", "ok", None, None, False, 0.0, {})


def main(folder: Path) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    outcomes = []
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
    ):
        preprocess_on_dask(
            [Path(name) for name in ("a", "deadly", "b", "c")],
            PreprocessConfig(),
            folder,
            on_outcome=outcomes.append,
            task=Deadly(folder, {}),
            address=cluster.scheduler_address,
        )
    rows = sorted([o.scan.name, o.status, o.stage, o.reason] for o in outcomes)
    print(json.dumps(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
