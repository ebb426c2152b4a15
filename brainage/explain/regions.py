"""A map summed up by region, hemisphere and tissue."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np

from brainage.explain.atlas import HEMISPHERES, TISSUE_NAMES, Atlas
from brainage.explain.landmarks import REGIONS
from brainage.preprocess.state import Image, Mask
from brainage.scans.table import csv_lines


@dataclass(frozen=True, kw_only=True)
class RegionRow:
    """One region of one map.

    ``volume_ml`` is of the template's space, within the scan's brain. ``mean`` has the map's unit,
    ``sum`` and ``sum_absolute`` that unit times millilitres: for integrated gradients these are
    years. ``share`` is the region's part of ``sum_absolute`` over the whole brain.
    """

    method: str
    region: str
    hemisphere: str
    tissue: str
    volume_ml: float
    mean: float
    sum: float
    sum_absolute: float
    share: float


def region_rows(
    method: str, map_XYZ: Image, mask_XYZ: Mask, atlas: Atlas, voxel_ml: float
) -> list[RegionRow]:
    """Rows of all combinations that hold a voxel of the mask; together they hold all of them."""
    names = (REGIONS, HEMISPHERES, TISSUE_NAMES)
    labels = (atlas.region_XYZ, atlas.hemisphere_XYZ, atlas.tissue_XYZ)
    shape = tuple(len(each) for each in names)
    index = np.ravel_multi_index(tuple(part[mask_XYZ] for part in labels), shape)
    values = map_XYZ[mask_XYZ].astype(np.float64)
    size = int(np.prod(shape))
    counts = np.bincount(index, minlength=size)
    sums = np.bincount(index, values, size)
    absolute = np.bincount(index, np.abs(values), size)
    whole = absolute.sum()
    rows = []
    for number in np.flatnonzero(counts):
        region, hemisphere, tissue = (
            each[place] for each, place in zip(names, np.unravel_index(number, shape), strict=True)
        )
        row = RegionRow(
            method=method,
            region=region,
            hemisphere=hemisphere,
            tissue=tissue,
            volume_ml=float(counts[number] * voxel_ml),
            mean=float(sums[number] / counts[number]),
            sum=float(sums[number] * voxel_ml),
            sum_absolute=float(absolute[number] * voxel_ml),
            share=float(absolute[number] / whole) if whole > 0 else 0.0,
        )
        rows.append(row)
    return rows


def shares_by_region(rows: list[RegionRow]) -> Mapping[str, float]:
    """Share of each region over sides and tissues, largest first."""
    shares: dict[str, float] = {}
    for row in rows:
        shares[row.region] = shares.get(row.region, 0.0) + row.share
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def table_text(rows: list[RegionRow]) -> str:
    """The rows as CSV; numbers to six significant digits."""
    header = [entry.name for entry in fields(RegionRow)]
    cells = [
        [f"{cell:.6g}" if isinstance(cell, float) else cell for cell in asdict(row).values()]
        for row in rows
    ]
    return csv_lines([header, *cells])
