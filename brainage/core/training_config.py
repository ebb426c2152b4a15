"""Settings of training: optimizer, schedule, engine and trainer; ranges checked on construction."""

import re
from dataclasses import dataclass
from typing import Literal

from brainage.core.config import FORBID_UNKNOWN, require


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """One optimizer of this kind for every block."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    """AdamW, Adam, or SGD with Nesterov momentum."""
    learning_rate: float = 1e-3
    """Highest learning rate of the schedule."""
    weight_decay: float = 0.01
    """Weight decay; not applied to biases and normalisation parameters."""
    momentum: float = 0.9
    """Momentum (``sgd`` only)."""
    clip_norm: float | None = None
    """Largest gradient norm, of each block where blocks are isolated, else of the network."""

    def __post_init__(self) -> None:
        require(self.learning_rate > 0, "learning_rate", "a positive number", self.learning_rate)
        require(self.weight_decay >= 0, "weight_decay", "zero or more", self.weight_decay)
        require(0 <= self.momentum < 1, "momentum", "a fraction in [0, 1)", self.momentum)
        valid = self.clip_norm is None or self.clip_norm > 0
        require(valid, "clip_norm", "a positive number or null", self.clip_norm)


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Learning rate over the run: linear warm-up, then constant or half a cosine."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: Literal["cosine", "constant"] = "cosine"
    """Shape after the warm-up."""
    warmup_fraction: float = 0.05
    """Share of all steps spent warming up."""
    final_fraction: float = 0.0
    """Learning rate at the end, as a share of the highest."""

    def __post_init__(self) -> None:
        for field in ("warmup_fraction", "final_fraction"):
            require(0 <= getattr(self, field) < 1, field, "in [0, 1)", getattr(self, field))


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """How a step is carried out on the device.

    Precision changes results by rounding, averaged weights give another answer of the same run;
    the rest changes nothing but time and memory.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    micro_batches: int = 1
    """Parts of a batch run one after another, with gradients accumulated before the update. What
    compares the samples of a batch (batch normalisation, leaders by batch or running mean,
    similarity matching, the scale of ``geman_mcclure``) then sees a part of it."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """``bfloat16``: forward passes run under autocast; weights and losses stay float32."""
    channels_last: bool = False
    """Keep images and volumes with channels innermost, which many convolutions prefer."""
    compile_blocks: bool = False
    """Compile every block with ``torch.compile``; needs a C++ compiler on a CPU."""
    recompute_activations: bool = False
    """Keep only block boundaries in the forward pass and recompute the rest in the backward pass
    (activation checkpointing). For rules that differentiate through the whole network."""
    ema_decay: float | None = None
    """Decay of an exponential moving average of the weights, which then gives predictions."""

    def __post_init__(self) -> None:
        require(self.micro_batches >= 1, "micro_batches", "at least 1", self.micro_batches)
        valid = self.ema_decay is None or 0 < self.ema_decay < 1
        require(valid, "ema_decay", "in (0, 1) or null", self.ema_decay)


@dataclass(frozen=True, kw_only=True)
class EarlyStoppingConfig:
    """Stop when validation no longer gets better, and keep the weights of the best epoch.

    Watched is the validation error of the network's answer: MAE of ages, wrong classes. The
    schedule of the learning rate stays that of ``trainer.epochs``: with ``cosine`` a run that stops
    early has not come to its small learning rates.
    """

    __pydantic_config__ = FORBID_UNKNOWN

    patience: int = 10
    """Epochs without a better one after which training ends."""
    min_delta: float = 0.0
    """How much smaller an error has to be to count as better, in years or as a share."""

    def __post_init__(self) -> None:
        require(self.patience >= 1, "patience", "at least 1", self.patience)
        require(self.min_delta >= 0, "min_delta", "zero or more", self.min_delta)


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """Length and bookkeeping of a training run."""

    __pydantic_config__ = FORBID_UNKNOWN

    epochs: int = 30
    """Passes over the training set."""
    batch_size: int = 4
    """Samples in one step; the last batch of an epoch may be smaller."""
    validate_every: int = 1
    """Epochs between two evaluations on the validation set."""
    checkpoint_every: int = 1
    """Epochs between two checkpoints; the last epoch always writes one."""
    checkpoint_every_steps: int | None = None
    """Steps between two checkpoints within an epoch; null writes none there."""
    device: str = "auto"
    """``auto`` (an accelerator when there is one), ``cpu``, ``cuda`` or ``cuda:1``."""
    early_stopping: EarlyStoppingConfig | None = None
    """Stop by the validation part; null trains all epochs and keeps the last weights."""

    def __post_init__(self) -> None:
        for field in ("epochs", "batch_size", "validate_every", "checkpoint_every"):
            require(getattr(self, field) >= 1, field, "at least 1", getattr(self, field))
        every = self.checkpoint_every_steps
        valid = every is None or every >= 1
        require(valid, "checkpoint_every_steps", "at least 1 or null", every)
        known = re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", self.device) is not None
        require(known, "device", "auto, cpu, cuda or cuda:N", self.device)
