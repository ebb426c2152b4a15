"""What the JSON sidecars say: everything that led from the scan to the files, and their quality."""

import importlib.metadata
from collections.abc import Mapping
from functools import cache
from typing import Any

from brainage import __version__
from brainage.config.validation import to_plain
from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.pipeline import (
    PREPROCESSING_VERSION,
    PreprocessedScan,
    preprocessing_hash,
)
from brainage.preprocess.quality import QUALITY_VERSION
from brainage.preprocess.quality_limits import load_quality_limits, quality_flags
from brainage.preprocess.template import TEMPLATE_NAME, load_template

# Raise it with every change of what is written: older files are then written again.
DERIVATIVES_VERSION = 2

# The release of the template that nilearn carries. MNI's page of ICBM 152 (2009) offers six.
SPATIAL_REFERENCE = (
    "https://www.bic.mni.mcgill.ca/~vfonov/icbm/2009/mni_icbm152_nlin_sym_09a_nifti.zip"
)
PACKAGES = ("antspyx", "deepbet", "nibabel", "nilearn", "numpy", "scipy", "SimpleITK", "torch")


def identity(key: str) -> dict[str, Any]:
    """What decides the content of a scan's derivatives; equal identities are equal files.

    Args:
        key: of the preprocessing cache: the scan's bytes, all settings, code and template.
    """
    return {
        "PreprocessingKey": key,
        "DerivativesVersion": DERIVATIVES_VERSION,
        "QualityVersion": QUALITY_VERSION,
        "QualityLimits": load_quality_limits().identity,
    }


def image_sidecar(
    result: PreprocessedScan,
    config: PreprocessConfig,
    *,
    key: str,
    input_sha256: str,
    source_uri: str,
    figures: Mapping[str, float],
    output_bytes: Mapping[str, int],
) -> dict[str, Any]:
    """The sidecar of the preprocessed volume.

    Args:
        result: the volume and what was found on the way.
        config: all settings, which are written out with their defaults.
        key: of the preprocessing cache.
        input_sha256: of the scan file's bytes.
        source_uri: BIDS URI of the scan.
        figures: of `measure_quality`.
        output_bytes: size of every file that the sidecar vouches for, by its name.
    """
    return {
        "Description": "Brain of a T1w scan, bias field corrected, in template space, normalised",
        "SkullStripped": True,
        **_common(config, source_uri),
        "InputSHA256": input_sha256,
        **identity(key),
        "PreprocessingHash": preprocessing_hash(config),
        "PreprocessingVersion": PREPROCESSING_VERSION,
        "Settings": to_plain(config),
        "BrainMaskSource": result.brain_source,
        "TemplateName": TEMPLATE_NAME,
        "TemplateSHA256": load_template().sha256,
        "ScanToTemplate": result.scan_to_template.tolist(),
        "SecondsPerStep": {name: round(value, 4) for name, value in result.seconds.items()},
        "PackageVersions": package_versions(),
        "QualityControl": dict(figures),
        "QualityFlags": list(quality_flags(figures)),
        "OutputBytes": dict(output_bytes),
    }


def mask_sidecar(config: PreprocessConfig, source_uri: str) -> dict[str, Any]:
    """The sidecar of the brain mask."""
    return {
        "Description": "Brain mask of the T1w scan in template space",
        "Type": "Brain",
        **_common(config, source_uri),
    }


@cache
def package_versions() -> dict[str, str]:
    """This package and what computes for it; packages that are not installed are left out."""
    versions = {"brainage": __version__}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _common(config: PreprocessConfig, source_uri: str) -> dict[str, Any]:
    spacing = config.grid.spacing_mm
    return {
        "Resolution": f"{spacing:g} x {spacing:g} x {spacing:g} mm",
        "SpatialReference": SPATIAL_REFERENCE,
        "Sources": [source_uri],
    }
