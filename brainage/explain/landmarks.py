"""Named points in MNI space that say which lobe or nucleus a place is near.

No lobe atlas ships with the dependencies, and nothing is downloaded. nilearn ships the centres of
two published sets of regions with their anatomical names; where neither has any, a few points of
our own stand in. Lobes are where the nearest named point says so: coarse, and rough at borders.
Points count on both sides, as the template is symmetric.

Sources: Dosenbach et al. 2010, Science 329:1358 (cortex); Seitzman et al. 2020, NeuroImage
206:116290 (deep nuclei, cerebellum).
"""

import re
from functools import cache

import numpy as np
import numpy.typing as npt

# What the first set calls its cortical points. Its deep and cerebellar points are left out: the
# second set's are more, and some of the first set's names do not fit their places.
_CORTEX = {
    "frontal": (
        "aPFC", "dFC", "dlPFC", "frontal", "mFC", "mPFC", "pre-SMA", "precentral gyrus", "SMA",
        "sup frontal", "vent aPFC", "vFC", "vlPFC", "vmPFC", "vPFC",
    ),
    "parietal": (
        "angular gyrus", "IPL", "IPS", "parietal", "post parietal", "precuneus", "sup parietal",
    ),
    "temporal": ("fusiform", "inf temporal", "sup temporal", "temporal", "TPJ"),
    "occipital": ("occipital", "post occipital"),
    "insula": ("ant insula", "mid insula", "post insula"),
    "cingulate": ("ACC", "dACC", "post cingulate"),
}  # fmt: skip
# Points whose names do not fit their places: "parietal" in front of the central sulcus,
# "post cingulate" in the midbrain, "precentral gyrus" and "mid insula" in neighbours of theirs,
# "occipital" in the precuneus and beside the hippocampus.
_MISNAMED = {
    (-26, -8, 54), (-38, -15, 59), (-47, -12, 36), (-4, -31, -4), (-54, -22, 22),
    (-30, -14, 1), (-30, -28, 9), (-9, -72, 41), (-28, -42, -11),
}  # fmt: skip
_DEEP = {
    "hippocampus": "hippocampus and amygdala",
    "amygdala": "hippocampus and amygdala",
    "basalGanglia": "basal ganglia",
    "thalamus": "thalamus",
    "cerebellum": "cerebellum",
}
# Where neither set has a point.
_OWN = {
    "temporal": ((38, 12, -32), (52, -4, -32), (46, -30, -26), (30, -10, -40)),
    "frontal": ((20, 36, -18), (5, 36, -22), (34, -14, 62), (46, -14, 40), (24, -6, 60)),
    "insula": ((38, 4, -8), (38, -14, 6)),
    "cingulate": ((4, 36, 4), (4, 0, 36), (4, -22, 38)),
    "occipital": ((8, -80, -4), (38, -78, -12), (14, -96, -4)),
    "parietal": ((20, -60, 60), (6, -72, 44)),
    "brainstem": ((4, -20, -12), (4, -26, -24), (4, -30, -34), (3, -38, -50), (8, -28, -14)),
}  # fmt: skip

REGIONS = (*_CORTEX, "hippocampus and amygdala", "basal ganglia", "thalamus", "cerebellum",
           "brainstem")  # fmt: skip


@cache
def landmarks() -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Points in MNI millimetres, (N, 3), and the region of ``REGIONS`` each is in."""
    # Deferred as in `load_template`; both read files of nilearn's own package.
    from nilearn.datasets import (  # noqa: PLC0415
        fetch_coords_dosenbach_2010,
        fetch_coords_seitzman_2018,
    )

    lobes = {name: lobe for lobe, names in _CORTEX.items() for name in names}
    found: list[tuple[tuple[float, ...], str]] = []
    cortex = fetch_coords_dosenbach_2010()
    for label, place in zip(cortex.labels, cortex.rois.to_numpy(), strict=True):
        lobe = lobes.get(re.sub(r" \d+$", "", str(label)))
        if lobe is not None and tuple(int(value) for value in place) not in _MISNAMED:
            found.append((tuple(place), lobe))
    deep = fetch_coords_seitzman_2018()
    for label, place in zip(deep.regions, deep.rois.to_numpy(), strict=True):
        if str(label) in _DEEP:
            found.append((tuple(place), _DEEP[str(label)]))
    found += [(place, region) for region, places in _OWN.items() for place in places]
    points = np.array([place for place, _ in found], dtype=np.float64)
    names = tuple(region for _, region in found)
    return np.concatenate([points, points * [-1.0, 1.0, 1.0]]), (*names, *names)
