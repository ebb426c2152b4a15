"""From a raw scan to the tensor a network sees: the same five steps in training and prediction.

The first three steps find things out about the scan (where the brain is, how its intensities
drift, where the template lies); the last two apply the findings in one go. The findings depend on
fewer settings than the result, so another grid spacing needs none of the slow steps again.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from brainage.preprocess.bias_field import EstimateBiasField
from brainage.preprocess.brain_extraction import ExtractBrain
from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.grid import ResampleToGrid
from brainage.preprocess.intensity import NormaliseIntensity
from brainage.preprocess.registration import RegisterToTemplate
from brainage.preprocess.state import Image, Mask, Matrix, ScanState, Step
from brainage.preprocess.template import load_template
from brainage.scans.nifti import Scan

# Raise it with every change of the code that changes a result: it is part of every key and of
# every model bundle.
PREPROCESSING_VERSION = 1


@dataclass(frozen=True)
class PreprocessedScan:
    """A scan on the target grid.

    ``volume_XYZ`` is 0 outside ``mask_XYZ``; ``affine`` (4, 4) maps its voxels to MNI
    millimetres, ``scan_to_template`` (4, 4) scan millimetres to MNI millimetres. ``seconds`` has
    one entry per step that was run for this result.
    """

    volume_XYZ: Image
    mask_XYZ: Mask
    affine: Matrix
    scan_to_template: Matrix
    quality: dict[str, float]
    seconds: dict[str, float]
    brain_source: str


class Preprocessor:
    """The configured steps. Holds no state between scans."""

    def __init__(self, config: PreprocessConfig) -> None:
        self.config = config
        self.finding_steps: tuple[Step, ...] = (
            ExtractBrain(config.brain_extraction),
            EstimateBiasField(config.bias_field),
            RegisterToTemplate(config.registration),
        )
        self.applying_steps: tuple[Step, ...] = (
            ResampleToGrid(config.grid),
            NormaliseIntensity(config.intensity),
        )

    def __call__(self, scan: Scan) -> PreprocessedScan:
        """Take one scan through all steps.

        Raises:
            ScanError: with the name of the step that failed as its stage.
        """
        return self.apply(*self.find(scan))

    def find(self, scan: Scan) -> tuple[ScanState, dict[str, float]]:
        """Brain, bias field and registration of a scan, and the seconds each step took."""
        return _run(self.finding_steps, ScanState(scan))

    def apply(self, found: ScanState, seconds: dict[str, float]) -> PreprocessedScan:
        """Turn what `find` found into the result on the target grid."""
        state, more_seconds = _run(self.applying_steps, found)
        assert state.volume is not None
        assert state.scan_to_template is not None
        assert state.brain is not None
        return PreprocessedScan(
            volume_XYZ=state.volume.data_XYZ,
            mask_XYZ=state.volume.mask_XYZ,
            affine=state.volume.affine,
            scan_to_template=state.scan_to_template,
            quality=dict(state.quality),
            seconds={**seconds, **more_seconds},
            brain_source=state.brain.source,
        )


def preprocessing_hash(config: PreprocessConfig) -> str:
    """Names everything besides the scan that decides the tensor: 16 hexadecimal digits.

    Settings, version of this code and the template's content. Two machines with equal hashes make
    the same tensor of a scan up to rounding in the libraries; one machine makes it bit for bit.
    """
    return _hash({"config": asdict(config)})


def findings_hash(config: PreprocessConfig) -> str:
    """Like `preprocessing_hash`, for the steps whose results do not depend on the target grid."""
    parts = asdict(config)
    names = ("brain_extraction", "bias_field", "registration")
    return _hash({"findings": {name: parts[name] for name in names}})


def _hash(settings: dict[str, object]) -> str:
    content = {
        **settings,
        "version": PREPROCESSING_VERSION,
        "template_sha256": load_template().sha256,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _run(steps: Sequence[Step], state: ScanState) -> tuple[ScanState, dict[str, float]]:
    seconds: dict[str, float] = {}
    for step in steps:
        start = time.perf_counter()
        state = step(state)
        seconds[step.name] = time.perf_counter() - start
    return state, seconds
