"""A run that was killed and resumed is the run that was not, whatever is switched on."""

from pathlib import Path

import pytest
import torch

from brainage.core.checkpoint import CheckpointStore
from brainage.core.config import ObjectiveConfig
from brainage.core.trainer import Trainer
from brainage.core.training_config import (
    EngineConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainerConfig,
)
from tests.core.helpers import (
    Batches,
    Killed,
    KilledIn,
    ListRecorder,
    make_ages,
    make_engine,
    make_task,
    same_weights,
    weights,
)

OPTIONS = {
    "all of the engine's": EngineConfig(micro_batches=2, ema_decay=0.8, channels_last=True),
    "bfloat16": EngineConfig(precision="bfloat16"),
}
RULES = {
    "memory of epochs": ObjectiveConfig(leader_fraction=0.5, selection="epoch"),
    "running mean": ObjectiveConfig(name="lfnn", leader_fraction=0.5, selection="running"),
    "moving fraction and weight": ObjectiveConfig(
        leader_fraction=1.0, final_leader_fraction=0.25, follower_warmup_fraction=0.7
    ),
    "recomputing": ObjectiveConfig(name="bp_deep_supervision"),
    "phases": ObjectiveConfig(name="greedy"),
    "similarity": ObjectiveConfig(name="predsim"),
    "fixed feedback": ObjectiveConfig(name="feedback_alignment"),
    "projected errors": ObjectiveConfig(name="direct_feedback_alignment"),
    "contrast": ObjectiveConfig(name="forward_forward"),
}


def make_trainer(
    objective: ObjectiveConfig, config: EngineConfig, store: CheckpointStore | None
) -> Trainer:
    classes = objective.name == "forward_forward"
    engine = make_engine(
        objective,
        task=make_task("classification" if classes else "soft_bins"),
        optimizer=OptimizerConfig(name="adamw"),
        dropout=0.3,
        config=config,
    )
    engine.clip_norm = 0.5
    data = make_ages(11)
    if classes:
        data = data._replace(targets=torch.arange(11) % 4)
    return Trainer(
        engine,
        Batches(data, 4),
        None,
        config=TrainerConfig(epochs=4, batch_size=4),
        optimizer=OptimizerConfig(learning_rate=0.02),
        schedule=ScheduleConfig(warmup_fraction=0.2),
        recorder=ListRecorder(),
        checkpoints=store,
    )


@pytest.mark.parametrize("config", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("objective", RULES.values(), ids=RULES)
def test_resumed_equals_uninterrupted(
    objective: ObjectiveConfig, config: EngineConfig, tmp_path: Path
) -> None:
    if objective.name == "bp_deep_supervision":
        config = EngineConfig(recompute_activations=True, ema_decay=config.ema_decay)
    whole = make_trainer(objective, config, None)
    whole.fit()
    killed = make_trainer(objective, config, CheckpointStore(tmp_path, "run"))
    killed.train = KilledIn(killed.train, epoch=2)
    with pytest.raises(Killed):
        killed.fit()
    resumed = make_trainer(objective, config, CheckpointStore(tmp_path, "run"))
    resumed.fit()
    assert "resumed" in resumed.recorder.events
    assert same_weights(weights(whole.engine.chain), weights(resumed.engine.chain))
    answers = [trainer.engine.predict(make_ages().inputs)[-1] for trainer in (whole, resumed)]
    assert torch.equal(*answers)


def test_averaged_weights_are_part_of_a_checkpoint(tmp_path: Path) -> None:
    """They differ from the trained ones, so that losing them would be seen above."""
    trainer = make_trainer(
        RULES["similarity"], EngineConfig(ema_decay=0.9), CheckpointStore(tmp_path, "run")
    )
    trainer.fit()
    engine = trainer.engine
    assert not same_weights(weights(engine.chain), weights(engine.answering_chain))
    again = make_trainer(
        RULES["similarity"], EngineConfig(ema_decay=0.9), CheckpointStore(tmp_path, "run")
    )
    again.fit()
    assert same_weights(weights(engine.answering_chain), weights(again.engine.answering_chain))
