"""Brain extraction by programs that are not ours, where they are installed.

Each gets the scan as a NIfTI file in a folder of its own and leaves a mask there, so a run that
fails can never find the mask of another scan. They may use all cores, and may load weights from the
network at their first run.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np

from brainage.errors import MissingPackage, ScanError
from brainage.preprocess.state import Mask
from brainage.scans.nifti import Scan

TIMEOUT_SECONDS = 1800

PROGRAM_NAMES: Mapping[str, tuple[str, ...]] = {
    "hd-bet": ("hd-bet",),
    "synthstrip": ("mri_synthstrip", "nipreps-synthstrip"),
}
"""Method -> the programs that do it, the first of which is taken; no model names another."""


def hd_bet_mask(scan: Scan) -> Mask:
    """Mask of HD-BET 2 on the processor, without its eightfold mirroring.

    Source: Isensee et al. 2019, Human Brain Mapping 40:4952.
    """
    program = _program("hd-bet", package="hd-bet")
    options = ["-device", "cpu", "--disable_tta", "--save_bet_mask", "--no_bet_image"]
    return _run(
        scan,
        lambda source, folder: [program, "-i", source, "-o", f"{folder}/brain.nii.gz", *options],
        "brain_bet.nii.gz",
    )


def synthstrip_mask(scan: Scan) -> Mask:
    """Mask of SynthStrip: FreeSurfer's program, or the one of NiPreps.

    Source: Hoopes et al. 2022, NeuroImage 260:119474.
    """
    program = _program("synthstrip", package="nipreps-synthstrip")
    return _run(
        scan,
        lambda source, folder: [
            *(program, "-i", source),
            *("-o", f"{folder}/brain.nii.gz", "-m", f"{folder}/mask.nii.gz"),
        ],
        "mask.nii.gz",
    )


PROGRAMS: Mapping[str, Callable[[Scan], Mask]] = {
    "hd-bet": hd_bet_mask,
    "synthstrip": synthstrip_mask,
}


def find_program(names: Sequence[str]) -> str | None:
    """The first of these programs, on PATH or beside this Python."""
    beside = str(Path(sys.executable).parent)
    found = (shutil.which(name) or shutil.which(name, path=beside) for name in names)
    return next(filter(None, found), None)


def _program(method: str, *, package: str) -> str:
    """The program of a method.

    Raises:
        MissingPackage: it is not there.
    """
    found = find_program(PROGRAM_NAMES[method])
    if found is None:
        raise MissingPackage(package, f"brain extraction by {method}", method)
    return found


def _run(scan: Scan, command: Callable[[str, str], list[str]], mask_name: str) -> Mask:
    """Write the scan, run the command, read the mask."""
    stage = "brain_extraction"
    with TemporaryDirectory(prefix="brainage-") as folder:
        source = Path(folder) / "scan.nii.gz"
        nib.Nifti1Image(scan.data_XYZ, scan.affine).to_filename(source)
        words = command(str(source), folder)
        name = Path(words[0]).name
        try:
            done = subprocess.run(  # noqa: S603 - the program the user configured
                words, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ScanError(scan.source, stage, f"{name} did not finish: {error}") from error
        path = Path(folder) / mask_name
        if done.returncode != 0 or not path.is_file():
            said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            reason = f"{name} gave no mask (exit code {done.returncode}): {said[-1]}"
            raise ScanError(scan.source, stage, reason)
        mask = nib.Nifti1Image.from_filename(path).get_fdata(dtype=np.float32)
    if mask.shape != scan.data_XYZ.shape:
        reason = f"expected a mask of {scan.data_XYZ.shape} voxels from {name}, got {mask.shape}"
        raise ScanError(scan.source, stage, reason)
    return np.asarray(mask > 0)
