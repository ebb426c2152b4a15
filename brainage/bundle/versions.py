"""Versions of the packages that decide a prediction: noted with a model, compared when it loads."""

import importlib.metadata
from collections.abc import Mapping
from typing import Any, NamedTuple

from brainage import __version__

RECORDED_PACKAGES = ("torch", "monai", "antspyx", "deepbet", "simpleitk", "nilearn", "numpy")


def recorded_versions() -> dict[str, str]:
    """Versions of this package and of those that decide a prediction."""
    versions = {"brainage": __version__}
    for package in RECORDED_PACKAGES:
        versions[package] = importlib.metadata.version(package)
    return versions


class VersionDifference(NamedTuple):
    """A package that is not the one a model was made with; ``here`` is None without it."""

    package: str
    then: str
    here: str | None


def version_differences(recorded: Mapping[str, Any]) -> list[VersionDifference]:
    """Packages whose version here is another than the noted one, in the order they were noted.

    What follows a plus sign tells how a package was built, for which accelerator: no difference.

    Args:
        recorded: versions by package; this package is among those that are known.
    """
    pairs = [VersionDifference(name, str(then), _here(name)) for name, then in recorded.items()]
    return [each for each in pairs if each.here is None or _public(each.then) != _public(each.here)]


def differing_versions(recorded: Mapping[str, Any]) -> list[str]:
    """Packages that decide a prediction and are not the model's, as "numpy 1.26.4 (here 2.0.1)".

    Args:
        recorded: ``versions`` of ``model.yaml``.
    """
    deciding = {package: recorded.get(package) for package in RECORDED_PACKAGES}
    return [
        f"{package} {then} (here {here or 'not installed'})"
        for package, then, here in version_differences(deciding)
    ]


def _here(package: str) -> str | None:
    if package == "brainage":
        return __version__
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _public(version: str) -> str:
    return version.partition("+")[0]
