"""From a raw scan to the tensor a network sees: the same steps in training and prediction.

The first steps find things out about the scan (where the brain is, how its intensities drift, where
the template lies); the last two apply the findings in one go. The findings depend on fewer settings
than the result, so another grid spacing needs none of the slow steps again.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from brainage.preprocess.bias_field import EstimateBiasField
from brainage.preprocess.brain_extraction import ExtractBrain
from brainage.preprocess.config import FindingStep, PreprocessConfig
from brainage.preprocess.denoise import Denoise
from brainage.preprocess.grid import ResampleToGrid
from brainage.preprocess.intensity import NormaliseIntensity
from brainage.preprocess.registration import RegisterToTemplate, rough_pose
from brainage.preprocess.state import Image, Mask, Matrix, ScanState, Step
from brainage.preprocess.template import load_template
from brainage.preprocess.upright import turn_degrees
from brainage.scans.nifti import Scan

# Raise it with every change of the code that changes a result: it is part of every key and of
# every model bundle.
PREPROCESSING_VERSION = 3


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
        denoise = Denoise(config.denoise)
        steps: dict[FindingStep, Step] = {
            "denoise": denoise,
            "brain_extraction": ExtractBrain(config.brain_extraction),
            "bias_field": EstimateBiasField(config.bias_field),
            "registration": RegisterToTemplate(config.registration),
        }
        used = [
            name for name in config.order if name != "denoise" or config.denoise.method != "none"
        ]
        self.finding_steps: tuple[Step, ...] = tuple(steps[name] for name in used)
        # Findings from the cache come with the scan as it is in its file.
        again = (denoise,) if denoise in self.finding_steps else ()
        self.applying_steps: tuple[Step, ...] = (
            *again,
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
        """Brain, bias field and registration of a scan, and the seconds each step took.

        A head that lies turned on its voxels is extracted again, upright: the quality number
        ``num_extractions`` says so, ``turn_degrees`` how far the voxels' axes are from upright.
        """
        extraction = [step.name for step in self.finding_steps].index("brain_extraction") + 1
        until, after = self.finding_steps[:extraction], self.finding_steps[extraction:]
        state, seconds = _run(until, ScanState(scan))
        num_extractions = 1
        if self._knows_upright(state):
            start = time.perf_counter()
            pose = rough_pose(state)
            seconds["brain_extraction"] += time.perf_counter() - start
            limit = self.config.brain_extraction.upright_degrees
            if pose is not None and turn_degrees(scan, pose) > limit:
                state, more_seconds = _run(until, ScanState(scan, pose=pose))
                seconds = _added(seconds, more_seconds)
                num_extractions = 2
        state, more_seconds = _run(after, state)
        assert state.scan_to_template is not None
        quality = {
            **state.quality,
            "turn_degrees": turn_degrees(scan, state.scan_to_template),
            "num_extractions": float(num_extractions),
        }
        return replace(state, quality=quality), _added(seconds, more_seconds)

    def _knows_upright(self, state: ScanState) -> bool:
        """Whether the mask is from a network, which the turn of a head matters to."""
        assert state.brain is not None
        return state.brain.source not in {"none", "already stripped", "template"}

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
            seconds=_added(seconds, more_seconds),
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
    names = ("order", "denoise", "brain_extraction", "bias_field", "registration")
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


def _added(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    """Seconds of each step in both."""
    return {name: first.get(name, 0.0) + second.get(name, 0.0) for name in {**first, **second}}
