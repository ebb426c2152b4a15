import numpy as np
import pytest

from brainage.explain.atlas import HEMISPHERES, TISSUE_NAMES, make_atlas
from brainage.explain.landmarks import REGIONS
from brainage.preprocess.template import load_template
from brainage.preprocess.tissue import TISSUES, load_tissue_labels

# Places that atlases of MNI space agree on, away from borders.
KNOWN = {
    (-38, 44, 16): "frontal",
    (36, 8, 52): "frontal",
    (-48, -58, 46): "parietal",
    (6, -60, 52): "parietal",
    (58, -20, -10): "temporal",
    (-40, 14, -34): "temporal",
    (-10, -92, 4): "occipital",
    (40, -82, -4): "occipital",
    (38, 6, 0): "insula",
    (-4, 4, 36): "cingulate",
    (-26, -16, -18): "hippocampus and amygdala",
    (26, 2, 2): "basal ganglia",
    (-12, 12, 8): "basal ganglia",
    (10, -18, 8): "thalamus",
    (-30, -64, -38): "cerebellum",
    (2, -28, -30): "brainstem",
}


@pytest.fixture(scope="module")
def atlas():
    template = load_template()
    return make_atlas(template.affine, template.mask_XYZ.shape)


def voxel(place_mm):
    return tuple(np.rint(np.linalg.solve(load_template().affine, [*place_mm, 1])[:3]).astype(int))


@pytest.mark.parametrize("place", KNOWN, ids=str)
def test_known_places_are_in_their_regions(atlas, place):
    assert REGIONS[atlas.region_XYZ[voxel(place)]] == KNOWN[place]


def test_left_is_negative_x(atlas):
    sides = [HEMISPHERES[atlas.hemisphere_XYZ[voxel((x, -20, 10))]] for x in (-30, 0, 30)]
    assert sides == ["left", "midline", "right"]


def test_regions_are_as_large_on_both_sides(atlas):
    inside = load_template().mask_XYZ
    for region in range(len(REGIONS)):
        left, right = (
            ((atlas.region_XYZ == region) & (atlas.hemisphere_XYZ == side) & inside).sum()
            for side in (1, 2)
        )
        assert left == pytest.approx(right, rel=0.02)


def test_certain_tissue_keeps_its_label_and_all_of_the_brain_has_one(atlas):
    labels = load_tissue_labels()
    assert TISSUE_NAMES[TISSUES["grey"]] == "grey"
    np.testing.assert_array_equal(atlas.tissue_XYZ[labels > 0], labels[labels > 0])
    np.testing.assert_array_equal(atlas.tissue_XYZ > 0, load_template().mask_XYZ)


def test_another_grid_gives_a_place_the_same_labels(atlas):
    coarse = np.diag([4.0, 4.0, 4.0, 1.0])
    coarse[:3, 3] = load_template().affine[:3, 3]
    shape = tuple(size // 2 for size in load_template().mask_XYZ.shape)
    other = make_atlas(coarse, shape)
    every_second = tuple(slice(0, 2 * size, 2) for size in shape)
    np.testing.assert_array_equal(other.region_XYZ, atlas.region_XYZ[every_second])
    np.testing.assert_array_equal(other.tissue_XYZ, atlas.tissue_XYZ[every_second])
