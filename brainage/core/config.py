"""Settings of the method. One default each, ranges checked on construction."""

from dataclasses import dataclass
from typing import Any, Literal

ObjectiveName = Literal[
    "bp",
    "bp_deep_supervision",
    "lfnn",
    "lfnn_l",
    "greedy",
    "dgl",
    "predsim",
    "feedback_alignment",
    "direct_feedback_alignment",
    "forward_forward",
]
FollowerDistance = Literal["mse_probability", "kl", "mse_logit", "geman_mcclure"]
LeaderSelection = Literal["sample", "batch", "epoch", "running"]
Readout = Literal["block", "group", "units"]
Auxiliary = Literal["none", "mlp_sr", "downstream"]

LEADER_FOLLOWER_RULES = frozenset({"lfnn", "lfnn_l"})
"""Rules whose blocks have leader and follower workers."""

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
    cuts, ``balance`` decides."""
    balance: Literal["stages", "activation_bytes", "seconds"] = "stages"
    """What blocks share evenly: the number of stages, or the measured bytes of their activations
    with their gradients, or their measured time. The cuts found are kept with the run."""

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

    num_lf_workers: int | None = 4
    """Workers W of each block; null with readout ``units``: as many as the block's width gives."""
    readout: Readout = "block"
    """How a worker's prediction is read. ``block``: a linear head on all features of its block.
    ``group``: a linear head on its own share of the channels. ``units``: the averages of its own C
    channels are its C outputs, without any parameter."""
    pooled_size: int = 4
    """Features are average-pooled to at most this many positions along each axis. 1 is global
    pooling; more keeps position, which helps where scans share a template."""
    hidden_size: int | None = None
    """Width of a hidden layer in the output heads; none is a linear head."""
    dropout: float = 0.0
    """Dropout before every head."""
    output_block_workers: bool = True
    """Whether the output block has workers of its own beside its output head."""
    separate_output: bool = False
    """Train the output head on detached features, as a block of its own."""
    auxiliary: Auxiliary = "none"
    """Auxiliary network between a hidden block's features and its heads. ``mlp_sr``: 1x1
    convolutions and a small MLP (DGL). ``downstream``: stages sampled uniformly from those behind
    the block (AugLocal)."""
    auxiliary_depth: int = 2
    """Stages of a ``downstream`` auxiliary network; fewer where fewer are left."""
    probe_hidden_blocks: bool = True
    """Give hidden blocks an output head on detached features: it predicts, it teaches nothing."""

    def __post_init__(self) -> None:
        given = self.num_lf_workers
        valid = self.readout == "units" if given is None else given >= 1
        require(valid, "num_lf_workers", "at least 1, or null with readout 'units'", given)
        require(self.auxiliary_depth >= 1, "auxiliary_depth", "at least 1", self.auxiliary_depth)
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
    """``lfnn_l`` (LFNN-l), ``lfnn``, or a control: ``bp``, ``bp_deep_supervision``, ``greedy``
    (block after block), ``dgl``, ``predsim``, ``feedback_alignment``,
    ``direct_feedback_alignment``, ``forward_forward`` (classes only)."""
    leader_fraction: float = 1.0
    """delta: the share of workers that lead, in (0, 1]; ceil(delta * W) of them."""
    final_leader_fraction: float | None = None
    """delta at the end of training, reached linearly from ``leader_fraction``."""
    adaptive_leader_fraction: bool = False
    """Set delta from the complexity of the training data, before training."""
    selection: LeaderSelection = "sample"
    """Leaders are chosen for each sample, for the whole batch, by the mean loss of the last epoch
    (the first goes by batch), or by a running mean over batches."""
    running_decay: float = 0.9
    """Decay of the running mean of each worker's loss, per batch (selection ``running``)."""
    follower_distance: FollowerDistance = "mse_probability"
    """How far a follower is from the best leader. Of distributions: ``mse_probability`` or ``kl``.
    Of plain outputs, logits or standardised ages: ``mse_logit``, or ``geman_mcclure``, which is
    bounded and free of scale."""
    leader_weight: float = 1.0
    """lambda_1: weight of the leaders' prediction loss; 0 is the follower-only variant."""
    follower_weight: float = 1.0
    """lambda_2 (lambda in LFNN-l): weight of the followers' alignment loss; 0 is leader-only."""
    follower_warmup_fraction: float = 0.0
    """Share of training over which the followers' weight grows linearly from zero."""
    followers_share_global: bool = True
    """Whether the global loss of ``lfnn`` also trains followers (readout ``units`` or ``group``,
    where a worker owns channels)."""
    deep_supervision_weight: float = 1.0
    """a_k: weight of each hidden block's head in ``bp_deep_supervision``."""
    similarity_weight: float | None = None
    """beta: share of the similarity-matching loss in a hidden block's own loss, the rest going to
    its prediction losses. Null: 0.99 in ``predsim``, none elsewhere."""

    def __post_init__(self) -> None:
        fraction = self.leader_fraction
        require(0 < fraction <= 1, "leader_fraction", "a fraction in (0, 1]", fraction)
        final = self.final_leader_fraction
        valid = final is None or 0 < final <= 1
        require(valid, "final_leader_fraction", "a fraction in (0, 1] or null", final)
        both = self.adaptive_leader_fraction and final is not None
        require(not both, "final_leader_fraction", "null with adaptive_leader_fraction", final)
        require(0 < self.running_decay < 1, "running_decay", "in (0, 1)", self.running_decay)
        for field in ("leader_weight", "follower_weight", "deep_supervision_weight"):
            require(getattr(self, field) >= 0, field, "zero or more", getattr(self, field))
        warmup = self.follower_warmup_fraction
        require(0 <= warmup <= 1, "follower_warmup_fraction", "a fraction in [0, 1]", warmup)
        beta = self.similarity_weight
        valid = beta is None or 0 <= beta <= 1
        require(valid, "similarity_weight", "a fraction in [0, 1] or null", beta)

    @property
    def similarity_share(self) -> float:
        """beta, with its default filled in. Source: 0.99 in Nokland & Eidnes 2019."""
        if self.similarity_weight is None:
            return 0.99 if self.name == "predsim" else 0.0
        return self.similarity_weight

    @property
    def has_followers(self) -> bool:
        """Whether some workers follow at any time."""
        partial = min(self.leader_fraction, self.final_leader_fraction or 1.0) < 1
        return self.name in LEADER_FOLLOWER_RULES and (partial or self.adaptive_leader_fraction)
