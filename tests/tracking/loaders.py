"""A model folder's loader, as a package would offer it."""

from collections.abc import Callable, Sequence
from pathlib import Path


def load_constant(folder: Path) -> Callable[[Sequence[Path]], list[float]]:
    """Predicts the number in ``age.txt`` plus the length of the scan's name."""
    age = float((folder / "age.txt").read_text())
    return lambda scans: [age + len(scan.name) for scan in scans]
