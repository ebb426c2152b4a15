"""What a run tells MLflow of itself: tags to filter by, and which data it used. Nobody's name."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from brainage.config.load import config_hash
from brainage.config.run import RunConfig
from brainage.core.config import LEADER_FOLLOWER_RULES
from brainage.core.types import Recorder, Scalar
from brainage.data.splits import Split
from brainage.tracking.config import TrackingConfig
from brainage.tracking.sharing import last_part
from brainage.workflows.train.cohort import Cohort

_FOLD = re.compile(r"fold(\d+)\Z")


def tags_of_run(config: RunConfig, part: str | None = None) -> dict[str, Scalar]:
    """Tags of a run, or of one of its parts; None where a tag has no meaning.

    Args:
        config: the run's configuration.
        part: ``fold1`` ... or ``final``; None for the run itself.
    """
    fold = _FOLD.search(part or "")
    followed = config.objective.name in LEADER_FOLLOWER_RULES
    return {
        "objective": config.objective.name,
        "num_blocks": config.blocks.num_blocks,
        "backbone": config.backbone.name,
        "leader_fraction": config.objective.leader_fraction if followed else None,
        "seed": config.seed,
        "part": part,
        "fold": fold[1] if fold else None,
        "config_hash": config_hash(config)[:16],
    }


def report_datasets(recorder: Recorder, config: RunConfig, cohort: Cohort, split: Split) -> None:
    """Tell which data a fit trains on, validates and is tested with: counts and digests."""
    parts = (("train", split.train), ("validation", split.validation), ("test", split.test))
    for context, indices in parts:
        if indices:
            report_dataset(recorder, config, cohort, indices, context=context)


def report_dataset(
    recorder: Recorder, config: RunConfig, cohort: Cohort, indices: Sequence[int], *, context: str
) -> None:
    """The event ``dataset`` of some scans of a cohort.

    The digest is of preprocessed scans and ages: the same scans under other names have the same.

    Args:
        recorder: of the run.
        config: the run's configuration.
        cohort: all scans.
        indices: which of them, as indices into the cohort.
        context: what they are used for.
    """
    records = [cohort.records[index] for index in indices]
    ages = [float(cohort.ages_years[index]) for index in indices]
    content = sorted(zip((cohort.keys[index] for index in indices), ages, strict=True))
    manifest = Path(config.data.manifest)
    recorder.event(
        "dataset",
        name=config.tracking.dataset_name or manifest.stem,
        digest=hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16],
        context=context,
        scans=len(records),
        subjects=len({record.subject for record in records}),
        sites=len({record.site for record in records}),
        age_years_low=round(min(ages), 1),
        age_years_high=round(max(ages), 1),
        manifest_sha256=hashlib.sha256(manifest.read_bytes()).hexdigest()[:16],
    )


def config_for_model(config: RunConfig) -> RunConfig:
    """The configuration as it travels with a model: files without the folders they lie in.

    A model is passed on, and paths of a laboratory's files may hold people's names.
    """
    data = replace(
        config.data,
        manifest=last_part(config.data.manifest),
        unseen=_last_part(config.data.unseen),
        root=_last_part(config.data.root),
        cache_dir=last_part(config.data.cache_dir),
    )
    return replace(config, data=data, tracking=TrackingConfig())


def _last_part(path: str | None) -> str | None:
    return None if path is None else last_part(path)
