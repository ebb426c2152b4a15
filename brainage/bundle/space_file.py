"""Where a model's training scans lie, as a file: safetensors, no pickle."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from brainage.bundle.training_space import MemberSpace, TrainingSpace
from brainage.errors import BundleError


def write_space(path: Path, names: Sequence[str], space: TrainingSpace) -> None:
    """Write the space of every network under the network's name, in single precision.

    Args:
        path: of the file.
        names: of the networks, in the order of the space.
        space: its limit is not written; it stands in ``calibration.json``.
    """
    tensors = {}
    for name, member in zip(names, space.members, strict=True):
        tensors[f"{name}/mean"] = np.ascontiguousarray(member.mean_F, dtype=np.float32)
        tensors[f"{name}/precision"] = np.ascontiguousarray(member.precision_FF, dtype=np.float32)
    save_file(tensors, path)


def read_space(path: Path, names: Sequence[str], most: float) -> TrainingSpace:
    """Read what ``write_space`` wrote.

    Args:
        path: of the file.
        names: of the networks, in order.
        most: the limit of the distance.

    Raises:
        BundleError: if it is damaged, or of other networks.
    """
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path}: damaged: {error}") from error
    expected = {f"{name}/{part}" for name in names for part in ("mean", "precision")}
    if set(tensors) != expected:
        differing = sorted(expected ^ set(tensors))
        raise BundleError(f"{path}: not of this model's networks: {differing[0]} does not fit")
    members = []
    for name in names:
        mean_F, precision_FF = tensors[f"{name}/mean"], tensors[f"{name}/precision"]
        if mean_F.ndim != 1 or precision_FF.shape != (*mean_F.shape, *mean_F.shape):
            raise BundleError(
                f"{path}: damaged: {name}: expected F means and F x F precisions, got shapes "
                f"{mean_F.shape} and {precision_FF.shape}"
            )
        if not (np.isfinite(mean_F).all() and np.isfinite(precision_FF).all()):
            raise BundleError(f"{path}: damaged: {name}: holds numbers that are not finite")
        members.append(MemberSpace(mean_F.astype(np.float64), precision_FF.astype(np.float64)))
    return TrainingSpace(tuple(members), most)
