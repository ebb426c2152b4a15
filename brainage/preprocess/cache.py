"""Results of preprocessing on disk: one file per key, complete or absent.

A key is made of the scan's bytes and of everything that decides the result, so an entry is never
out of date: a changed setting looks under another name. Files are .npz without pickled objects;
the zip's checksums and the key stored inside tell a damaged file from a good one.
"""

import json
import logging
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
import numpy.typing as npt

from brainage.errors import RunFolderError
from brainage.preprocess.config import PreprocessConfig
from brainage.preprocess.pipeline import PreprocessedScan, findings_hash, preprocessing_hash
from brainage.preprocess.state import BiasField, Brain, ScanState
from brainage.scans.nifti import Scan

logger = logging.getLogger(__name__)

Arrays = Mapping[str, npt.NDArray[Any]]

# What reading a damaged or foreign .npz raises, as found by cutting and flipping bytes.
_DAMAGED = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)


class PreprocessCache:
    """Preprocessed scans of one configuration in a folder that configurations can share.

    Args:
        folder: created when it does not exist.
        config: the settings, hashed once.
    Raises:
        RunFolderError: the folder cannot be created.
    """

    def __init__(self, folder: Path, config: PreprocessConfig) -> None:
        self.folder = folder
        self._result_hash = preprocessing_hash(config)
        self._findings_hash = findings_hash(config)
        for part in (folder, folder / "findings"):
            try:
                part.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RunFolderError(
                    f"{part}: cannot create the preprocessing cache: {error.strerror}"
                ) from error

    def key(self, scan_sha256: str) -> str:
        """Name of the entry for the scan with these bytes under this configuration."""
        return f"{scan_sha256[:32]}-{self._result_hash}"

    def path(self, key: str) -> Path:
        """Where the entry lies, whether or not it exists."""
        return self.folder / f"{key}.npz"

    def load(self, key: str) -> PreprocessedScan | None:
        """The entry, or None when it is absent or damaged (then it is deleted and logged)."""
        found = _read(self.path(key), key)
        if found is None:
            return None
        arrays, facts = found
        shape = arrays["volume_XYZ"].shape
        return PreprocessedScan(
            volume_XYZ=arrays["volume_XYZ"],
            mask_XYZ=_unpacked(arrays["mask_bits"], shape),
            affine=arrays["affine"],
            scan_to_template=arrays["scan_to_template"],
            quality=facts["quality"],
            seconds=facts["seconds"],
            brain_source=facts["brain_source"],
        )

    def store(self, key: str, result: PreprocessedScan) -> None:
        """Write the entry under a temporary name, then move it into place."""
        arrays: Arrays = {
            "volume_XYZ": result.volume_XYZ,
            "mask_bits": np.packbits(result.mask_XYZ),
            "affine": result.affine,
            "scan_to_template": result.scan_to_template,
        }
        facts = {
            "quality": result.quality,
            "seconds": result.seconds,
            "brain_source": result.brain_source,
        }
        _write(self.path(key), key, arrays, facts)

    def load_findings(self, scan: Scan) -> tuple[ScanState, dict[str, float]] | None:
        """What `Preprocessor.find` found in this scan, under any target grid, or None."""
        key = self._findings_key(scan.sha256)
        found = _read(self._findings_path(key), key)
        if found is None:
            return None
        arrays, facts = found
        brain = Brain(
            mask_XYZ=_unpacked(arrays["mask_bits"], facts["box_shape"]),
            start_XYZ=arrays["start_XYZ"],
            source=facts["brain_source"],
        )
        bias = None
        if "log_XYZ" in arrays:
            bias = BiasField(arrays["log_XYZ"], arrays["block_XYZ"], arrays["field_start_XYZ"])
        state = ScanState(
            scan=scan,
            brain=brain,
            bias=bias,
            scan_to_template=arrays["scan_to_template"],
            quality=facts["quality"],
        )
        return state, facts["seconds"]

    def store_findings(self, state: ScanState, seconds: Mapping[str, float]) -> None:
        """Keep what `Preprocessor.find` found, for other target grids."""
        assert state.brain is not None
        assert state.scan_to_template is not None
        arrays: dict[str, npt.NDArray[Any]] = {
            "mask_bits": np.packbits(state.brain.mask_XYZ),
            "start_XYZ": state.brain.start_XYZ,
            "scan_to_template": state.scan_to_template,
        }
        if state.bias is not None:
            arrays |= {
                "log_XYZ": state.bias.log_XYZ,
                "block_XYZ": state.bias.block_XYZ,
                "field_start_XYZ": state.bias.start_XYZ,
            }
        facts = {
            "quality": dict(state.quality),
            "seconds": dict(seconds),
            "brain_source": state.brain.source,
            "box_shape": list(state.brain.mask_XYZ.shape),
        }
        key = self._findings_key(state.scan.sha256)
        _write(self._findings_path(key), key, arrays, facts)

    def _findings_key(self, scan_sha256: str) -> str:
        return f"{scan_sha256[:32]}-{self._findings_hash}"

    def _findings_path(self, key: str) -> Path:
        return self.folder / "findings" / f"{key}.npz"


def _unpacked(bits: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    return np.unpackbits(bits, count=int(np.prod(shape))).astype(bool).reshape(shape)


def _write(path: Path, key: str, arrays: Arrays, facts: Mapping[str, object]) -> None:
    """Atomic: a reader sees the whole file or none, also after a crash of the machine."""
    text = json.dumps({"key": key, **facts}, allow_nan=False)
    encoded = np.frombuffer(text.encode(), dtype=np.uint8)
    try:
        with NamedTemporaryFile(
            dir=path.parent, prefix=".writing-", suffix=".tmp", delete=False
        ) as file:
            try:
                np.savez_compressed(file, allow_pickle=False, facts=encoded, **arrays)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise RunFolderError(f"{path}: cannot write the preprocessing cache: {error}") from error


def _read(path: Path, key: str) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]] | None:
    """All of an entry, or None when it is absent or not what was once written."""
    try:
        # Opened here: given a name, numpy leaves the file of a damaged archive open.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        facts = json.loads(arrays.pop("facts").tobytes())
    except FileNotFoundError:
        return None
    except _DAMAGED as error:
        logger.warning("%s: damaged cache entry, made again (%s)", path, error)
        path.unlink(missing_ok=True)
        return None
    if facts.pop("key", None) != key:
        logger.warning("%s: cache entry belongs to another key, made again", path)
        path.unlink(missing_ok=True)
        return None
    return arrays, facts
