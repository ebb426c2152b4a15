"""One scan as the networks take it, in memory; the task that worker processes run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from brainage.errors import ScanError
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.contrast import Contrast, measure_contrast
from brainage.preprocess.pipeline import PreprocessedScan
from brainage.preprocess.state import Image, ScanState
from brainage.preprocess.worker import PreprocessOutcome, preprocess_one
from brainage.scans.formats import open_image
from brainage.scans.nifti import Scan, read_scan_bytes

_CONTRAST_STAGES = ("brain_extraction", "registration")
_CONTRAST_HINT = "; scans that are not T1w, or are inverted, also end here: look at its contrast"


@dataclass(frozen=True)
class VolumeOutcome(PreprocessOutcome):
    """An outcome with the volume itself, so that no file stands between a scan and its age."""

    volume_XYZ: Image | None = None
    contrast: Contrast | None = None
    orientation_stated: bool = True


@dataclass(frozen=True)
class MakeVolume:
    """Preprocess a scan and hand its volume back; a `ScanTask` that other processes can run.

    Args:
        keep: whether results are found in the cache folder, and kept there.
    """

    keep: bool

    def __call__(
        self, path: Path, config: PreprocessConfig, cache: PreprocessCache
    ) -> VolumeOutcome:
        """The scan's volume, or why there is none; never raises because of the scan."""
        own = _OneResult(cache.folder, config, keep=self.keep)
        outcome = preprocess_one(path, config, own)
        return _with_volume(outcome, own)


def _with_volume(outcome: PreprocessOutcome, own: "_OneResult") -> VolumeOutcome:
    result, reason = own.result, outcome.reason
    failed = outcome.status != "ok"
    if failed and outcome.stage in _CONTRAST_STAGES:
        reason = f"{reason}{_CONTRAST_HINT}"
    stated = own.orientation_stated
    if stated is None:
        stated = failed or _states_orientation(outcome.scan)
    return VolumeOutcome(
        scan=outcome.scan,
        key=outcome.key,
        status=outcome.status,
        stage=outcome.stage,
        reason=reason,
        cached=outcome.cached,
        seconds=outcome.seconds,
        quality=outcome.quality,
        volume_XYZ=None if failed or result is None else result.volume_XYZ,
        contrast=None if failed or result is None else measure_contrast(result),
        orientation_stated=stated,
    )


class _OneResult(PreprocessCache):
    """Holds on to the result of the one scan that passes through it.

    Args:
        folder: of the cache.
        config: the settings.
        keep: whether the folder is read and written at all.
    """

    def __init__(self, folder: Path, config: PreprocessConfig, *, keep: bool) -> None:
        super().__init__(folder, config)
        self._keep = keep
        self.result: PreprocessedScan | None = None
        self.orientation_stated: bool | None = None

    def load(self, key: str) -> PreprocessedScan | None:
        """The entry, if results are kept and it is there."""
        self.result = super().load(key) if self._keep else None
        return self.result

    def store(self, key: str, result: PreprocessedScan) -> None:
        """Hold the result; write it only if results are kept."""
        self.result = result
        if self._keep:
            super().store(key, result)

    def load_findings(self, scan: Scan) -> tuple[ScanState, dict[str, float]] | None:
        """Findings under any grid, if results are kept and they are there."""
        self.orientation_stated = scan.orientation_stated
        return super().load_findings(scan) if self._keep else None

    def store_findings(self, state: ScanState, seconds: Mapping[str, float]) -> None:
        """Write the findings only if results are kept."""
        if self._keep:
            super().store_findings(state, seconds)


def _states_orientation(path: Path) -> bool:
    """Whether the header of a scan that was found in the cache states its orientation."""
    try:
        return open_image(path, read_scan_bytes(path)[0]).orientation_stated
    except ScanError:  # what is in the cache was read before
        return True
