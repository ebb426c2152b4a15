"""Left and right exchanged."""

from brainage.scans.nifti import Scan
from brainage.stress.head import Head
from brainage.stress.perturbation import Perturbation


def perturbations() -> list[Perturbation]:
    """The mirror image."""
    return [Perturbation(name="mirror", level="left and right", change=mirror)]


def mirror(head: Head) -> Scan:
    """The anatomy mirrored on its voxels, as when a header's orientation is wrong."""
    return head.with_data(head.scan.data_XYZ[::-1])
