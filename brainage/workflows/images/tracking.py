"""A panel as MLflow shows it: one parent run, one child for each method and seed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from brainage.config.images import ImagesConfig, RecipeConfig
from brainage.config.load import flatten_section
from brainage.core.types import Scalar
from brainage.data.images.registry import Images
from brainage.tracking.recorders import RunRecord, open_recorders
from brainage.workflows.images.fit import ImageFit
from brainage.workflows.images.rows import file_name
from brainage.workflows.train.run_folder import RunFolder

_PARENT = "mlflow_run_id"


class PanelRecord:
    """The record of a panel, continued when it is resumed.

    Args:
        config: of the panel.
        images: which are told of as counts.
        folder: of the panel.
    """

    def __init__(self, config: ImagesConfig, images: Images, folder: RunFolder) -> None:
        self._config = config
        self._folder = folder
        self._record = open_recorders(
            config.tracking,
            folder.path,
            run_name=folder.path.name,
            tags={"panel": folder.path.name, "kind": "images", "data": config.data.name},
            working_folder=Path.cwd(),
            mlflow_run_id=folder.recall().get(_PARENT),
        )
        folder.remember(**{_PARENT: self._record.mlflow_run_id})
        counts: dict[str, Scalar] = {f"images.{part}": n for part, n in images.sizes.items()}
        self._record.recorder.parameters(
            {**flatten_section(config.recipe), **counts, "images.note": images.note}
        )

    @property
    def mlflow_run_id(self) -> str | None:
        """Of the parent; None without MLflow."""
        return self._record.mlflow_run_id

    def fit(self, recipe: RecipeConfig, row: ImageFit) -> None:
        """Tell of a finished fit, once; of one whose process died again when it was tried again."""
        name = f"{row.method}-seed{row.seed}"
        if self._folder.recall().get(f"told_{name}") == row.fingerprint:
            return
        child = self._child(name, recipe, row)
        status = "failed"
        try:
            child.recorder.parameters(flatten_section(recipe))
            for entry in row.history:
                values = {key: value for key, value in entry.items() if "/" in key}
                child.recorder.metrics(values, step=int(entry["epoch"]))
            child.recorder.metrics(_results(row), step=0)
            status = "failed" if row.failed else "finished"
        finally:
            child.recorder.close(status)
        if not row.died:
            self._folder.remember(**{f"told_{name}": row.fingerprint})

    def results(self, files: Sequence[Path], figures: Path) -> None:
        """Hand the finished tables and pictures over."""
        for path in (*files, self._folder.config, figures):
            self._record.recorder.artifact(path)

    def close(self, status: str) -> None:
        """End the record of the panel."""
        self._record.recorder.close(status)

    def _child(self, name: str, recipe: RecipeConfig, row: ImageFit) -> RunRecord:
        place = self._folder.path / "fits" / file_name(name)
        place.mkdir(parents=True, exist_ok=True)
        key = f"mlflow_run_id_{name}"
        record = open_recorders(
            # One sampling of the machine's load, the parent's, is enough.
            replace(self._config.tracking, system_metrics=False),
            place,
            run_name=f"{self._folder.path.name}-{name}",
            tags={
                "panel": self._folder.path.name,
                "method": row.method,
                "seed": row.seed,
                "candidate": row.candidate,
                "objective": recipe.objective.name,
                "num_blocks": recipe.blocks.num_blocks,
                "backbone": recipe.backbone.name,
            },
            working_folder=Path.cwd(),
            mlflow_run_id=self._folder.recall().get(key),
            parent_run_id=self._record.mlflow_run_id,
        )
        self._folder.remember(**{key: record.mlflow_run_id})
        return record


def _results(row: ImageFit) -> dict[str, float]:
    """Accuracies as shares, time and memory, by metric name."""
    errors = {
        "test/accuracy": row.test_error_percent,
        "train/accuracy": row.train_error_percent,
        "test/ensemble/accuracy": row.ensemble_error_percent,
        **{f"test/block{k}/accuracy": error for k, error in row.error_percent_by_block.items()},
    }
    found = {name: 1 - error / 100 for name, error in errors.items() if error is not None}
    if row.epoch_seconds is not None:
        found["speed/epoch_seconds"] = row.epoch_seconds
    if row.peak_memory_bytes is not None:
        found["memory/peak_bytes"] = float(row.peak_memory_bytes)
    return found
