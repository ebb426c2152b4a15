"""``brainage preprocess``: raw scans to BIDS derivatives, a quality table and a page to look at."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from brainage.derivatives.dataset import derivatives_folder, source_uri
from brainage.derivatives.names import derivative_names
from brainage.derivatives.task import MakeDerivatives, ScanPlan
from brainage.errors import RunFolderError
from brainage.preprocess.batch import preprocess_scans
from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import PreprocessConfig
from brainage.scans.bids import is_bids_root
from brainage.scans.manifest import ScanRecord
from brainage.scans.source import find_scans
from brainage.tracking.progress import StageProgress
from brainage.workflows.preprocess.outcome import PreprocessRun, PreprocessSummary


def preprocess(
    source: Path,
    *,
    out: Path,
    config: PreprocessConfig,
    cache_folder: Path,
    root: Path | None = None,
    jobs: int = 1,
    dask: str | None = None,
    subject_from: str = "hash",
) -> PreprocessSummary:
    """Preprocess every scan of ``source`` and write its derivatives.

    Args:
        source: a scan, a folder, a BIDS root or a manifest.
        out: folder of the derivatives.
        config: the settings.
        cache_folder: finished work, shared with training.
        root: folder that a manifest's column ``scan`` starts from.
        jobs: scans at the same time, each in its own process.
        dask: address of a scheduler whose workers do the scans instead.
        subject_from: how DICOM subjects are named, see `find_scans`.

    Raises:
        BrainageError: if source, folders or cluster cannot be used. A bad scan costs its row only.
    """
    records = find_scans(source, root, subject_from=subject_from).records
    _refuse_output_among_inputs(out, source)
    base = _common_folder(records, source)
    names = derivative_names(records, config)
    plans = {
        record.scan: ScanPlan(name, source_uri(record.scan, base))
        for record, name in zip(records, names, strict=True)
    }
    with derivatives_folder(out, base):
        run = PreprocessRun(records, plans, out, config)
        cache = PreprocessCache(cache_folder, config)
        task = MakeDerivatives(out.absolute(), plans)
        try:
            with StageProgress("preprocessing", len(records), "scan") as progress:
                todo = run.skip_finished(cache, progress.advance)
                finish = partial(run.finish, progress.advance)
                folder = cache_folder.absolute()
                if dask is None:
                    preprocess_scans(todo, config, folder, jobs=jobs, on_outcome=finish, task=task)
                else:
                    # Deferred: an optional package.
                    from brainage.workflows.preprocess.dask_cluster import (  # noqa: PLC0415
                        preprocess_on_dask,
                    )

                    preprocess_on_dask(
                        todo, config, folder, on_outcome=finish, task=task, address=dask
                    )
        finally:
            # Also when interrupted: what is done is told, and what is not.
            run.write_tables()
    return run.summary()


def _common_folder(records: Sequence[ScanRecord], source: Path) -> Path:
    """The folder that the scans are named from: the source's own where that holds them all."""
    folder = (source if source.is_dir() else source.parent).absolute()
    if all(record.scan.is_relative_to(folder) for record in records):
        return folder
    return Path(os.path.commonpath([record.scan.parent for record in records]))


def _refuse_output_among_inputs(out: Path, source: Path) -> None:
    """What is written must not be found as a scan by the next run."""
    inside = Path(os.path.realpath(out)).is_relative_to(os.path.realpath(source))
    same = os.path.realpath(out) == os.path.realpath(source)
    if source.is_dir() and (same or (inside and not is_bids_root(source))):
        raise RunFolderError(
            f"{out}: lies in {source}, where the next run would take it for scans; "
            "give --out another folder"
        )
