"""What each training rule asks of a network: which heads teach, and how far gradients reach."""

from dataclasses import dataclass
from typing import Literal

from brainage.core.config import ObjectiveName

Scope = Literal["network", "block", "feedback"]
HiddenOutputs = Literal["none", "probe", "taught"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Traits of one training rule."""

    scope: Scope
    """How far a loss reaches. ``network``: through every block before it. ``block``: its own block,
    which is updated at once. ``feedback``: its own block, by the network's error (DFA)."""
    workers: bool = False
    """Whether blocks have leader and follower workers."""
    hidden_outputs: HiddenOutputs = "none"
    """Output heads of hidden blocks: none; probes, which teach nothing; or heads whose prediction
    loss teaches."""
    sequential: bool = False
    """Whether blocks train one after the other, the earlier ones frozen."""
    similarity: bool = False
    """Whether hidden blocks match similarities between samples."""
    fixed_feedback: bool = False
    """Whether errors travel back through fixed random weights (feedback alignment)."""
    contrasts: bool = False
    """Whether blocks tell right from wrong labels instead of predicting (forward-forward)."""

    @property
    def isolated(self) -> bool:
        """Whether no gradient crosses a block boundary."""
        return self.scope != "network"

    def num_phases(self, num_blocks: int) -> int:
        """How often the whole schedule runs: once, or once for each block in turn."""
        return num_blocks if self.sequential else 1


RULES: dict[ObjectiveName, Rule] = {
    "bp": Rule(scope="network"),
    "bp_deep_supervision": Rule(scope="network", hidden_outputs="taught"),
    "lfnn": Rule(scope="network", workers=True, hidden_outputs="probe"),
    "lfnn_l": Rule(scope="block", workers=True, hidden_outputs="probe"),
    # Belilovsky et al. 2019 (greedy) and 2020 (decoupled greedy learning)
    "greedy": Rule(scope="block", hidden_outputs="taught", sequential=True),
    "dgl": Rule(scope="block", hidden_outputs="taught"),
    # Nokland & Eidnes 2019
    "predsim": Rule(scope="block", hidden_outputs="taught", similarity=True),
    # Lillicrap et al. 2016
    "feedback_alignment": Rule(scope="network", fixed_feedback=True),
    # Nokland 2016
    "direct_feedback_alignment": Rule(scope="feedback", hidden_outputs="probe"),
    # Hinton 2022
    "forward_forward": Rule(scope="block", contrasts=True),
}
