"""From one scan to its files on disk: what every process of a batch does with each scan."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from brainage.derivatives.files import nifti_bytes, write_together
from brainage.derivatives.names import DerivativeName
from brainage.derivatives.sidecar import identity, image_sidecar, mask_sidecar
from brainage.derivatives.transform import itk_transform_text
from brainage.errors import BrainageError, RunFolderError, ScanError
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.pipeline import Preprocessor
from brainage.preprocess.quality import measure_quality
from brainage.preprocess.worker import PreprocessOutcome, preprocess_one
from brainage.reporting.qc_picture import contact_picture
from brainage.scans.nifti import read_scan

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScanPlan:
    """What becomes of one scan: the names of its files and what its sidecar calls it."""

    name: DerivativeName
    source_uri: str


@dataclass(frozen=True)
class MakeDerivatives:
    """Preprocess a scan and write its derivatives; a `ScanTask` that other processes can run.

    Args:
        out: folder of derivatives.
        plans: by the scan's path.
    """

    out: Path
    plans: Mapping[Path, ScanPlan]

    def only(self, path: Path) -> "MakeDerivatives":
        """The same for one scan, which is less to send."""
        return MakeDerivatives(self.out, {path: self.plans[path]})

    def __call__(
        self, path: Path, config: PreprocessConfig, cache: PreprocessCache
    ) -> PreprocessOutcome:
        """Make sure that the scan's files are there; never raises because of the scan.

        The outcome's ``quality`` are the scan's figures.

        Raises:
            RunFolderError: the cache or the derivatives cannot be written.
        """
        plan = self.plans[path]
        outcome = preprocess_one(path, config, cache)
        if outcome.status != "ok":
            _withdraw(self.out, plan.name, outcome.key)
            return outcome
        start = time.perf_counter()
        try:
            figures = self._write(plan, path, config, cache, outcome.key)
        except ScanError as error:
            stage, reason = error.stage, error.reason
        except BrainageError:
            raise
        except Exception as error:
            logger.exception("%s: unexpected error", path)
            stage, reason = "unexpected", f"{type(error).__name__}: {error}"
        else:
            seconds = outcome.seconds + time.perf_counter() - start
            return replace(outcome, quality=figures, seconds=seconds)
        _withdraw(self.out, plan.name, outcome.key)
        seconds = outcome.seconds + time.perf_counter() - start
        return PreprocessOutcome.failure(path, outcome.key, stage, reason, seconds)

    def _write(
        self,
        plan: ScanPlan,
        path: Path,
        config: PreprocessConfig,
        cache: PreprocessCache,
        key: str,
    ) -> dict[str, float]:
        """Write the files from what the outcome's own key names, and return the figures."""
        result = cache.load(key)
        scan = read_scan(path)
        if result is None or cache.key(scan.sha256) != key:
            raise ScanError(path, "read", "expected the file to stay as it is, it was changed")
        found = cache.load_findings(scan)
        state = Preprocessor(config).find(scan)[0] if found is None else found[0]
        # Of the scan as it is in its file, whatever the steps made of it.
        state = replace(state, scan=scan)
        figures = measure_quality(state)
        name = plan.name
        contents = {
            name.image: nifti_bytes(result.volume_XYZ, result.affine),
            name.mask: nifti_bytes(result.mask_XYZ.astype(np.uint8), result.affine),
            name.transform: itk_transform_text(result.scan_to_template).encode(),
            name.picture: contact_picture(state),
            name.mask_sidecar: _json(mask_sidecar(config, plan.source_uri)),
        }
        sidecar = image_sidecar(
            result,
            config,
            key=key,
            input_sha256=scan.sha256,
            source_uri=plan.source_uri,
            figures=figures,
            output_bytes={path.as_posix(): len(content) for path, content in contents.items()},
        )
        write_together(self.out, {**contents, name.image_sidecar: _json(sidecar)})
        return figures


def finished_sidecar(out: Path, plan: ScanPlan, key: str) -> dict[str, Any] | None:
    """The sidecar of derivatives that are complete and of this very scan and settings, or None.

    Args:
        out: folder of derivatives.
        plan: of the scan.
        key: of the preprocessing cache.
    """
    try:
        content: dict[str, Any] = json.loads((out / plan.name.image_sidecar).read_bytes())
        same = all(content[name] == value for name, value in identity(key).items())
        whole = all(
            (out / name).stat().st_size == size for name, size in content["OutputBytes"].items()
        )
        if not same or not whole or content["Sources"] != [plan.source_uri]:
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return content


def _withdraw(out: Path, name: DerivativeName, key: str) -> None:
    """Take away what earlier bytes or settings of a scan gave that now fails.

    Files that stayed would pass for its result. A scan whose bytes could not be read (then there
    is no key) has not been found to be another one: what is there stays.
    """
    if not key:
        return
    files = (name.image_sidecar, name.mask_sidecar, name.image, name.mask, name.transform,
             name.picture)  # fmt: skip
    try:
        for path in files:
            (out / path).unlink(missing_ok=True)
    except OSError as error:
        raise RunFolderError(f"{out}: cannot write: {error.strerror}") from error


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()
