"""Figure S4a: what one update does to the workers' outputs, and whether followers move as one.

The activity of a worker in a step is its output after the update of its block less that before, on
the batch of the step and with the block's inputs held at what they were, so that the movement of
the block before is not counted. Both are computed in evaluation mode.

Whether a movement is collective is told as it is for particles: by directions. For every sample,
the cosine between the activities (vectors of C numbers) of two workers is averaged over the pairs
of two followers, of two leaders, and of a leader and a follower. 1 says that all move the same
way, 0 is what independent directions have on average. With n workers, a mean cosine c is an order
parameter of Vicsek's (the length of the mean direction) whose square is on average
c + (1 - c) / n. Two things are measured to compare with: the same cosine when every worker is
taken on another sample (``shuffled``), which is what the step does to all samples alike, and the
same of a network that all workers lead, where nobody follows anybody (``control``).

Shape letters: B samples, W workers, C outputs of one worker.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from brainage.config.studies import ActivityConfig
from brainage.core.batches import WrappedBatches
from brainage.core.config import LeaderSelection
from brainage.core.engine import SingleDeviceEngine
from brainage.core.leaders import select_leaders
from brainage.core.tasks import Task
from brainage.core.types import Batch, BatchSource, Rows

TINY = 1e-12
SPACES = ("outputs", "probabilities")
"""What moves: outputs as they are, or after the softmax, as followers align them by default."""
SERIES = (
    "followers",
    "leaders",
    "leader_follower",
    "followers_shuffled",
    "towards_best",
    "follower_length",
    "leader_length",
    "resting",
)
"""Numbers of a step: mean cosines between followers, between leaders, between leader and follower,
between followers on other samples, between a follower's activity and the way from its output to
the best leader's; root mean square lengths of the activities; the share of (sample, worker) whose
output did not move, which have no direction and are in no cosine."""


def mean_pair_cosine(directions_BWC: Tensor, members_BW: Tensor) -> Tensor:
    """Mean cosine between two different members, averaged over the samples that have two.

    Args:
        directions_BWC: vectors of length one.
        members_BW: whose pairs count.
    """
    members = members_BW.to(directions_BWC.dtype)
    total_BC = (directions_BWC * members[:, :, None]).sum(1)
    count_B = members.sum(1)
    pairs_B = count_B * (count_B - 1)
    cosine_B = (total_BC.square().sum(1) - count_B) / pairs_B.clamp_min(1)
    return cosine_B[pairs_B > 0].mean()


def mean_cross_cosine(directions_BWC: Tensor, ones_BW: Tensor, others_BW: Tensor) -> Tensor:
    """Mean cosine between a member of one set and one of another, over samples that have both."""
    ones, others = (m.to(directions_BWC.dtype) for m in (ones_BW, others_BW))
    sums = [(directions_BWC * m[:, :, None]).sum(1) for m in (ones, others)]
    pairs_B = ones.sum(1) * others.sum(1)
    cosine_B = (sums[0] * sums[1]).sum(1) / pairs_B.clamp_min(1)
    return cosine_B[pairs_B > 0].mean()


def step_numbers(
    before_BWC: Tensor, after_BWC: Tensor, leaders_BW: Tensor, best_B: Tensor
) -> dict[str, float]:
    """The numbers of ``SERIES`` for one step of one block; NaN where there is no such pair.

    Args:
        before_BWC: outputs before the update.
        after_BWC: outputs after it.
        leaders_BW: who leads before it.
        best_B: the best leader before it.
    """
    moved = (after_BWC - before_BWC).double()
    length_BW = moved.norm(dim=2)
    moves_BW = length_BW > TINY
    directions = moved / length_BW.clamp_min(TINY)[:, :, None]
    followers, leaders = moves_BW & ~leaders_BW, moves_BW & leaders_BW
    shift = torch.arange(len(moved), device=moved.device)[:, None]
    rows = (shift + torch.arange(moved.shape[1], device=moved.device)) % len(moved)
    workers = torch.arange(moved.shape[1], device=moved.device).expand_as(rows)
    best_B1C = before_BWC.gather(1, best_B[:, None, None].expand(-1, 1, before_BWC.shape[2]))
    way = (best_B1C - before_BWC).double()
    way_length = way.norm(dim=2)
    towards = (directions * way).sum(2) / way_length.clamp_min(TINY)
    numbers = (
        mean_pair_cosine(directions, followers),
        mean_pair_cosine(directions, leaders),
        mean_cross_cosine(directions, leaders, followers),
        mean_pair_cosine(directions[rows, workers], followers[rows, workers]),
        towards[followers & (way_length > TINY)].mean(),
        length_BW[~leaders_BW].square().mean().sqrt(),
        length_BW[leaders_BW].square().mean().sqrt(),
        1 - moves_BW.double().mean(),
    )
    return dict(zip(SERIES, (float(number) for number in numbers), strict=True))


@dataclass
class _BlockRecord:
    """What is kept of one block: numbers of every step, and lines to draw."""

    series: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: {space: {name: [] for name in SERIES} for space in SPACES}
    )
    activity: list[list[float]] = field(default_factory=list)
    leaders: list[list[int]] = field(default_factory=list)


class ActivityProbe:
    """Looks at the workers before and after the steps that are recorded.

    Args:
        engine: that is being trained.
        config: which steps, and the share of leaders.
        selection: over what losses are averaged that decide who leads; by epoch or running mean
            counts as by batch.
        num_steps: of the whole training.
        lines: whether each worker's mean activity is kept, to be drawn.
    """

    def __init__(
        self,
        engine: SingleDeviceEngine,
        config: ActivityConfig,
        selection: LeaderSelection,
        *,
        num_steps: int,
        lines: bool,
    ) -> None:
        self._engine = engine
        self._config = config
        self._selection: LeaderSelection = "sample" if selection == "sample" else "batch"
        self._later = max(config.first_steps, num_steps - config.later_steps)
        self._lines = lines
        self._kept: dict[str, tuple[list[int], dict[int, _BlockRecord]]] = {
            "first": ([], {}), "later": ([], {})
        }  # fmt: skip

    def window(self, step: int) -> str | None:
        """The window that a step is recorded in, if it is."""
        if step < self._config.first_steps:
            return "first" if step % self._config.record_every == 0 else None
        if step >= self._later and self._config.later_steps:
            return "later" if (step - self._later) % self._config.record_every == 0 else None
        return None

    @torch.no_grad()
    def before(self, batch: Batch) -> list[tuple[Tensor, Tensor | None]]:
        """For every block its inputs and its workers' outputs (B, W, C), if it has workers."""
        chain = self._engine.chain
        chain.eval()
        inputs = batch.inputs.to(self._engine.device)
        found = []
        for outputs in chain.all_outputs(inputs):
            found.append((inputs, outputs.workers_BWC))
            inputs = outputs.features
        return found

    @torch.no_grad()
    def after(
        self, step: int, targets: Tensor, seen: Sequence[tuple[Tensor, Tensor | None]]
    ) -> None:
        """Record step ``step``, which began as ``before`` has seen it."""
        window = self.window(step)
        assert window is not None
        steps, records = self._kept[window]
        steps.append(step)
        chain, task = self._engine.chain, self._engine.objective.task
        chain.eval()
        targets_B = targets.to(self._engine.device)
        for index, (block, (inputs, before)) in enumerate(zip(chain, seen, strict=True)):
            if before is None:
                continue
            after: Tensor = block(inputs).workers_BWC
            losses_BW = task.prediction_loss(before, targets_B[:, None])
            fraction = self._config.leader_fraction
            leaders_BW, best_B = select_leaders(losses_BW, fraction, self._selection)
            record = records.setdefault(index, _BlockRecord())
            for space, series in record.series.items():
                begun, ended = (_seen_as(space, task, outputs) for outputs in (before, after))
                for name, value in step_numbers(begun, ended, leaders_BW, best_B).items():
                    series[name].append(value)
            if self._lines:
                activity_W = (after - before).double().mean((0, 2))
                record.activity.append([float(f"{value:.4g}") for value in activity_W.tolist()])
                mean_W = select_leaders(losses_BW, fraction, "batch").leaders_BW[0]
                record.leaders.append(torch.nonzero(mean_W)[:, 0].tolist())

    def results(self) -> dict[str, Any]:
        """By window: its ``steps`` and by ``block N`` the ``series`` (by space) and the lines.

        Of the lines, ``activity`` has for every step the mean of each worker's activity over
        samples and outputs, and ``leaders`` the workers with the lowest mean loss on the batch.
        Numbers that do not exist are None.
        """
        found: dict[str, Any] = {}
        for window, (steps, records) in self._kept.items():
            if not steps:
                continue
            found[window] = {"steps": steps}
            for index, record in records.items():
                series = {
                    space: {name: _plain(values) for name, values in own.items()}
                    for space, own in record.series.items()
                }
                found[window][f"block {index + 1}"] = {"series": series} | (
                    {"activity": record.activity, "leaders": record.leaders} if self._lines else {}
                )
        return found


def _seen_as(space: str, task: Task, outputs: Tensor) -> Tensor:
    if space == "outputs":
        return outputs
    log_probability = task.log_probability(outputs)
    assert log_probability is not None, "classes have a distribution"
    return log_probability.exp()


def _plain(values: Sequence[float]) -> list[float | None]:
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]


class WatchedBatches(WrappedBatches):
    """A batch source that lets a probe look before a batch is trained on, and after.

    Args:
        source: the batches.
        probe: looks; a batch is over when the next one is asked for.
    """

    def __init__(self, source: BatchSource, probe: ActivityProbe) -> None:
        super().__init__(source)
        self._probe = probe

    def batches(self, epoch: int, *, first: int = 0, rows: Rows | None = None) -> Iterator[Batch]:
        """The batches of an epoch; see ``BatchSource``."""
        begun = epoch * len(self.batch_sizes)
        batches = self._source.batches(epoch, first=first, rows=rows)
        for step, batch in enumerate(batches, start=begun + first):
            if self._probe.window(step) is None:
                yield batch
                continue
            seen = self._probe.before(batch)
            yield batch
            self._probe.after(step, batch.targets, seen)
