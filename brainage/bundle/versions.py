"""Versions of the packages that decide a prediction: noted with a model, compared when it loads."""

import importlib.metadata
from collections.abc import Mapping
from typing import Any

from brainage import __version__

RECORDED_PACKAGES = ("torch", "monai", "antspyx", "deepbet", "simpleitk", "nilearn", "numpy")


def recorded_versions() -> dict[str, str]:
    """Versions of this package and of those that decide a prediction."""
    versions = {"brainage": __version__}
    for package in RECORDED_PACKAGES:
        versions[package] = importlib.metadata.version(package)
    return versions


def differing_versions(recorded: Mapping[str, Any]) -> list[str]:
    """Packages that are not those of the model, as "numpy 1.26.4 (here 2.0.1)".

    What follows a plus sign tells how a package was built, for which accelerator: no difference.

    Args:
        recorded: ``versions`` of ``model.yaml``.
    """
    found = []
    for package in RECORDED_PACKAGES:
        then, now = str(recorded.get(package)), importlib.metadata.version(package)
        if then.partition("+")[0] != now.partition("+")[0]:
            found.append(f"{package} {then} (here {now})")
    return found
