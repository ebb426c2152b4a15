"""The folder of derivatives as a BIDS data set, held by one process at a time."""

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from brainage import __version__
from brainage.derivatives.files import TEMPORARY_PREFIX, write_bytes
from brainage.errors import RunFolderError

logger = logging.getLogger(__name__)

BIDS_VERSION = "1.10.0"
DESCRIPTION = "dataset_description.json"
SOURCE_LINK = "source"
TABLE = "qc.csv"
PAGE = "qc.html"

# What BIDS has no names for yet.
_IGNORED = ("qc", PAGE, TABLE, "*_xfm.txt", ".lock", f"{TEMPORARY_PREFIX}*")

_README = """\
T1-weighted scans, preprocessed by brainage {version}.

sub-*/**/*_desc-preproc_T1w.nii.gz    the brain in template space, intensities normalised, 0 outside
sub-*/**/*_desc-preproc_T1w.json      settings, versions, hashes, seconds and quality of that scan
sub-*/**/*_desc-brain_mask.nii.gz     the brain mask in template space
sub-*/**/*_from-T1w_to-*_xfm.txt      the affine transform (ITK text; antsApplyTransforms -t)
qc.csv, qc.html, qc/                  every input scan of the last run with its quality figures

The space is MNI152NLin2009aSym: ICBM 152 nonlinear 2009a symmetric, as shipped inside nilearn.
"""


@contextmanager
def derivatives_folder(out: Path, source: Path) -> Iterator[None]:
    """Hold the folder, with the files that make it a BIDS data set in place.

    Another run on the same folder waits until this one is finished, and then finds its work done.

    Args:
        out: the folder; created when it does not exist.
        source: folder that the scans' BIDS URIs start from.

    Raises:
        RunFolderError: if it cannot be written, or is a data set of something else.
    """
    _refuse_foreign(out)
    try:
        (out / "qc").mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("a")
    except OSError as error:
        raise RunFolderError(f"{out}: cannot write: {error.strerror}") from error
    with lock:
        _wait_for(lock, out)
        for left_over in out.glob(f"{TEMPORARY_PREFIX}*"):
            shutil.rmtree(left_over, ignore_errors=True)
        _describe(out, source)
        yield


def source_uri(scan: Path, source: Path) -> str:
    """BIDS URI of a scan, relative to the folder that `derivatives_folder` links to."""
    return f"bids:{SOURCE_LINK}:{Path(os.path.relpath(scan, source)).as_posix()}"


def _refuse_foreign(out: Path) -> None:
    """Leave data sets alone that this program did not make."""
    path = out / DESCRIPTION
    if not path.exists():
        if (out / "participants.tsv").exists() or any(out.glob("sub-*")):
            raise RunFolderError(
                f"{out}: holds subjects but no {DESCRIPTION}; give --out a folder of its own"
            )
        return
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        makers = [maker.get("Name") for maker in content.get("GeneratedBy", [])]
    except (OSError, ValueError, AttributeError):
        makers = []
    if "brainage" not in makers:
        raise RunFolderError(
            f"{out}: is a data set that brainage did not make; give --out a folder of its own"
        )


def _describe(out: Path, source: Path) -> None:
    link = Path(os.path.relpath(source, out)).as_posix()
    description: dict[str, Any] = {
        "Name": "T1w scans preprocessed by brainage",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": "brainage",
                "Version": __version__,
                "Description": "brain extraction, bias field, affine registration, intensities",
            }
        ],
        "SourceDatasets": [{"URL": link}],
        "DatasetLinks": {SOURCE_LINK: link},
    }
    write_bytes(out / DESCRIPTION, (json.dumps(description, indent=2) + "\n").encode())
    write_bytes(out / "README", _README.format(version=__version__).encode())
    write_bytes(out / ".bidsignore", "".join(f"{line}\n" for line in _IGNORED).encode())


def _wait_for(lock: IO[str], out: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.info("%s: another run is writing there; waiting for it to finish", out)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        # Some network file systems know no locks. Single files are still whole or absent.
        logger.warning("%s: cannot be locked (%s); start one run at a time", out, error.strerror)
