"""Run the two networks of the deepbet package: one finds the brain's box, one its voxels.

Only the package's weights are used (TorchScript, inside its wheel); its own code needs a
graphical toolkit and sums that depend on the number of threads. What is around the networks is
numpy here, and their decisions do not change with the number of threads (a test holds this), so a
mask is the same however many processes share the machine.

Source: Fisch et al. 2024, Computers in Biology and Medicine 179:108845; deepbet is MIT licensed.
"""

import warnings
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from brainage.errors import MissingPackage
from brainage.preprocess.deepbet_network import DeepbetNetwork, Indices
from brainage.preprocess.state import Image, Mask

_COARSE_SHAPE = (128, 128, 128)
_FINE_SHAPE = (256, 256, 256)
_BOX_MARGIN = 0.1
# A slice belongs to the box when this share of it is brain.
_BOX_SLICE_FRACTION = 0.02
# Intensity range and statistics that the networks were trained with.
_LOW_QUANTILE, _HIGH_QUANTILE = 0.005, 0.995
_MEAN, _STD = 0.449, 0.226


def deepbet_mask(data_XYZ: Image) -> Mask | None:
    """Brain mask of a whole-head T1w volume in RAS+ order, or None when no brain is found.

    Takes about 4 s of one core whatever the scan's size; 1.2 GB of memory at the peak.
    """
    coarse_XYZ = data_XYZ[np.ix_(*_nearest(data_XYZ.shape, _COARSE_SHAPE))]
    low, high = np.quantile(coarse_XYZ, [_LOW_QUANTILE, _HIGH_QUANTILE]).tolist()
    if not high > low:
        return None
    everywhere = [np.arange(size) for size in _COARSE_SHAPE]
    found_XYZ = _largest_part(_run("bbox_model.pt", _normalised(coarse_XYZ, low, high), everywhere))
    box = None if found_XYZ is None else _box(found_XYZ, data_XYZ.shape)
    if box is None:
        return None
    inside_XYZ = data_XYZ[box]
    fine_XYZ = inside_XYZ[np.ix_(*_nearest(inside_XYZ.shape, _FINE_SHAPE))]
    voxels = _nearest(_FINE_SHAPE, inside_XYZ.shape)
    brain_XYZ = _largest_part(_run("model.pt", _normalised(fine_XYZ, low, high), voxels))
    if brain_XYZ is None:
        return None
    mask_XYZ = np.zeros(data_XYZ.shape, dtype=bool)
    mask_XYZ[box] = ndimage.binary_fill_holes(brain_XYZ)
    return mask_XYZ


def deepbet_weights() -> tuple[Path, Path]:
    """The files of the coarse and the fine network inside the installed package.

    Raises:
        MissingPackage: deepbet is not installed.
    """
    try:
        package = distribution("deepbet")
    except PackageNotFoundError as error:
        raise MissingPackage("deepbet", "brain extraction", None) from error
    coarse, fine = (
        Path(str(package.locate_file(f"data/models/{name}")))
        for name in ("bbox_model.pt", "model.pt")
    )
    return coarse, fine


@cache
def _network(name: str) -> DeepbetNetwork:
    """One of the networks, loaded once per process."""
    (path,) = (weights for weights in deepbet_weights() if weights.name == name)
    with warnings.catch_warnings():
        # TorchScript is what the wheel carries; torch < 2.14 still reads it and says it is old.
        warnings.filterwarnings("ignore", r"`torch\.jit\.load` is deprecated", DeprecationWarning)
        script: torch.nn.Module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    network = DeepbetNetwork()
    network.load_state_dict(script.state_dict())
    network.eval()
    for weight in network.parameters():
        if weight.ndim == 5:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last_3d)
    return network


def _run(name: str, image_XYZ: Image, voxels: Indices) -> Mask:
    """Where the network's probability of brain exceeds one half, at these voxels of the image."""
    network = _network(name)
    with torch.inference_mode():
        features_CXYZ = network(torch.from_numpy(image_XYZ)[None, None])
        return np.asarray(network.is_brain(features_CXYZ, voxels).numpy(), dtype=bool)


def _nearest(old_shape: tuple[int, ...], new_shape: tuple[int, ...]) -> Indices:
    """For each axis, the nearest old index of each voxel of a new grid over the same box."""
    return [
        np.minimum(((np.arange(new) + 0.5) * (old / new)).astype(np.intp), old - 1)
        for old, new in zip(old_shape, new_shape, strict=True)
    ]


def _normalised(image_XYZ: Image, low: float, high: float) -> Image:
    """Clip to the range, then give the image the mean and spread of the training data."""
    scaled = np.clip((image_XYZ - np.float32(low)) / np.float32(high - low), 0, 1)
    mean, std = scaled.mean(dtype=np.float64), scaled.std(dtype=np.float64, ddof=1)
    scale = np.float32(_STD / max(std, 1e-6))
    return np.asarray((scaled - np.float32(mean)) * scale + np.float32(_MEAN), dtype=np.float32)


def _largest_part(mask_XYZ: Mask) -> Mask | None:
    """The largest connected part, or None of an empty mask."""
    labels, num_parts = ndimage.label(mask_XYZ, structure=np.ones((3, 3, 3)))
    if num_parts == 0:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax(), dtype=bool)


def _box(found_XYZ: Mask, shape_XYZ: tuple[int, ...]) -> tuple[slice, ...] | None:
    """The box of the coarse mask on the scan's grid, with a margin; None if it has no extent."""
    box = []
    for axis, size in enumerate(shape_XYZ):
        others = tuple(other for other in range(3) if other != axis)
        hits = np.flatnonzero(found_XYZ.mean(axis=others) > _BOX_SLICE_FRACTION)
        if hits.size == 0:
            return None
        scale = size / found_XYZ.shape[axis]
        centre = round(scale * (hits[-1] + 1 + hits[0]) / 2)
        extent = round((1 + 2 * _BOX_MARGIN) * scale * (hits[-1] + 1 - hits[0]))
        box.append(slice(max(0, int(centre - extent / 2)), min(size, int(centre + extent / 2))))
    return tuple(box)
