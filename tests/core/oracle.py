"""A plain NumPy reading of the method's losses, one sample and one worker at a time, in float64."""

import numpy as np

from brainage.core.config import ObjectiveConfig
from brainage.core.tasks import Task


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def prediction_loss(task: Task, y: np.ndarray, target: float) -> float:
    """Loss of one worker's output (C,) for one sample."""
    if task.name == "classification":
        return float(-np.log(softmax(y)[int(target)]))
    if task.name == "regression":
        error = float(y[0]) - (target - task.mean_years) / task.sd_years
        return abs(error) if task.loss == "l1" else error**2
    centres = task.first_centre_years + task.bin_width_years * np.arange(len(y))
    q = softmax(-0.5 * ((centres - target) / task.bin_width_years / task.softness) ** 2)
    p = softmax(y)
    # A bin so far from the age that its share underflows adds nothing: x log x is 0 at 0.
    terms = [share * np.log(share / found) for share, found in zip(q, p, strict=True) if share > 0]
    away = abs((p * centres).sum() - target) / task.sd_years
    return float(sum(terms) + task.l1_weight * away)


def prediction_losses(task: Task, y_BWC: np.ndarray, targets_B: np.ndarray) -> np.ndarray:
    return np.array(
        [
            [prediction_loss(task, y, float(target)) for y in workers]
            for workers, target in zip(y_BWC, targets_B, strict=True)
        ]
    )


def distance(kind: str, y: np.ndarray, best: np.ndarray, scale: float) -> float:
    """Distance of a follower's output (C,) from the best leader's."""
    if kind in {"mse_logit", "geman_mcclure"}:
        squared = float(((y - best) ** 2).mean())
        return squared if kind == "mse_logit" else squared / (squared + scale)
    p, q = softmax(y), softmax(best)
    if kind == "kl":
        return float((q * np.log(q / p)).sum())
    return float(((p - q) ** 2).mean())


class Memory:
    """What the workers' losses of earlier batches say, for selection by epoch or running mean."""

    def __init__(self, num_workers: int, decay: float) -> None:
        self.decay = decay
        self.running: np.ndarray | None = None
        self.last_epoch: np.ndarray | None = None
        self.latest = np.zeros(num_workers)
        self.epoch: list[np.ndarray] = []

    def see(self, losses_BW: np.ndarray) -> None:
        self.latest = losses_BW.mean(0)
        before = self.latest if self.running is None else self.running
        self.running = self.decay * before + (1 - self.decay) * self.latest
        self.epoch += list(losses_BW)

    def end_epoch(self) -> None:
        self.last_epoch = np.mean(self.epoch, axis=0)
        self.epoch = []

    def ranking(self, selection: str) -> np.ndarray:
        if selection == "running":
            assert self.running is not None
            return self.running
        return self.latest if self.last_epoch is None else self.last_epoch


def ranking(losses_BW: np.ndarray, selection: str, memory: Memory | None = None) -> np.ndarray:
    """By what leaders are chosen, for every sample and worker: (B, W)."""
    if selection == "sample":
        return losses_BW
    if selection == "batch":
        return np.tile(losses_BW.mean(0), (len(losses_BW), 1))
    assert memory is not None
    memory.see(losses_BW)
    return np.tile(memory.ranking(selection), (len(losses_BW), 1))


def leader_follower_loss(
    losses_BW: np.ndarray,
    ranking_BW: np.ndarray,
    y_BWC: np.ndarray,
    num_leaders: int,
    config: ObjectiveConfig,
) -> tuple[float, float]:
    """Mean prediction loss of the leaders, mean distance of the followers from the best leader."""
    batch, workers = losses_BW.shape
    order = [sorted(range(workers), key=lambda w, b=b: (ranking_BW[b, w], w)) for b in range(batch)]
    best = [y_BWC[b, order[b][0]] for b in range(batch)]
    every = [((y_BWC[b, w] - best[b]) ** 2).mean() for b in range(batch) for w in range(workers)]
    lead, follow = [], []
    for b in range(batch):
        lead += [losses_BW[b, w] for w in order[b][:num_leaders]]
        follow += [
            distance(config.follower_distance, y_BWC[b, w], best[b], float(np.mean(every)))
            for w in order[b][num_leaders:]
        ]
    return float(np.mean(lead)), float(np.mean(follow)) if follow else 0.0
