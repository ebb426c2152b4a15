"""The complexity study: pictures along the Hilbert curve (S9) and multifractal spectra (S10).

The supplement names the measures and leaves the estimator, the order for most sets, the resizing
and the treatment of black cells open. So the main measurement has alternatives beside it that each
change one of these, and say whether the order of the sets depends on it.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from brainage.config.studies import ComplexityStudyConfig
from brainage.config.validation import to_plain
from brainage.workflows.studies.fits import write_result
from brainage.workflows.studies.samples import GreySample, grey_sample
from brainage.workflows.studies.spectra import Numbers, resized, sequence, smooth_spectra

SIMPLE_TO_COMPLEX = ("mnist", "cifar10", "tiny_imagenet", "imagenet")
"""The order that the supplement states, from the narrowest spectrum to the broadest."""
NATIVE = "order near each set's resolution"


def run_complexity_study(config: ComplexityStudyConfig, folder: Path) -> dict[str, Any]:
    """Measure all sets, and write ``result.json``; minutes at most.

    Args:
        config: of the study.
        folder: made when needed.

    Returns:
        Plain values: ``sets``, one for each image set (``spectrum``, ``heterogeneity``,
        ``irregularity``, ``picture``), ``order``, and ``alternatives``.

    Raises:
        DataError: if a set is not there or damaged.
        RunFolderError: if the folder cannot be written.
    """
    samples = [grey_sample(data, count=config.images_per_set) for data in config.data]
    rows = [_measured(sample, config) | {"picture": _picture(sample, config)} for sample in samples]
    result = {
        "study": "complexity",
        "config": to_plain(config),
        "sets": rows,
        "order": _orders({row["data"]: row for row in rows}),
        "alternatives": [
            _alternative(name, changed, samples) for name, changed in _alternatives(config).items()
        ],
    }
    write_result(folder, result)
    return result


def _measured(sample: GreySample, config: ComplexityStudyConfig) -> dict[str, Any]:
    """One set: its mean spectrum, and both measures with their standard deviation over images."""
    spectra = smooth_spectra(
        sample.pictures,
        order=config.order,
        resize=config.resize,
        mass=config.mass,
        largest_moment=config.largest_moment,
    )
    return {
        "data": sample.name,
        "images": len(sample.pictures),
        "note": sample.note,
        "heterogeneity": _moments(spectra.heterogeneity),
        "irregularity": _moments(spectra.irregularity),
        "spectrum": {
            "alpha": spectra.alpha.mean(0).round(5).tolist(),
            "f": spectra.f.mean(0).round(5).tolist(),
        },
    }


def _picture(sample: GreySample, config: ComplexityStudyConfig) -> dict[str, Any]:
    """The first image of the sample at the order near its resolution: grey levels, 0 to 255."""
    order = config.native_orders[sample.name]
    cells = resized(sample.pictures[0], order, config.resize)
    levels = (255 * cells).round().int()
    return {
        "order": order,
        "class": sample.class_names[sample.labels[0]],
        "grey": levels.tolist(),
        "sequence": sequence(levels.float() / 255, "raw").mul(255).round().int().tolist(),
    }


def _alternatives(config: ComplexityStudyConfig) -> dict[str, ComplexityStudyConfig]:
    """By words for it, the study with one choice changed."""
    found = {f"order {order}": replace(config, order=order) for order in (4, 5, 6, 7)}
    found[NATIVE] = config
    for resize in ("area", "bilinear", "nearest"):
        found[f"resize {resize}"] = replace(config, resize=resize)
    for mass in ("subtract_least", "raw", "no_empty_cell"):
        found[f"mass {mass}"] = replace(config, mass=mass)
    for largest in (2.0, 5.0, 10.0):
        found[f"moments to {largest:g}"] = replace(config, largest_moment=largest)
    return {k: v for k, v in found.items() if v != config or k == NATIVE}


def _alternative(
    name: str, config: ComplexityStudyConfig, samples: list[GreySample]
) -> dict[str, Any]:
    rows: dict[str, Mapping[str, Any]] = {}
    for sample in samples:
        order = config.native_orders[sample.name] if name == NATIVE else config.order
        row = _measured(sample, replace(config, order=order))
        rows[sample.name] = {key: row[key] for key in ("heterogeneity", "irregularity")}
    return {"name": name, "sets": rows, "order": _orders(rows)}


def _orders(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """By measure, the sets from the least to the largest mean, and whether that is as published."""
    found = {}
    published = [name for name in SIMPLE_TO_COMPLEX if name in rows]
    for measure in ("heterogeneity", "irregularity"):
        ranked = sorted(rows, key=lambda name: float(rows[name][measure]["mean"]))
        found[measure] = {"ascending": ranked, "as_published": ranked == published}
    return found


def _moments(values: Numbers) -> dict[str, float]:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": round(float(values.mean()), 5), "sd": round(sd, 5)}
