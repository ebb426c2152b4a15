"""The architecture of deepbet's two networks, arranged so that little is computed twice or in vain.

The wheel carries TorchScript, whose last layer makes two probabilities of 16.8 million voxels and
whose first normalises 33 million values of which pooling keeps an eighth. This module takes the
weights out of it and gives the same decisions for less than half of the time:

* pooling comes before normalisation and ReLU, which are increasing and so commute with a maximum;
* probability of brain above one half is the sign of a difference of logits, and the last layer (a
  2x2x2 kernel at stride 2, so each voxel depends on one feature vector) is evaluated at the voxels
  that are asked for.

Source: LinkNet (Chaurasia and Culurciello 2017, VCIP) in three dimensions; weights and layer sizes
of Fisch et al. 2024, Computers in Biology and Medicine 179:108845.
"""

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

_WIDTHS = (16, 16, 32, 64, 128)
_EPSILON = 1e-5

Indices = Sequence[npt.NDArray[np.intp]]


class DeepbetNetwork(nn.Module):
    """From a cube of normalised intensities to brain or not at chosen voxels."""

    def __init__(self) -> None:
        super().__init__()
        self.init = nn.ModuleList([nn.Conv3d(1, 16, 7, 2, 3, bias=False)])
        for level, (narrow, wide) in enumerate(pairwise(_WIDTHS)):
            stride = 1 if level == 0 else 2
            setattr(self, f"down{level}", _Down(narrow, wide, stride))
            setattr(self, f"up{3 - level}", _Up(wide, narrow, stride))
        self.tp_conv1 = nn.ModuleList([nn.ConvTranspose3d(16, 8, 3, 2, 1, output_padding=1)])
        self.conv = nn.ModuleList([nn.Conv3d(8, 8, 3, 1, 1)])
        self.tp_conv2 = nn.ConvTranspose3d(8, 2, 2, 2)

    def forward(self, image_BCXYZ: Tensor) -> Tensor:
        """Features before the last layer: (8, X/2, Y/2, Z/2) for an image (1, 1, X, Y, Z)."""
        stem = self.init[0](image_BCXYZ)
        features = [_max_pool(_norm(stem)).relu_()]
        del stem
        for level in range(4):
            features.append(getattr(self, f"down{level}")(features[-1]))
        upward = features.pop()
        for level in range(4):
            upward = getattr(self, f"up{level}")(upward).add_(features.pop())
        upward = _norm_relu(self.tp_conv1[0](upward))
        return _norm_relu(self.conv[0](upward))[0]

    def is_brain(self, features_CXYZ: Tensor, voxels: Indices) -> Tensor:
        """Whether probability exceeds one half at the product grid of voxel indices.

        Args:
            features_CXYZ: what `forward` gives.
            voxels: for each axis, indices into the grid of the input image.
        Returns:
            Booleans, one axis for each of ``voxels``.
        """
        weight, bias = self.tp_conv2.weight, self.tp_conv2.bias
        assert bias is not None
        weight_CXYZ = weight[:, 1] - weight[:, 0]
        threshold = bias[0] - bias[1]
        features_XYZC = features_CXYZ.permute(1, 2, 3, 0)
        brain_XYZ = torch.zeros([len(axis) for axis in voxels], dtype=torch.bool)
        indices = [torch.from_numpy(axis) for axis in voxels]
        for corner in product((0, 1), repeat=3):
            where = [
                torch.nonzero(axis % 2 == odd)[:, 0]
                for axis, odd in zip(indices, corner, strict=True)
            ]
            i, j, k = (axis[at] // 2 for axis, at in zip(indices, where, strict=True))
            chosen = features_XYZC[i[:, None, None], j[:, None], k]
            # Not a matrix product, whose last bits depend on the number of threads.
            x, y, z = corner
            logit_XYZ = chosen.mul_(weight_CXYZ[:, x, y, z]).sum(dim=-1)
            i, j, k = where
            brain_XYZ[i[:, None, None], j[:, None], k] = logit_XYZ > threshold
        return brain_XYZ


class _Down(nn.Module):
    """Two residual blocks; the first halves the resolution where ``stride`` is 2."""

    def __init__(self, narrow: int, wide: int, stride: int) -> None:
        super().__init__()
        self.block1 = _Block(narrow, wide, stride)
        self.block2 = _Block(wide, wide, 1)

    def forward(self, features: Tensor) -> Tensor:
        wider: Tensor = self.block2(self.block1(features))
        return wider


class _Block(nn.Module):
    """Two convolutions beside the input, or beside a 1x1x1 convolution of it."""

    def __init__(self, narrow: int, wide: int, stride: int) -> None:
        super().__init__()
        self.double_conv = nn.ModuleDict(
            {
                "0": nn.Conv3d(narrow, wide, 3, stride, 1, bias=False),
                "3": nn.Conv3d(wide, wide, 3, 1, 1, bias=False),
            }
        )
        self.downsample = nn.ModuleList(
            [nn.Conv3d(narrow, wide, 1, stride, bias=False)] if stride != 1 else []
        )

    def forward(self, features: Tensor) -> Tensor:
        changed = _norm(self.double_conv["3"](_norm_relu(self.double_conv["0"](features))))
        for layer in self.downsample:
            features = _norm(layer(features))
        return changed.add_(features).relu_()


class _Up(nn.Module):
    """Narrow, enlarge where ``stride`` is 2, widen."""

    def __init__(self, wide: int, narrow: int, stride: int) -> None:
        super().__init__()
        inner = wide // 4
        self.conv1 = nn.ModuleList([nn.Conv3d(wide, inner, 1, bias=False)])
        enlarge = nn.ConvTranspose3d(
            inner, inner, 3, stride, 1, output_padding=stride - 1, bias=False
        )
        self.tp_conv = nn.ModuleList([enlarge])
        self.conv2 = nn.ModuleList([nn.Conv3d(inner, narrow, 1, bias=False)])

    def forward(self, features: Tensor) -> Tensor:
        for layer in (self.conv1[0], self.tp_conv[0], self.conv2[0]):
            features = _norm_relu(layer(features))
        return features


def _norm(x: Tensor) -> Tensor:
    """Instance normalisation in place of a tensor whose channels lie innermost in memory.

    Torch's ``instance_norm`` leaves that layout and takes twice as long; its ``group_norm`` keeps
    it, and is off by up to 0.006 for maps of this size, which moves the outline of the brain.
    """
    x = x.contiguous(memory_format=torch.channels_last_3d)
    num_channels, num_x, num_y, num_z = x.shape[1:]
    num_voxels = num_x * num_y * num_z
    slabs = x.permute(0, 2, 3, 4, 1).view(num_x, num_y, num_z * num_channels)
    mean = slabs.sum(dim=1).view(-1, num_channels).sum(dim=0, dtype=torch.float64) / num_voxels
    slabs.sub_(mean.float().repeat(num_z))
    squares = torch.stack([(slab * slab).sum(dim=0) for slab in slabs])
    variance = squares.view(-1, num_channels).sum(dim=0, dtype=torch.float64) / num_voxels
    return x.mul_(torch.rsqrt(variance + _EPSILON).float().view(1, -1, 1, 1, 1))


def _norm_relu(x: Tensor) -> Tensor:
    return _norm(x).relu_()


def _max_pool(x: Tensor) -> Tensor:
    """Maximum over 3x3x3 at stride 2 with a margin of 1, one axis after the other.

    Equal to ``max_pool3d(x, 3, 2, 1)`` for even sizes, in a fraction of its time on a CPU.
    """
    for axis in (2, 3, 4):
        half = x.shape[axis] // 2
        even, odd = x.view(*x.shape[:axis], half, 2, *x.shape[axis + 1 :]).unbind(axis + 1)
        x = torch.maximum(even, odd)
        later = x.narrow(axis, 1, half - 1)
        torch.maximum(later, odd.narrow(axis, 0, half - 1), out=later)
    return x
