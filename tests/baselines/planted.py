"""Scans with a known signal of age."""

import numpy as np

SHAPE = (8, 10, 8)


def planted_scans(seed: int = 0):
    """Volumes in which one pattern grows with age, under noise; two scans of each subject."""
    rng = np.random.default_rng(seed)
    ages = np.repeat(rng.uniform(20, 80, 30), 2)
    pattern = rng.normal(size=SHAPE)
    noise = rng.normal(size=(len(ages), *SHAPE))
    volumes = (ages[:, None, None, None] - 50) / 20 * pattern + noise
    subjects = [f"s{index // 2}" for index in range(len(ages))]
    return volumes.astype(np.float32), ages, subjects
