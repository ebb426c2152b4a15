"""Settings of the method and of training. One default each, ranges checked on construction."""

from dataclasses import dataclass
from typing import Any, Literal

ObjectiveName = Literal["bp", "bp_deep_supervision", "lfnn", "lfnn_l"]
FollowerDistance = Literal["mse_probability", "kl", "mse_output"]
LeaderSelection = Literal["sample", "batch"]

FORBID_UNKNOWN: dict[str, Any] = {"extra": "forbid"}


def require(condition: bool, field: str, expected: str, got: object) -> None:
    """Refuse a value out of range, naming the field, what was expected and what was got."""
    if not condition:
        raise ValueError(f"{field}: expected {expected}, got {got!r}")


@dataclass(frozen=True, kw_only=True)
class BlocksConfig:
    """How the backbone's stages are grouped into blocks."""

    __pydantic_config__ = FORBID_UNKNOWN

    num_blocks: int = 4
    """Number of contiguous blocks K."""
    cuts: tuple[int, ...] | None = None
    """Stages before each cut, e.g. ``[1, 2]``: blocks of stage 0, stage 1, the rest. Without
    cuts the stages are spread evenly by number."""

    def __post_init__(self) -> None:
        require(self.num_blocks >= 1, "num_blocks", "at least 1", self.num_blocks)
        if self.cuts is not None:
            rising = all(a < b for a, b in zip((0, *self.cuts), self.cuts, strict=False))
            require(rising, "cuts", "rising positive stage counts", self.cuts)
            fits = len(self.cuts) == self.num_blocks - 1
            require(fits, "cuts", f"{self.num_blocks - 1} cuts for num_blocks", self.cuts)


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """Workers and output heads of the blocks."""

    __pydantic_config__ = FORBID_UNKNOWN

    num_lf_workers: int = 4
    """Workers W of each block."""
    readout: Literal["block", "group"] = "block"
    """What a worker reads: all features of its block, or its own share of the channels."""
    pooled_size: int = 4
    """Features are average-pooled to at most this many positions along each axis. 1 is global
    pooling; more keeps position, which helps where scans share a template."""
    hidden_size: int | None = None
    """Width of a hidden layer in the output heads; none is a linear head."""
    dropout: float = 0.0
    """Dropout before every head."""
    output_block_workers: bool = True
    """Whether the output block has workers of its own beside its output head."""
    probe_hidden_blocks: bool = True
    """Give hidden blocks an output head on detached features: it predicts, it teaches nothing."""

    def __post_init__(self) -> None:
        require(self.num_lf_workers >= 1, "num_lf_workers", "at least 1", self.num_lf_workers)
        require(self.pooled_size >= 1, "pooled_size", "at least 1", self.pooled_size)
        valid = self.hidden_size is None or self.hidden_size >= 1
        require(valid, "hidden_size", "at least 1 or null", self.hidden_size)
        require(0 <= self.dropout < 1, "dropout", "a fraction in [0, 1)", self.dropout)


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """What a worker predicts and how its prediction loss is measured."""

    __pydantic_config__ = FORBID_UNKNOWN

    name: Literal["regression", "soft_bins", "classification"] = "soft_bins"
    """``regression``: one standardised number. ``soft_bins``: a distribution over age bins.
    ``classification``: logits of classes."""
    loss: Literal["l1", "mse"] = "l1"
    """Loss on the standardised number (``regression`` only)."""
    num_bins: int = 32
    """Bins over the training range of ages (``soft_bins``)."""
    bin_softness: float = 1.0
    """Width of the soft target: standard deviation in bin widths (``soft_bins``)."""
    l1_weight: float = 1.0
    """Weight of the L1 loss of the expected age beside the distribution's loss (``soft_bins``)."""
    num_classes: int | None = None
    """Number of classes (``classification``)."""

    def __post_init__(self) -> None:
        require(self.num_bins >= 2, "num_bins", "at least 2", self.num_bins)
        require(self.bin_softness > 0, "bin_softness", "a positive number", self.bin_softness)
        require(self.l1_weight >= 0, "l1_weight", "zero or more", self.l1_weight)
        if self.name == "classification":
            valid = self.num_classes is not None and self.num_classes >= 2
            require(valid, "num_classes", "at least 2 for classification", self.num_classes)


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """The training rule.

    Source: supplement, tables S8 (which losses) and S9 (lambda).
    """

    __pydantic_config__ = FORBID_UNKNOWN

    name: ObjectiveName = "lfnn_l"
    """``bp``, ``bp_deep_supervision``, ``lfnn`` or ``lfnn_l`` (LFNN-l)."""
    leader_fraction: float = 1.0
    """delta: the share of workers that lead, in (0, 1]; ceil(delta * W) of them."""
    selection: LeaderSelection = "sample"
    """Leaders are chosen for each sample, or once for the whole batch."""
    follower_distance: FollowerDistance = "mse_probability"
    """How far a follower is from the best leader: of probabilities (mean squared error or KL
    divergence), or of the plain outputs (logits or standardised ages)."""
    leader_weight: float = 1.0
    """lambda_1: weight of the leaders' prediction loss."""
    follower_weight: float = 1.0
    """lambda_2: weight of the followers' alignment loss."""
    deep_supervision_weight: float = 1.0
    """a_k: weight of each hidden block's head in ``bp_deep_supervision``."""

    def __post_init__(self) -> None:
        fraction = self.leader_fraction
        require(0 < fraction <= 1, "leader_fraction", "a fraction in (0, 1]", fraction)
        for field in ("leader_weight", "follower_weight", "deep_supervision_weight"):
            require(getattr(self, field) >= 0, field, "zero or more", getattr(self, field))


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
    device: str = "auto"
    """``auto`` (an accelerator when there is one), ``cpu``, ``cuda`` or ``cuda:1``."""

    def __post_init__(self) -> None:
        for field in ("epochs", "batch_size", "validate_every", "checkpoint_every"):
            require(getattr(self, field) >= 1, field, "at least 1", getattr(self, field))
        kind, _, index = self.device.partition(":")
        known = kind in {"auto", "cpu", "cuda"} and (not index or index.isdigit())
        require(known, "device", "auto, cpu, cuda or cuda:N", self.device)
