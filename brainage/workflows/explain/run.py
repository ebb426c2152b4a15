"""``brainage explain``: one raw scan to maps, a table by region, a picture and the numbers."""

import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brainage.bundle.demonstration import demonstration_limits
from brainage.bundle.load import load_bundle
from brainage.bundle.model import ModelBundle
from brainage.errors import ManifestError, ScanError
from brainage.explain.blocks import block_answers
from brainage.explain.config import ExplainConfig
from brainage.explain.maps import MapMaker
from brainage.preprocess.pipeline import Preprocessor
from brainage.scans.formats import open_image
from brainage.scans.nifti import parse_scan, read_scan_bytes
from brainage.scans.record import ScanRecord
from brainage.scans.source import find_scans
from brainage.tracking.progress import StageProgress
from brainage.workflows.explain.output import (
    Explained,
    ScanGrid,
    prepare_folder,
    write_explanation,
    write_failure,
)
from brainage.workflows.explain.summary import ExplainSummary
from brainage.workflows.model_source import model_folder

_log = logging.getLogger(__name__)
STRONGEST = 3


@dataclass(frozen=True, kw_only=True)
class Question:
    """Whose age is explained, and how."""

    bundle: ModelBundle
    answer: str
    config: ExplainConfig

    def facts(self, record: ScanRecord) -> dict[str, Any]:
        """What is known before the scan is opened."""
        return {
            "scan": str(record.scan),
            "subject": record.subject,
            "session": record.session,
            "answer": self.answer,
            "model_hash": self.bundle.model_hash,
            "preprocessing_hash": self.bundle.preprocessing_hash,
            "settings": asdict(self.config),
        }


def explain(
    source: Path,
    *,
    model: str | None,
    out: Path,
    config: ExplainConfig,
    answer: str = "last",
    subject_from: str = "hash",
) -> ExplainSummary:
    """Explain the age that a model predicts for one scan.

    Args:
        source: any source of exactly one scan.
        model: as for `predict`; None takes the demonstration model, and a warning says what it is.
        out: folder of the results; made when needed, and an earlier explanation in it replaced.
        config: which maps, and how.
        answer: whose age is explained: of the last block, the ensemble, or one block.
        subject_from: how DICOM subjects are named, see `find_scans`.

    Raises:
        BrainageError: if source, model or folder cannot be used. A scan that cannot be used is a
            result: the summary and ``explanation.json`` say why.
    """
    begun = time.perf_counter()
    with model_folder(model) as folder:
        bundle = load_bundle(folder)
    if model is None:
        _log.warning("%s", demonstration_limits(bundle))
    bundle.check_answer(answer)
    record = only_scan(source, subject_from)
    question = Question(bundle=bundle, answer=answer, config=config)
    prepare_folder(out, record.scan)
    try:
        found = _found(record, question)
    except ScanError as error:
        stage, reason = error.stage, error.reason
        failed = {"status": "failed", "stage": stage, "reason": reason}
        write_failure(out, {**question.facts(record), **failed})
        return ExplainSummary(
            scan=str(record.scan),
            status="failed",
            stage=stage,
            reason=reason,
            answer=answer,
            seconds=time.perf_counter() - begun,
            out=out,
        )
    content = write_explanation(out, found, bundle)
    for warning in content["warnings"]:
        _log.warning("%s", warning)
    return _summary(content, out, time.perf_counter() - begun)


def only_scan(source: Path, subject_from: str) -> ScanRecord:
    """The one scan of a source.

    Raises:
        ManifestError: if there is none, or more than one.
    """
    records = find_scans(source, subject_from=subject_from).records
    if len(records) > 1:
        raise ManifestError(
            f"{source}: expected one scan, found {len(records)}; name one of them, "
            f"e.g. {records[0].scan}"
        )
    return records[0]


def _found(record: ScanRecord, question: Question) -> Explained:
    """Preprocess, predict and explain.

    Raises:
        ScanError: if the scan cannot be used.
    """
    bundle, answer, config = question.bundle, question.answer, question.config
    content, sha256 = read_scan_bytes(record.scan)
    opened = open_image(record.scan, content)
    grid = ScanGrid(shape_XYZ=opened.data_XYZ.shape, affine=opened.affine)
    del opened
    scan = Preprocessor(bundle.config.preprocess)(parse_scan(record.scan, content, sha256))
    predicted = bundle.predict(scan.volume_XYZ, answer)
    maker = MapMaker(bundle, scan, answer, config)
    rows = sum(maker.num_rows(method) for method in config.methods)
    with StageProgress("explaining", rows, "volume") as progress:
        maps = tuple(maker.make(method, progress.advance) for method in config.methods)
    explained_age = maker.age_years()
    return Explained(
        preprocessed=scan,
        grid=grid,
        maps=maps,
        networks=tuple(
            (member.name, block_answers(member, scan.volume_XYZ)) for member in bundle.members
        ),
        facts={
            **question.facts(record),
            "status": "ok",
            "scan_sha256": sha256,
            "predicted_age": predicted.age_years,
            "explained_age": explained_age,
            "views_of_predict": bundle.num_views,
            "warnings": [warning for each in maps for warning in each.warnings],
        },
        title=f"{record.subject[-40:]}: predicted {predicted.age_years:.1f} years; explained "
        f"{explained_age:.1f} years, the scan as it is",
        explained_age=explained_age,
    )


def _summary(content: dict[str, Any], out: Path, seconds: float) -> ExplainSummary:
    maps = content["maps"].items()
    return ExplainSummary(
        scan=content["scan"],
        status="ok",
        answer=content["answer"],
        predicted_age=content["predicted_age"],
        explained_age=content["explained_age"],
        strongest_regions={
            method: dict(list(each["share_by_region"].items())[:STRONGEST]) for method, each in maps
        },
        sanity={
            method: each["sanity"]["comparisons"][-1]["spearman_absolute"] for method, each in maps
        },
        warnings=tuple(content["warnings"]),
        seconds=seconds,
        out=out,
    )
