"""What every block and every worker of a network says of one volume, in years."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from brainage.bundle.model import Member


@dataclass(frozen=True)
class BlockAnswers:
    """One block of one network: ages by its output head and by its workers, where it has them."""

    block: int
    head_years: float | None
    worker_years: tuple[float, ...]


@torch.no_grad()
def block_answers(member: Member, volume_XYZ: npt.NDArray[np.float32]) -> list[BlockAnswers]:
    """All blocks of a network, first to last; blocks are counted from 1."""
    answers = []
    outputs = member.chain.all_outputs(torch.from_numpy(volume_XYZ)[None, None])
    for number, each in enumerate(outputs, start=1):
        head_BC, workers_BWC = each.prediction_BC, each.workers_BWC
        head_years = None if head_BC is None else float(member.task.predict(head_BC)[0])
        workers = [] if workers_BWC is None else member.task.predict(workers_BWC)[0].tolist()
        answers.append(BlockAnswers(number, head_years, tuple(float(age) for age in workers)))
    return answers
