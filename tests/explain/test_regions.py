import csv
import io

import numpy as np
import pytest

from brainage.explain.atlas import make_atlas
from brainage.explain.regions import region_rows, shares_by_region, table_text


@pytest.fixture
def planted(scan):
    """A map that is -3 in one known place, +1 in another, and 0 elsewhere."""
    values = np.zeros_like(scan.volume_XYZ)
    for place, value in (((-30, -66, -36), -3.0), ((36, 36, 24), 1.0)):
        index = np.rint(np.linalg.solve(scan.affine, [*place, 1])[:3]).astype(int)
        values[tuple(index)] = value
    return values


def rows_of(scan, values):
    atlas = make_atlas(scan.affine, values.shape)
    return region_rows("occlusion", values, scan.mask_XYZ, atlas, 0.5)


def test_a_planted_place_is_in_the_row_of_its_region(scan, planted):
    assert scan.mask_XYZ[planted != 0].all()
    found = [row for row in rows_of(scan, planted) if row.sum_absolute > 0]
    assert {(row.region, row.hemisphere) for row in found} == {
        ("cerebellum", "left"),
        ("frontal", "right"),
    }
    cerebellum = next(row for row in found if row.region == "cerebellum")
    assert (cerebellum.sum, cerebellum.sum_absolute, cerebellum.share) == (-1.5, 1.5, 0.75)
    assert cerebellum.mean == pytest.approx(-3.0 * 0.5 / cerebellum.volume_ml)


def test_the_rows_together_hold_every_voxel_of_the_brain_once(scan):
    rows = rows_of(scan, scan.volume_XYZ)
    assert sum(row.volume_ml for row in rows) == scan.mask_XYZ.sum() * 0.5
    assert sum(row.share for row in rows) == pytest.approx(1.0)
    inside = scan.volume_XYZ[scan.mask_XYZ].sum(dtype=np.float64)
    assert sum(row.sum for row in rows) == pytest.approx(inside * 0.5, abs=1e-6)
    assert len({(row.region, row.hemisphere, row.tissue) for row in rows}) == len(rows)


def test_a_map_of_zeros_has_no_shares(scan):
    assert {row.share for row in rows_of(scan, np.zeros_like(scan.volume_XYZ))} == {0.0}


def test_the_table_and_the_order_of_regions(scan, planted):
    rows = rows_of(scan, planted)
    assert list(shares_by_region(rows))[:2] == ["cerebellum", "frontal"]
    (first, *_) = csv.DictReader(io.StringIO(table_text(rows)))
    assert list(first) == [
        "method", "region", "hemisphere", "tissue", "volume_ml", "mean", "sum", "sum_absolute",
        "share",
    ]  # fmt: skip
