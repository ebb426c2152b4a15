"""Settings of the data: which scans, and how training volumes are varied."""

import os
from dataclasses import dataclass
from pathlib import Path

from brainage.core.config import FORBID_UNKNOWN, require

DATA_VARIABLE = "BRAINAGE_DATA"
DEFAULT_DATA_FOLDER = "../shared/data"


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
    """Processes that prepare training batches; with 0 the training process does."""

    def __post_init__(self) -> None:
        for field in ("manifest", "unseen", "root", "cache_dir"):
            value = getattr(self, field)
            require(value is None or bool(value.strip()), field, "a path", value)
        require(self.preprocess_jobs >= 1, "preprocess_jobs", "at least 1", self.preprocess_jobs)
        workers = self.num_loader_workers
        require(workers >= 0, "num_loader_workers", "zero or more", workers)

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

    Space changes by affine maps only: an elastic warp looks like atrophy.
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

    def __post_init__(self) -> None:
        for kind in ("flip", "affine", "bias_field", "gamma", "noise"):
            field = f"{kind}_probability"
            require(0 <= getattr(self, field) <= 1, field, "in [0, 1]", getattr(self, field))
        for field, limit in _LIMITS.items():
            value = getattr(self, field)
            require(0 <= value <= limit, field, f"from 0 to {limit:g}", value)


_LIMITS = {
    "rotation_degrees": 180.0,
    "scale": 0.5,
    "translation_voxels": 1000.0,
    "bias_field_coefficient": 2.0,
    "log_gamma": 3.0,
    "noise_std": 10.0,
}
