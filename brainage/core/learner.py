"""One's own network and tensors in, a trained leader-follower network out."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from brainage.core.batches import TensorBatches
from brainage.core.build import build_chain
from brainage.core.compatibility import refuse_conflicts
from brainage.core.complexity import adaptive_leader_fraction, data_complexity
from brainage.core.config import BlocksConfig, HeadConfig, ObjectiveConfig, TaskConfig
from brainage.core.engine import SingleDeviceEngine
from brainage.core.objectives import Objective
from brainage.core.optim import build_optimizers
from brainage.core.partition import resolve_cuts, stage_counts
from brainage.core.tasks import fit_task, predict_together
from brainage.core.timing import choose_device
from brainage.core.trainer import Trainer, TrainingResult
from brainage.core.training_config import (
    EngineConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainerConfig,
)
from brainage.core.types import Recorder, SilentRecorder

PREDICTION_BATCH_SIZE = 64


class Learner:
    """Cuts a network into blocks and trains it by a rule; needs torch alone.

    Every argument but the network, the task and the input shape has a default, that of a run.

    Args:
        network: an ``nn.Sequential``, or stages in order. Its modules are used, not copied. It ends
            with features: the heads that predict are added here.
        task: classes or ages.
        input_shape: shape of one input without the batch axis, e.g. (1, 28, 28).
        blocks: how the stages are cut.
        objective: the training rule; LFNN-l by default.
        heads: workers and output heads.
        optimizer: of each block.
        schedule: of the learning rate.
        engine: how steps are carried out.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        seed: of the heads' initial weights, the order of samples, and dropout.

    Raises:
        ValueError: if the settings do not go together; from ``fit``, if the network cannot be cut
            so, or the heads do not fit it.
    """

    def __init__(
        self,
        network: nn.Sequential | Sequence[nn.Module],
        task: TaskConfig,
        input_shape: tuple[int, ...],
        *,
        blocks: BlocksConfig | None = None,
        objective: ObjectiveConfig | None = None,
        heads: HeadConfig | None = None,
        optimizer: OptimizerConfig | None = None,
        schedule: ScheduleConfig | None = None,
        engine: EngineConfig | None = None,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.stages = list(network)
        self.task_config = task
        self.input_shape = input_shape
        self.blocks = blocks or BlocksConfig()
        self.objective_config = objective or ObjectiveConfig()
        self.heads = heads or HeadConfig()
        self.optimizer = optimizer or OptimizerConfig()
        self.schedule = schedule or ScheduleConfig()
        self.engine_config = engine or EngineConfig()
        try:
            self.device = choose_device(device)
        except ValueError as error:
            raise ValueError(f"device: {error}") from error
        self.seed = seed
        self._engine: SingleDeviceEngine | None = None
        refuse_conflicts(task, self.objective_config, self.heads, self.engine_config)

    @property
    def engine(self) -> SingleDeviceEngine:
        """The trained engine: its ``chain`` is the network, its ``objective`` the rule.

        Raises:
            ValueError: before ``fit``.
        """
        if self._engine is None:
            raise ValueError("the network is not trained yet; call fit first")
        return self._engine

    def fit(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        epochs: int = 30,
        batch_size: int = 32,
        validation: tuple[Tensor, Tensor] | None = None,
        recorder: Recorder | None = None,
    ) -> TrainingResult:
        """Train, from the network's present weights on.

        Args:
            inputs: (N, *input_shape).
            targets: (N,), ages in years (float) or class indices (int64).
            epochs: passes over the samples.
            batch_size: samples in one step.
            validation: inputs and targets that are looked at after every epoch.
            recorder: receives metrics; nobody by default.

        Returns:
            Metrics of every epoch, times and memory.

        Raises:
            ValueError: if tensors do not fit, or the targets do not suit the task.
            TrainingError: if a loss is not finite.
        """
        self._engine = self._build(inputs, targets, batch_size)
        config = TrainerConfig(epochs=epochs, batch_size=batch_size)
        trainer = Trainer(
            self._engine,
            TensorBatches(inputs, targets, batch_size=batch_size, seed=self.seed),
            None
            if validation is None
            else TensorBatches(*validation, batch_size=PREDICTION_BATCH_SIZE, shuffle=False),
            config=config,
            optimizer=self.optimizer,
            schedule=self.schedule,
            recorder=recorder or SilentRecorder(),
        )
        return trainer.fit()

    def _build(self, inputs: Tensor, targets: Tensor, batch_size: int) -> SingleDeviceEngine:
        """The engine, with a leader fraction and cuts that are measured turned into numbers."""
        task = fit_task(self.task_config, targets)
        objective = self.objective_config
        if objective.adaptive_leader_fraction:
            fraction = adaptive_leader_fraction(data_complexity(inputs))
            objective = replace(objective, leader_fraction=fraction, adaptive_leader_fraction=False)
        blocks = resolve_cuts(
            self.stages,
            self.input_shape,
            batch_size,
            self.blocks,
            device=self.device,
            precision=self.engine_config.precision,
        )
        chain = build_chain(
            self.stages,
            stage_counts(len(self.stages), blocks),
            self.input_shape,
            task,
            objective,
            heads=self.heads,
            seed=self.seed,
        )
        return SingleDeviceEngine(
            chain,
            Objective(objective, task, len(chain)),
            build_optimizers(chain, self.optimizer),
            device=self.device,
            seed=self.seed,
            clip_norm=self.optimizer.clip_norm,
            config=self.engine_config,
        )

    def predict(self, inputs: Tensor) -> Tensor:
        """Predictions (N,) of the last block: ages in years, or class indices.

        Raises:
            ValueError: before ``fit``.
        """
        return self.predict_by_block(inputs)[len(self.engine.chain) - 1]

    def predict_together(self, inputs: Tensor) -> Tensor:
        """Predictions (N,) of all blocks that predict, as an ensemble.

        Raises:
            ValueError: before ``fit``.
        """
        task = self.engine.objective.task
        answers = []
        for part in torch.split(inputs, PREDICTION_BATCH_SIZE):
            heads = [each.cpu() for each in self.engine.predict(part) if each is not None]
            answers.append(predict_together(task, heads))
        return torch.cat(answers)

    def predict_by_block(self, inputs: Tensor) -> dict[int, Tensor]:
        """Predictions (N,) of every block that predicts, by its index from 0.

        Raises:
            ValueError: before ``fit``.
        """
        task = self.engine.objective.task
        found: dict[int, list[Tensor]] = {}
        for part in torch.split(inputs, PREDICTION_BATCH_SIZE):
            for block, outputs in enumerate(self.engine.predict(part)):
                if outputs is not None:
                    found.setdefault(block, []).append(task.predict(outputs.cpu()))
        return {block: torch.cat(parts) for block, parts in found.items()}
