r"""Learn the limits of the quality figures from a cohort of several studies.

Commands::

    brainage preprocess data_manifests/open_cohort/manifest.csv --root $BRAINAGE_DATA \
        --out derivatives/open_cohort --config preprocess/mni4mm.yaml --jobs 2
    python -m pipelines.quality_limits derivatives/open_cohort/qc.csv \
        --out brainage/preprocess/quality_limits.json
"""

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brainage.derivatives.files import write_bytes
from brainage.errors import BrainageError, CohortError
from brainage.preprocess.quality import FIGURES

NUM_SPREADS = 5.0
RULE = (
    "median of the lowest study minus 5 MAD, median of the highest study plus 5 MAD, on the sides "
    "on which a figure is suspect; MAD: median distance of a scan from its study's median, every "
    "study with the same weight"
)

Floats = npt.NDArray[np.float64]


def learn_limits(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The content of ``quality_limits.json``.

    A new scanner differs from the cohort's as these differ from one another; so limits keep off
    the medians of all studies, and their distance is the spread within a study.

    Args:
        rows: of ``qc.csv``; only scans that went through count.

    Raises:
        CohortError: if there are no usable rows, or rows do not say their study (``site``).
    """
    usable = [row for row in rows if row["status"] == "ok"]
    if not usable or not all(row["site"] for row in usable):
        raise CohortError("expected preprocessed scans with a site each, got none or some without")
    sites = np.array([row["site"] for row in usable])
    limits, medians = {}, {}
    for figure in FIGURES:
        known = np.array([bool(row[figure.name]) for row in usable])
        values = np.array([float(row[figure.name] or "nan") for row in usable])[known]
        by_site, spread = _spread_within(values, sites[known])
        medians[figure.name] = {site: round(value, 4) for site, value in by_site.items()}
        low = min(by_site.values()) - NUM_SPREADS * spread
        high = max(by_site.values()) + NUM_SPREADS * spread
        if figure.suspect != "none":
            limits[figure.name] = {
                "low": round(low, 4) if figure.suspect in {"low", "both"} else None,
                "high": round(high, 4) if figure.suspect in {"high", "both"} else None,
            }
    counts = {site: int((sites == site).sum()) for site in sorted(set(sites))}
    return {
        "made_by": "python -m pipelines.quality_limits (its help shows both commands)",
        "rule": RULE,
        "num_scans": len(usable),
        "scans_by_study": counts,
        "limits": limits,
        "medians_by_study": medians,
    }


def _spread_within(values: Floats, sites: npt.NDArray[np.str_]) -> tuple[dict[str, float], float]:
    """Median of each study, and the weighted median distance from them."""
    medians = {str(site): float(np.median(values[sites == site])) for site in np.unique(sites)}
    distances = np.abs(values - np.array([medians[str(site)] for site in sites]))
    weights = np.array([1 / np.count_nonzero(sites == site) for site in sites])
    order = np.argsort(distances, kind="stable")
    shares = np.cumsum(weights[order]) / weights.sum()
    return medians, float(distances[order][np.searchsorted(shares, 0.5)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m pipelines.quality_limits``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path, help="qc.csv of the cohort")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    try:
        with options.table.open(newline="", encoding="utf-8") as file:
            content = learn_limits(list(csv.DictReader(file)))
        write_bytes(options.out, (json.dumps(content, indent=2) + "\n").encode())
    except (BrainageError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
