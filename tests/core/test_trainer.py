from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from brainage.core.checkpoint import CheckpointStore
from brainage.core.config import ObjectiveConfig
from brainage.core.evaluation import evaluate
from brainage.core.metrics import check_metric_name
from brainage.core.trainer import Trainer
from brainage.core.training_config import OptimizerConfig, ScheduleConfig, TrainerConfig
from brainage.core.types import Batch
from brainage.errors import CheckpointError, TrainingError
from tests.core.helpers import (
    Batches,
    Killed,
    KilledIn,
    ListRecorder,
    make_ages,
    make_engine,
    same_weights,
    weights,
)


def make_trainer(
    epochs: int = 4,
    checkpoints: CheckpointStore | None = None,
    name: str = "lfnn_l",
    learning_rate: float = 0.01,
    dropout: float = 0.3,
) -> Trainer:
    return Trainer(
        make_engine(
            ObjectiveConfig(name=name, leader_fraction=0.5),
            optimizer=OptimizerConfig(),
            dropout=dropout,
        ),
        Batches(make_ages(11), 4),
        Batches(make_ages(5, seed=9), 2, shuffle=False),
        config=TrainerConfig(epochs=epochs, batch_size=4),
        optimizer=OptimizerConfig(learning_rate=learning_rate),
        schedule=ScheduleConfig(warmup_fraction=0.2),
        recorder=ListRecorder(),
        checkpoints=checkpoints,
    )


@pytest.mark.parametrize("name", ["bp", "bp_deep_supervision", "lfnn", "lfnn_l"])
def test_resumed_equals_uninterrupted(name: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    whole = make_trainer(name=name)
    whole.fit()
    store = CheckpointStore(tmp_path, "run")
    killed = make_trainer(checkpoints=store, name=name)
    killed.train = KilledIn(killed.train, epoch=2)
    with pytest.raises(Killed):
        killed.fit()
    resumed = make_trainer(checkpoints=store, name=name)
    result = resumed.fit()
    assert same_weights(weights(whole.engine.chain), weights(resumed.engine.chain))
    assert [m["train/epoch"] for m in result.history] == [1, 2, 3, 4]
    losses = [[m["train/loss"] for m in t.result.history] for t in (whole, resumed)]
    assert losses[0] == losses[1]
    assert "resumed" in resumed.recorder.events


def test_a_finished_run_is_not_trained_again(tmp_path) -> None:  # type: ignore[no-untyped-def]
    store = CheckpointStore(tmp_path, "run")
    first = make_trainer(checkpoints=store)
    first.fit()
    again = make_trainer(checkpoints=store)
    again.fit()
    assert same_weights(weights(first.engine.chain), weights(again.engine.chain))
    assert again.recorder.metric_calls == []


def test_every_reported_metric_is_in_the_closed_list() -> None:
    trainer = make_trainer()
    trainer.fit()
    for _, metrics in trainer.recorder.metric_calls:
        for name in metrics:
            check_metric_name(name)
    assert {"val/mae_years", "val/block1/mae_years", "train/block2/leader_loss"} <= set(
        trainer.recorder.metric_calls[-1][1]
    )


def test_training_learns_something() -> None:
    trainer = make_trainer(epochs=60, learning_rate=0.03, dropout=0.0)
    history = trainer.fit().history
    assert history[-1]["train/loss"] < 0.6 * history[0]["train/loss"]


def test_a_loss_that_is_not_a_number_ends_training() -> None:
    trainer = make_trainer()
    trainer.train.data.inputs[3] = torch.nan
    with pytest.raises(TrainingError, match="nan"):
        trainer.fit()


def test_evaluation_is_in_order_and_without_dropout() -> None:
    trainer = make_trainer()
    source = Batches(make_ages(7), 3, shuffle=False)
    first, second = evaluate(trainer.engine, source), evaluate(trainer.engine, source)
    assert torch.equal(first.targets_N, make_ages(7).targets)
    assert sorted(first.predictions_N) == [0, 1, 2]
    assert all(torch.equal(first.predictions_N[k], second.predictions_N[k]) for k in range(3))


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    make_trainer(checkpoints=CheckpointStore(tmp_path, "one")).fit()
    with pytest.raises(CheckpointError, match="another configuration"):
        make_trainer(checkpoints=CheckpointStore(tmp_path, "two")).fit()


@pytest.mark.parametrize("name", ["lfnn_l", "greedy"])
def test_a_run_killed_within_an_epoch_goes_on_there(name: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    whole = make_trainer(name=name)
    whole.fit()
    store = CheckpointStore(tmp_path, "run")
    killed = make_trainer(checkpoints=store, name=name)
    killed.config = replace(killed.config, checkpoint_every_steps=1)
    killed.train = KilledIn(killed.train, epoch=2, after=2)
    with pytest.raises(Killed):
        killed.fit()
    resumed = make_trainer(checkpoints=store, name=name)
    delivered: list[int] = []
    resumed.train = Counting(resumed.train, delivered)
    history = resumed.fit().history
    assert delivered[0] == len(resumed.train.batch_sizes) - 2
    assert same_weights(weights(whole.engine.chain), weights(resumed.engine.chain))
    losses = [[m["train/loss"] for m in h] for h in (whole.result.history, history)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


class Counting(Batches):
    """Keeps how many batches every epoch delivered."""

    def __init__(self, inner: Batches, delivered: list[int]) -> None:
        super().__init__(inner.data, inner.batch_size)
        self.delivered = delivered

    def batches(self, epoch: int, **options: Any) -> Iterator[Batch]:
        batches = list(super().batches(epoch, **options))
        self.delivered.append(len(batches))
        return iter(batches)
