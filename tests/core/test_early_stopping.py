"""Early stopping: it stops when it should, and leaves exactly the best epoch's weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from brainage.core.checkpoint import CheckpointStore
from brainage.core.config import ObjectiveConfig
from brainage.core.early_stopping import EarlyStopping, watched_error
from brainage.core.trainer import Trainer
from brainage.core.training_config import (
    EarlyStoppingConfig,
    EngineConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainerConfig,
)
from brainage.errors import TrainingError
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

LFNN = ObjectiveConfig(leader_fraction=0.5)
ENGINE = EngineConfig(ema_decay=0.6)
EPOCHS = 12


def make_trainer(
    stopping: EarlyStoppingConfig | None,
    *,
    store: CheckpointStore | None = None,
    objective: ObjectiveConfig = LFNN,
    stop_after: int | None = None,
) -> Trainer:
    return Trainer(
        make_engine(objective, optimizer=OptimizerConfig(), dropout=0.2, config=ENGINE),
        Batches(make_ages(11), 4),
        Batches(make_ages(5, seed=9), 2, shuffle=False),
        config=TrainerConfig(epochs=EPOCHS, batch_size=4, early_stopping=stopping),
        optimizer=OptimizerConfig(learning_rate=0.05),
        schedule=ScheduleConfig(name="constant", warmup_fraction=0.0),
        recorder=ListRecorder(),
        checkpoints=store,
        stop_after=stop_after,
    )


def errors_of(trainer: Trainer) -> list[float]:
    return [entry["val/mae_years"] for entry in trainer.result.history]


def answers(trainer: Trainer) -> torch.Tensor:
    outputs = trainer.engine.predict(make_ages(6, seed=4).inputs)[-1]
    assert outputs is not None
    return outputs


def test_training_ends_patience_epochs_after_the_best_one_and_gives_its_weights() -> None:
    trainer = make_trainer(EarlyStoppingConfig(patience=2))
    result = trainer.fit()
    errors = errors_of(trainer)
    best = errors.index(min(errors)) + 1
    assert result.best_epoch == best
    assert len(errors) == best + 2 < EPOCHS
    whole = make_trainer(None, stop_after=best)
    whole.fit()
    assert same_weights(weights(trainer.engine.chain), weights(whole.engine.chain))
    averaged = [weights(each.engine.answering_chain) for each in (trainer, whole)]
    assert same_weights(*averaged)
    assert not same_weights(averaged[0], weights(whole.engine.chain)), "the average is another"


def test_patience_that_outlasts_the_epochs_still_keeps_the_best() -> None:
    trainer = make_trainer(EarlyStoppingConfig(patience=EPOCHS))
    best = trainer.fit().best_epoch
    assert best is not None
    assert len(trainer.result.history) == EPOCHS
    whole = make_trainer(None, stop_after=best)
    whole.fit()
    assert best < EPOCHS
    assert torch.equal(answers(trainer), answers(whole))


def test_what_is_hardly_better_does_not_count() -> None:
    trainer = make_trainer(EarlyStoppingConfig(patience=2, min_delta=1000.0))
    assert trainer.fit().best_epoch == 1
    assert len(trainer.result.history) == 3


@pytest.mark.parametrize("after_best", [0, 1])
def test_resumed_equals_uninterrupted(after_best: int, tmp_path: Path) -> None:
    stopping = EarlyStoppingConfig(patience=3)
    whole = make_trainer(stopping)
    best = whole.fit().best_epoch
    assert best is not None
    store = CheckpointStore(tmp_path, "run")
    killed = make_trainer(stopping, store=store)
    killed.train = KilledIn(killed.train, epoch=best + after_best)
    with pytest.raises(Killed):
        killed.fit()
    resumed = make_trainer(stopping, store=store)
    assert resumed.fit().best_epoch == best
    assert "resumed" in resumed.recorder.events
    assert errors_of(resumed) == errors_of(whole)
    assert same_weights(weights(resumed.engine.chain), weights(whole.engine.chain))
    assert torch.equal(answers(resumed), answers(whole))


def test_a_run_that_has_stopped_trains_no_further(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, "run")
    first = make_trainer(EarlyStoppingConfig(patience=2), store=store)
    first.fit()
    again = make_trainer(EarlyStoppingConfig(patience=2), store=store)
    again.train = KilledIn(again.train, epoch=len(first.result.history), after=0)
    assert again.fit().best_epoch == first.result.best_epoch
    assert same_weights(weights(first.engine.chain), weights(again.engine.chain))


def test_without_validation_it_is_refused() -> None:
    trainer = make_trainer(None)
    config = replace(trainer.config, early_stopping=EarlyStoppingConfig())
    with pytest.raises(ValueError, match="needs samples to validate on"):
        Trainer(
            trainer.engine, trainer.train, None, config=config, optimizer=trainer.optimizer,
            schedule=trainer.schedule, recorder=trainer.recorder,
        )  # fmt: skip


def test_a_rule_that_trains_block_after_block_is_refused() -> None:
    with pytest.raises(ValueError, match="blocks that train together, got 'greedy'"):
        make_trainer(EarlyStoppingConfig(), objective=ObjectiveConfig(name="greedy"))


def test_an_error_that_is_no_number_ends_training() -> None:
    stopping = EarlyStopping(EarlyStoppingConfig(), make_engine(LFNN))
    with pytest.raises(TrainingError, match="epoch 3: the validation error is nan"):
        stopping.observe(3, {"val/mae_years": float("nan")})


def test_classes_are_watched_by_their_error() -> None:
    assert watched_error({"val/accuracy": 0.75, "val/loss": 9.0}) == 0.25


@pytest.mark.parametrize(("field", "value"), [("patience", 0), ("min_delta", -0.1)])
def test_a_value_out_of_range_is_refused_by_its_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{field}: expected .*, got "):
        EarlyStoppingConfig(**{field: value})
