"""One walk through a network with a clock: every stage, and the heads behind it, on its own.

Every round passes all stages once: forward pass, backward pass with and without the input's
gradient, update, heads with their losses. So a stage finds the caches as it does in a training
step, and a disturbance costs a round and not a stage.
"""

import statistics
import time
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from brainage.core.blocks import Block
from brainage.core.build import build_chain
from brainage.core.config import ObjectiveConfig
from brainage.core.measure import StageMemory, measure_memory
from brainage.core.memory_layout import use_channels_last, with_channels_last
from brainage.core.objectives import Objective
from brainage.core.optim import build_optimizer, set_learning_rate
from brainage.core.speed import SpeedCase
from brainage.core.timing import STILL_LEARNING_RATE, synchronize

WARMUP_ROUNDS = 2
"""Rounds before those that count: the first ones allocate memory and choose kernels."""

Laps = dict[tuple[int, str], float]
"""Seconds by number of stage and what was done. Behind the last stage's heads, under the number of
stages, are those of back-propagation."""
_Record = dict[tuple[int, str], list[float]]


@dataclass(frozen=True)
class _Station:
    """A module on the walk, with its optimizer; ``index`` is that of its stage or its heads."""

    index: int
    module: nn.Module
    optimizer: Optimizer


class Walk:
    """The network taken apart: bodies, heads behind each, and back-propagation's last."""

    def __init__(self, case: SpeedCase) -> None:
        self.case = case
        self.device = torch.device(case.device)
        stages = case.build_stages()
        self.num_stages = len(stages)
        bp = ObjectiveConfig(name="bp")
        chains = []
        for counts, objective in (((1,) * len(stages), case.objective), ((len(stages),), bp)):
            chain = build_chain(
                stages,
                counts,
                case.input_shape,
                case.task,
                objective,
                heads=case.heads,
                seed=case.seed,
            ).to(self.device)
            chain.train()
            if case.engine.channels_last:
                use_channels_last(chain)
            chains.append(chain)
        isolated, whole = chains
        self.bodies = [self._station(index, block.body) for index, block in enumerate(isolated)]
        self.heads = [
            self._station(index, _without_body(block))
            for index, block in enumerate([*isolated, *whole])
        ]
        self.objectives = [Objective(case.objective, case.task, len(stages))] * len(stages)
        self.objectives.append(Objective(bp, case.task, 1))
        self.shapes: list[tuple[int, ...]] = [()] * (len(stages) + 1)

    def _station(self, index: int, module: nn.Module) -> _Station:
        optimizer = build_optimizer(module, self.case.optimizer)
        set_learning_rate(optimizer, STILL_LEARNING_RATE)
        return _Station(index, module, optimizer)

    def measure(self, rounds: int, seconds: float) -> dict[int, Laps]:
        """Median seconds of everything, by stage and name, for one sample and for a batch.

        At least so many rounds, and until so much time has passed. The two sizes take turns, so
        that a disturbance hits both. Where one sample cannot pass, a batch's share stands for it.
        """
        records: dict[int, _Record] = {}
        for size in {self.case.batch_size, *([1] if self._one_passes() else [])}:
            records[size] = defaultdict(list)
        ends = time.perf_counter() + seconds
        done = 0
        while done < WARMUP_ROUNDS + rounds or time.perf_counter() < ends:
            for size, record in records.items():
                self._walk(size, record)
            done += 1
        laps = {
            size: {key: statistics.median(each[WARMUP_ROUNDS:]) for key, each in record.items()}
            for size, record in records.items()
        }
        whole = laps[self.case.batch_size]
        share = {key: seconds / self.case.batch_size for key, seconds in whole.items()}
        return {1: share} | laps

    def _one_passes(self) -> bool:
        """Whether one sample alone can be trained on; batch normalisation may refuse."""
        try:
            self._walk(1, defaultdict(list))
        except ValueError:
            return False
        return True

    def _walk(self, num_samples: int, record: _Record) -> None:
        """Every stage and the heads behind it, once."""
        batch = self.case.batch()
        features, targets = batch.inputs[:num_samples], batch.targets[:num_samples]
        if self.case.engine.channels_last:
            features = with_channels_last(features)
        for body, heads in zip(self.bodies, self.heads, strict=False):
            features = self._pass_stage(body, features, record)
            self._pass_heads(heads, features, targets, record)
        self._pass_heads(self.heads[-1], features, targets, record)

    def _pass_stage(self, station: _Station, inputs: Tensor, record: _Record) -> Tensor:
        """Time one stage on detached inputs and return its features."""
        index = station.index
        for needs_gradient in (False, True) if index else (False,):
            station.optimizer.zero_grad(set_to_none=True)
            leaf = inputs.detach().requires_grad_(needs_gradient)
            begun = self._now()
            with self._autocast():
                features: Tensor = station.module(leaf)
            forward = self._now() - begun
            backward = self._backward(features, torch.ones_like(features))
            record[index, "backward" if needs_gradient else "backward_as_first"].append(backward)
        if index == 0:
            record[index, "backward"].append(backward)
        record[index, "forward"].append(forward)
        record[index, "update"].append(self._update(station))
        return features.detach()

    def _pass_heads(
        self, station: _Station, features: Tensor, targets: Tensor, record: _Record
    ) -> None:
        """Time the heads behind a stage, with their losses, down to the features' gradient."""
        index, block = station.index, station.module
        assert isinstance(block, Block)
        self.shapes[index] = tuple(features.shape[1:])
        station.optimizer.zero_grad(set_to_none=True)
        leaf = features.detach().requires_grad_()
        begun = self._now()
        with self._autocast():
            outputs = block(leaf)
        record[index, "head_forward"].append(self._now() - begun)
        begun = self._now()
        loss = self.objectives[index].block_loss(
            0 if index == self.num_stages else index,
            outputs,
            targets,
            history=block.history,
        )
        judged = self._now() - begun
        total = loss.own if loss.shared is None else loss.shared
        backward = 0.0 if total is None else self._backward(total)
        record[index, "head_backward"].append(judged + backward)
        record[index, "head_update"].append(self._update(station))

    def _backward(self, outputs: Tensor, gradient: Tensor | None = None) -> float:
        """Seconds of the backward pass; none where nothing needs a gradient."""
        if not outputs.requires_grad:
            return 0.0
        begun = self._now()
        outputs.backward(gradient)  # type: ignore[no-untyped-call]
        return self._now() - begun

    def _update(self, station: _Station) -> float:
        """Seconds of clipping, stepping and clearing."""
        limit = self.case.optimizer.clip_norm
        begun = self._now()
        if limit is not None:
            torch.nn.utils.clip_grad_norm_(station.module.parameters(), limit)
        station.optimizer.step()
        station.optimizer.zero_grad(set_to_none=True)
        return self._now() - begun

    def memories(self) -> tuple[list[StageMemory], list[StageMemory]]:
        """Bytes of every stage, and of the heads behind each, for a whole batch."""
        measure = partial(
            measure_memory,
            batch_size=self.case.batch_size,
            device=self.device,
            precision=self.case.engine.precision,
        )
        stages = measure([station.module for station in self.bodies], self.case.input_shape)
        shapes = zip(self.heads, self.shapes, strict=True)
        heads = [measure([station.module], shape)[0] for station, shape in shapes]
        return stages, heads

    def _autocast(self) -> AbstractContextManager[object]:
        if self.case.engine.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _now(self) -> float:
        synchronize(self.device)
        return time.perf_counter()


def _without_body(block: Block) -> Block:
    """The same heads behind nothing: what goes in is taken for the features."""
    return Block(
        nn.Sequential(),
        auxiliary=block.auxiliary,
        pool=block.pool,
        workers=block.workers,
        output=block.output,
        similarity=block.similarity,
        history=block.history,
    )
