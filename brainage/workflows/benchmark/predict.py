"""``brainage benchmark predict``: seconds a scan from file to age, and of the networks alone."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brainage.bundle.load import load_bundle
from brainage.bundle.model import ModelBundle
from brainage.core.timing import describe_device, synchronize
from brainage.errors import CohortError
from brainage.preprocess.pipeline import Preprocessor
from brainage.scans.nifti import read_scan
from brainage.scans.record import ScanRecord
from brainage.scans.source import find_scans
from brainage.workflows.model_source import model_folder
from brainage.workflows.predict.options import PredictOptions
from brainage.workflows.predict.stream import predict_each

NETWORK_REPEATS = 9

CLOCK = (
    "inside the clock: reading a scan, preprocessing, networks, flags; outside: starting processes "
    "and loading libraries and networks (the first scans are not counted), writing the table"
)


@dataclass(frozen=True, kw_only=True)
class PredictSpeed:
    """Result of ``brainage benchmark predict``; all are medians over the rounds, in seconds.

    ``seconds_per_scan`` is by number of jobs, of the whole chain; ``network_seconds`` is for one
    volume, with all networks and views.
    """

    scans: int
    rounds: int
    failed: tuple[str, ...]
    seconds_per_scan: dict[int, float]
    network_seconds: float
    network_iqr: float
    networks: int
    views: int
    grid: tuple[int, ...]
    spacing_mm: float
    device: str

    @property
    def exit_code(self) -> int:
        """0, or 1 when a scan failed."""
        return 1 if self.failed else 0

    @property
    def speedup(self) -> float:
        """Seconds with one job over those with most."""
        return self.seconds_per_scan[1] / self.seconds_per_scan[max(self.seconds_per_scan)]

    def describe(self) -> list[str]:
        """Lines for people."""
        shape = " x ".join(map(str, self.grid))
        return [
            CLOCK,
            f"{self.scans} scans, {self.rounds} rounds; grid {shape} at {self.spacing_mm:g} mm; "
            f"{self.device}",
            *(
                f"whole chain, {jobs} job(s): {seconds:.2f} s a scan"
                for jobs, seconds in self.seconds_per_scan.items()
            ),
            f"ratio: {self.speedup:.2f}",
            f"{self.networks} network(s) on {self.views} view(s): {self.network_seconds:.3f} s a "
            f"scan (interquartile range {self.network_iqr:.3f})",
            *(f"failed: {reason}" for reason in self.failed),
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        chain = {str(jobs): seconds for jobs, seconds in self.seconds_per_scan.items()}
        return {
            **asdict(self), "seconds_per_scan": chain, "speedup": self.speedup, "clock": CLOCK,
        }  # fmt: skip


def benchmark_predict(
    source: Path,
    *,
    model: str | None,
    limit: int = 10,
    jobs: int = 2,
    rounds: int = 1,
    device: str = "auto",
    report: Callable[[str], None],
) -> PredictSpeed:
    """Predict scans with one job and with several, in turn, and keep nothing.

    Args:
        source: scans, as for ``brainage predict``.
        model: as for ``brainage predict``.
        limit: scans taken, spread evenly over the source.
        jobs: number of jobs that is compared with one.
        rounds: times that both are measured.
        device: where the networks run.
        report: told what is being measured.

    Raises:
        BrainageError: if source, model or device cannot be used, or too few scans could be
            predicted.
    """
    with model_folder(model) as folder:
        bundle = load_bundle(folder)
    bundle.to(PredictOptions(device=device).place())
    found = find_scans(source).records
    step = max(1.0, len(found) / limit)
    records = [found[int(index * step)] for index in range(min(limit, len(found)))]
    if len(records) <= jobs:
        raise CohortError(f"{source}: expected more scans than {jobs} jobs, got {len(records)}")
    network = _network_seconds(bundle, records[0].scan)
    measured: dict[int, list[float]] = {1: [], jobs: []}
    failed: set[str] = set()
    for number in range(rounds):
        for count, seconds in measured.items():
            report(f"round {number + 1} of {rounds}: {len(records)} scans, {count} job(s)")
            one, reasons = _chain_seconds(records, bundle, count, device)
            seconds.append(one)
            failed |= reasons
    quartiles = statistics.quantiles(network, n=4)
    return PredictSpeed(
        scans=len(records),
        rounds=rounds,
        failed=tuple(sorted(failed)),
        seconds_per_scan={count: statistics.median(each) for count, each in measured.items()},
        network_seconds=statistics.median(network),
        network_iqr=quartiles[2] - quartiles[0],
        networks=len(bundle.members),
        views=bundle.num_views,
        grid=bundle.input_shape[1:],
        spacing_mm=bundle.config.preprocess.grid.spacing_mm,
        device=describe_device(bundle.device),
    )


def _chain_seconds(
    records: Sequence[ScanRecord], bundle: ModelBundle, jobs: int, device: str
) -> tuple[float, set[str]]:
    """Seconds a scan between the first rows and the last, and why scans failed."""
    known: list[float] = []
    reasons: set[str] = set()
    for _, row in predict_each(records, bundle, PredictOptions(jobs=jobs, device=device)):
        known.append(time.perf_counter())
        if row.status != "ok":
            reasons.add(f"{row.scan}: {row.stage}: {row.reason}")
    return (known[-1] - known[jobs - 1]) / (len(known) - jobs), reasons


def _network_seconds(bundle: ModelBundle, scan: Path) -> list[float]:
    """Seconds of the networks and their views for one scan, after a first call."""
    volume_XYZ = Preprocessor(bundle.config.preprocess)(read_scan(scan)).volume_XYZ
    bundle.predict(volume_XYZ)
    seconds = []
    for _ in range(NETWORK_REPEATS):
        synchronize(bundle.device)
        begun = time.perf_counter()
        bundle.predict(volume_XYZ)
        synchronize(bundle.device)
        seconds.append(time.perf_counter() - begun)
    return seconds
