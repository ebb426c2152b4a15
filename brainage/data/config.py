"""Settings of the data: which scans, and how training volumes are varied."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from brainage.core.config import FORBID_UNKNOWN, require

DATA_VARIABLE = "BRAINAGE_DATA"
DEFAULT_DATA_FOLDER = "../shared/data"

Balance = Literal["none", "age", "site", "sex", "age_and_site"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which scans and ages, and where what is made of them is kept."""

    __pydantic_config__ = FORBID_UNKNOWN

    manifest: str = "data_manifests/open_t1w/manifest.csv"
    """Table of the scans that are trained, validated and tested on."""
    unseen: str | None = None
    """Table of scans that are in no part and only serve to be predicted."""
    root: str | None = None
    """Folder that the manifests' column ``scan`` starts from; null is each manifest's own folder.
    A leading ``$BRAINAGE_DATA`` stands for that environment variable, or ``../shared/data``
    where it is not set."""
    cache_dir: str = "cache"
    """Folder of finished preprocessing, shared by runs."""
    preprocess_jobs: int = 1
    """Scans that are preprocessed at the same time, each in its own process."""
    num_loader_workers: int = 0
    """Threads that prepare training batches while others are trained on; 0 prepares them between
    steps."""
    memory_gb: float | None = None
    """Gigabytes of preprocessed volumes that a training process keeps in memory. Volumes that do
    not fit are read from ``cache_dir`` each time they are needed; results are the same. Null is
    half of the memory that is free when volumes are loaded."""
    balance: Balance = "none"
    """What training samples are balanced over: each epoch draws as many samples as there are
    training scans, with replacement, and every group as often as any other. ``none`` takes every
    scan once."""
    balance_bin_years: float = 5.0
    """Width of the age bins that are groups under ``balance: age`` and ``age_and_site``."""

    def __post_init__(self) -> None:
        for field in ("manifest", "unseen", "root", "cache_dir"):
            value = getattr(self, field)
            require(value is None or bool(value.strip()), field, "a path", value)
        require(self.preprocess_jobs >= 1, "preprocess_jobs", "at least 1", self.preprocess_jobs)
        workers = self.num_loader_workers
        require(workers >= 0, "num_loader_workers", "zero or more", workers)
        memory = self.memory_gb
        enough = memory is None or 0 <= memory < float("inf")
        require(enough, "memory_gb", "zero or more, or null", memory)
        width = self.balance_bin_years
        require(0 < width <= 100, "balance_bin_years", "above 0 and at most 100", width)

    def root_folder(self) -> Path | None:
        """The folder ``root`` stands for on this machine, or none for the manifest's own."""
        if self.root is None:
            return None
        folder = Path(self.root).expanduser()
        if folder.parts[:1] != (f"${DATA_VARIABLE}",):
            return folder
        data_folder = Path(os.environ.get(DATA_VARIABLE) or DEFAULT_DATA_FOLDER).expanduser()
        return data_folder.joinpath(*folder.parts[1:])


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Random changes of a training volume.

    Space changes by affine maps only: an elastic warp widens or narrows ventricles and sulci, which
    is what an age is read from, and would teach that their size does not matter.

    The last four steps are what goes wrong in a scanner; they are off until asked for.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    enabled: bool = True
    """Whether training volumes are varied at all."""
    flip_probability: float = 0.5
    """Share of samples that are mirrored left to right."""
    affine_probability: float = 0.5
    """Share of samples that are turned, scaled and shifted; the costly part."""
    rotation_degrees: float = 6.0
    """Largest turn about each axis."""
    scale: float = 0.04
    """Largest change of size along each axis: 0.04 is 0.96 to 1.04."""
    translation_voxels: float = 1.0
    """Largest shift along each axis."""
    bias_field_probability: float = 0.3
    """Share of samples with a smooth brightness field."""
    bias_field_coefficient: float = 0.2
    """Largest coefficient of the field's polynomial (of third order, as in TorchIO)."""
    gamma_probability: float = 0.3
    """Share of samples with another contrast curve."""
    log_gamma: float = 0.2
    """Largest logarithm of its exponent: 0.2 is exponents of 0.82 to 1.22."""
    noise_probability: float = 0.3
    """Share of samples with Gaussian noise."""
    noise_std: float = 0.1
    """Largest standard deviation of the noise, as a share of the brain's."""
    motion_probability: float = 0.0
    """Share of samples in which the head moves while it is scanned."""
    motion_degrees: float = 3.0
    """Largest turn of the head about each axis."""
    motion_voxels: float = 1.0
    """Largest shift of the head along each axis."""
    num_motions: int = 2
    """Moves during one scan."""
    ghosting_probability: float = 0.0
    """Share of samples with ghosts: shifted faint copies along one axis, as from pulsation."""
    ghosting_intensity: float = 0.5
    """Largest share of its strength that every n-th line of k-space loses."""
    num_ghosts: int = 6
    """Most ghosts; from 2 on, each number is equally likely."""
    spike_probability: float = 0.0
    """Share of samples with stripes from one bad point of k-space (herringbone)."""
    spike_intensity: float = 0.3
    """Largest height of that point, as a share of the highest of k-space."""
    anisotropy_probability: float = 0.0
    """Share of samples that are as if taken in thick slices across one axis."""
    anisotropy_factor: float = 3.0
    """Thickest slices, in voxels."""

    def __post_init__(self) -> None:
        for kind in _STEPS:
            field = f"{kind}_probability"
            require(0 <= getattr(self, field) <= 1, field, "in [0, 1]", getattr(self, field))
        for field, limit in _LIMITS.items():
            value = getattr(self, field)
            require(0 <= value <= limit, field, f"from 0 to {limit:g}", value)
        for field, (least, most) in _RANGES.items():
            value = getattr(self, field)
            require(least <= value <= most, field, f"from {least} to {most}", value)


_STEPS = (
    "flip",
    "affine",
    "bias_field",
    "gamma",
    "noise",
    "motion",
    "ghosting",
    "spike",
    "anisotropy",
)
_LIMITS = {
    "rotation_degrees": 180.0,
    "scale": 0.5,
    "translation_voxels": 1000.0,
    "bias_field_coefficient": 2.0,
    "log_gamma": 3.0,
    "noise_std": 10.0,
    "motion_degrees": 180.0,
    "motion_voxels": 1000.0,
    "ghosting_intensity": 1.0,
    "spike_intensity": 10.0,
}
_RANGES = {"num_motions": (1, 10), "num_ghosts": (2, 20), "anisotropy_factor": (1, 10)}
