"""The table of a study of features: errors, errors by site, paired differences, with intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from brainage.data.tables import FeatureTable
from pipelines.study import mean_with_interval

Floats = npt.NDArray[np.float64]

CONTRASTED = ("lfnn_l 100%", "lfnn_l 50%")
AGAINST = ("bp", "bp_deep_supervision", "ridge", "kernel ridge", "Gaussian process")


def summarise(rows: Sequence[dict[str, Any]], table: FeatureTable) -> dict[str, Any]:
    """Each protocol's methods side by side."""
    return {
        protocol: _protocol([row for row in rows if row["protocol"] == protocol], table)
        for protocol in dict.fromkeys(row["protocol"] for row in rows)
    }


def _protocol(rows: Sequence[dict[str, Any]], table: FeatureTable) -> dict[str, Any]:
    errors: dict[tuple[str, str], Floats] = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        for answer in mine[0]["predicted"]:
            errors[method, answer] = errors_by_seed(mine, answer, table.ages_years)
    tested = np.flatnonzero(~np.isnan(next(iter(errors.values()))[0]))
    subjects = np.array(table.subjects)[tested]
    sites = np.array(table.sites)[tested]
    own = {name: found[:, tested] for name, found in errors.items()}
    return {
        "tested_rows": len(tested),
        "tested_people": len(set(subjects)),
        "age_range_years": [float(f(table.ages_years[tested])) for f in (np.min, np.max)],
        "methods": [
            {
                "method": method if answer == "last" else f"{method}, {answer}",
                **_years("mae", mean_with_interval(found.mean(axis=0), subjects)),
                "by_seed": [round(float(value), 3) for value in found.mean(axis=1)],
                "mae_years_by_site": {
                    str(site): round(float(found[:, sites == site].mean()), 3)
                    for site in np.unique(sites)
                },
                **_chosen([row for row in rows if row["method"] == method]),
            }
            for (method, answer), found in own.items()
        ],
        "contrasts": [
            {
                "a": a,
                "b": b,
                **_years(
                    "delta_mae",
                    mean_with_interval(
                        own[a, "last"].mean(axis=0) - own[b, "last"].mean(axis=0), subjects
                    ),
                ),
            }
            for a in CONTRASTED
            for b in AGAINST
            if (a, "last") in own and (b, "last") in own
        ],
    }


def _chosen(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Which place of the grid a network's rule chose for each fold."""
    chosen = {row["fold"]: row["chosen"] for row in rows if "chosen" in row}
    return {"chosen_by_fold": chosen} if chosen else {}


def errors_by_seed(rows: Sequence[dict[str, Any]], answer: str, ages_years: Floats) -> Floats:
    """Absolute errors (seeds, rows of the table) of one method's answer; NaN where not tested."""
    seeds = sorted({row["seed"] for row in rows})
    errors = np.full((len(seeds), len(ages_years)), np.nan)
    for row in rows:
        places = row["rows"]
        gaps = np.array(row["predicted"][answer]) - ages_years[places]
        errors[seeds.index(row["seed"]), places] = np.abs(gaps)
    return errors


def _years(name: str, found: dict[str, float | None]) -> dict[str, float | None]:
    """A mean in years under its name, with ``low`` and ``high``."""
    named = {f"{name}_years": found["mean"], "low": found["low"], "high": found["high"]}
    return {key: None if value is None else round(value, 3) for key, value in named.items()}
