"""Where the training scans of a run lie in its networks' features, for telling strange scans."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from brainage.bundle.fit_space import Floats, distance_limit, embed, fit_member_space
from brainage.bundle.honest_numbers import one_scan_each
from brainage.bundle.training_space import MemberSpace, TrainingSpace
from brainage.core.blocks import BlockChain
from brainage.core.random import derive_seed
from brainage.errors import CohortError
from brainage.workflows.train.finished_run import FinishedRun
from brainage.workflows.train.fitting import device_of
from brainage.workflows.train.plan_fits import PlannedFit

MOST_SCANS = 500
"""Scans that are embedded for one network, and held-out scans altogether."""


class RunSpace(NamedTuple):
    """The space, what ``calibration.json`` says of it, and else why there is none."""

    space: TrainingSpace | None
    facts: dict[str, Any] | None
    reason: str | None


def fit_run_space(run: FinishedRun) -> RunSpace:
    """The space of the kept networks; its limit is that of scans their networks did not see."""
    tested = [part for part in run.planned if part.split.test and part.repeat == 0]
    kept = {part.name for part in run.kept_parts}
    spaces: dict[str, MemberSpace] = {}
    distances: list[float] = []
    for part in (*tested, *(each for each in run.kept_parts if each not in tested)):
        with _network(run, part) as chain:
            space = fit_member_space(_embedded(run, chain, part.split.train, MOST_SCANS))
            most = max(1, MOST_SCANS // len(tested))
            if part in tested:
                held_out = _embedded(run, chain, part.split.test, most)
                distances += [space.distance(features_F) for features_F in held_out]
        if part.name in kept:
            spaces[part.name] = space
    try:
        limit, beyond = distance_limit(np.array(distances))
    except CohortError as error:
        return RunSpace(None, None, str(error))
    members = tuple(spaces[part.name] for part in run.kept_parts)
    facts = {
        "most": limit,
        "expected_beyond": beyond,
        "held_out_scans": len(distances),
        "held_out_median": float(np.median(distances)),
    }
    return RunSpace(TrainingSpace(members, limit), facts, None)


@contextmanager
def _network(run: FinishedRun, part: PlannedFit) -> Iterator[BlockChain]:
    """A part's network where it can be asked fastest; afterwards it is where it was."""
    chain = run.fits[part.name].chain
    before, training = next(chain.parameters()).device, chain.training
    try:
        yield chain.to(device_of(run.config)).eval()
    finally:
        chain.to(before).train(training)


def _embedded(run: FinishedRun, chain: BlockChain, indices: Sequence[int], most: int) -> Floats:
    """Features (N, F) of one scan of each subject, of at most so many, drawn evenly."""
    seed = derive_seed(run.config.seed, "training space")
    subjects = [run.cohort.records[index].subject for index in indices]
    chosen = np.asarray(indices)[one_scan_each(subjects, seed)]
    if len(chosen) > most:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, most, replace=False))
    return embed(chain, run.cohort.volumes.subset([int(index) for index in chosen]))
