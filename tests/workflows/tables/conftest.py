from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from brainage.config.tables import TableConfig, load_table
from brainage.data.images.registry import Images
from brainage.workflows.images import run as panel
from brainage.workflows.images.fit import FitTask, ImageFit
from tests.workflows.planted import plant_images

BASE = """
methods: {}
data: {name: mnist, validation_images: 8}
recipe:
  backbone: {name: mlp, hidden_sizes: [8], output_stage: true}
  blocks: {num_blocks: 2}
  heads: {num_lf_workers: 2, output_block_workers: false}
  trainer: {epochs: 2, batch_size: 8, device: cpu, checkpoint_every: 9}
seeds: [0, 1]
tracking: {mlflow: false}
"""
TINY = """
name: tiny
title: Errors against the share of leaders
figure: leadership
setting: leaders
notes: [Nothing is known of it.]
parts:
  planted:
    panel:
      base: base.yaml
      changes: {published_epochs: 2}
      repetitions: 3
      methods: {local: {objective: {name: lfnn_l}}}
      controls: {bp: {objective: {name: bp}}}
      sweep: {key: objective.leader_fraction, values: [0.5, 1.0], label: "{:.0%}"}
      reduced: {recipe: {trainer: {epochs: 1}}}
rows:
  - {part: planted, method: local, measure: test_error_percent, published: [11.25, 12.25]}
  - {part: planted, method: bp, measure: test_error_percent, published: [13.25]}
  - {part: planted, method: bp, measure: train_error_percent}
"""
SCALE = "reduced: 1 of 2 epochs, 2 of 3 repetitions"
FITS = [f"{name}, seed {seed}" for seed in (0, 1) for name in ("bp", "local 50%", "local 100%")]


@pytest.fixture(autouse=True)
def small_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Forty training and twenty test images in place of MNIST, and a folder to work in."""
    plant_images(monkeypatch, tmp_path)
    Path("base.yaml").write_text(BASE)


Fit = Callable[[FitTask, Images], ImageFit]


def in_this_process(monkeypatch: pytest.MonkeyPatch, fit: Fit | None = None) -> list[str]:
    """Do fits in turn, here; the list takes their names."""
    done: list[str] = []

    def in_turn(
        tasks: Sequence[FitTask], function: Fit, shared: Images, jobs: int
    ) -> Iterator[tuple[FitTask, ImageFit]]:
        for task in tasks:
            done.append(task.name)
            yield task, (fit or function)(task, shared)

    monkeypatch.setattr(panel, "in_processes", in_turn)
    return done


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the fits that are trained, in order."""
    return in_this_process(monkeypatch)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of fits that take no time and have known errors; without the panel's own figures."""
    monkeypatch.setattr(panel, "panel_figures", lambda fits, phases: {})
    return in_this_process(monkeypatch, made_up_fit)


ERRORS = {"bp": 10.0, "local 50%": 20.0, "local 100%": 30.0}
"""Test errors of the made-up fits with seed 0; each further seed has one more."""


def made_up_fit(task: FitTask, images: Images) -> ImageFit:
    if task.method not in ERRORS:
        return task.failure("it came to nothing")
    error = ERRORS[task.method] + task.seed
    accuracies = [(100 - error - 10) / 100, (100 - error) / 100]
    return replace(
        task.failure(""),
        validation_error_percent=error,
        test_error_percent=error,
        train_error_percent=error / 2,
        epoch_seconds=90.0 + task.seed,
        device="a machine",
        history=[{"epoch": n + 1, "val/accuracy": a} for n, a in enumerate(accuracies)],
    )


def write_table(text: str = TINY, name: str = "tiny") -> None:
    """Put a table where its name leads to it."""
    path = Path("configs/tables", f"{name}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def tiny(*overrides: str, text: str = TINY) -> TableConfig:
    write_table(text)
    return load_table("tiny", overrides)
