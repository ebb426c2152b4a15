"""The same networks with random weights, to see whether a map depends on what was learned.

Source: Adebayo et al. 2018, NeurIPS, "Sanity checks for saliency maps" (cascading randomisation).
"""

from collections.abc import Sequence

from brainage.bundle.model import Member, ModelBundle
from brainage.bundle.network import build_network
from brainage.config.candidates import with_overrides
from brainage.core.random import derive_seed


def randomised_members(bundle: ModelBundle, first_block: int, seed: int) -> tuple[Member, ...]:
    """Copies of a model's networks whose blocks from ``first_block`` on have fresh weights.

    Args:
        bundle: stays as it is.
        first_block: counted from 1; 1 randomises everything.
        seed: of the weights.
    """
    return tuple(
        _randomised(bundle, member, first_block, derive_seed(seed, "sanity", member.name))
        for member in bundle.members
    )


def _randomised(bundle: ModelBundle, member: Member, first_block: int, seed: int) -> Member:
    own = with_overrides(bundle.config, member.overrides) if member.overrides else bundle.config
    chain, _ = build_network(own, member.task, bundle.input_shape, seed % 2**31)
    kept: Sequence[object] = list(member.chain)[: first_block - 1]
    for fresh, trained in zip(list(chain)[: len(kept)], member.chain, strict=False):
        fresh.load_state_dict(trained.state_dict())
    return Member(member.name, member.task, chain.eval(), member.overrides)
