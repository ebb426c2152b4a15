"""The held-out scans of a run are scored once.

Whoever looks at a score and then changes the model has chosen by the scans that were to judge it.
A run therefore remembers which scans it has scored and with which networks, and refuses others.
"""

import hashlib
from collections.abc import Iterable, Mapping

from brainage.core.blocks import BlockChain
from brainage.errors import RunFolderError
from brainage.workflows.train.run_folder import RunFolder

SCORED = "scored"
"""Key of the record in ``run.json``."""


def scans_digest(keys: Iterable[str]) -> str:
    """SHA-256 that names a set of scans by their keys in the cache, in any order."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def networks_digest(chains: Mapping[str, BlockChain]) -> str:
    """SHA-256 of the weights of networks, by the parts of the run that trained them."""
    digest = hashlib.sha256()
    for part, chain in sorted(chains.items()):
        for name, value in chain.state_dict().items():
            digest.update(f"{part}/{name}:{value.dtype}:{tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def refuse_second_scoring(folder: RunFolder, scans: str, networks: str) -> None:
    """Refuse to score held-out scans again with other networks, or others with the same.

    Args:
        folder: of the run.
        scans: digest of the held-out scans.
        networks: digest of the networks that predict them.

    Raises:
        RunFolderError: if the run has been scored, and not like this.
    """
    known = folder.recall().get(SCORED)
    if known is None:
        return
    for what, name, now in (
        ("another model", "networks_sha256", networks),
        ("other scans", "scans_sha256", scans),
    ):
        if known[name] != now:
            raise RunFolderError(
                f"{folder.path}: its held-out scans have been scored once already, with {what} "
                f"({known[name][:12]}..., now {now[:12]}...); a second score would choose by the "
                "scans that are to judge: start a new run"
            )


def remember_scoring(folder: RunFolder, scans: str, networks: str, model_hash: str) -> None:
    """Keep what was scored in ``run.json``.

    Args:
        folder: of the run.
        scans: digest of the held-out scans.
        networks: digest of the networks that predicted them.
        model_hash: of the model that the run keeps.
    """
    record = {"scans_sha256": scans, "networks_sha256": networks, "model_hash": model_hash}
    folder.remember(**{SCORED: record})
