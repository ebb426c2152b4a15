"""What two ranks say to one another over a link."""

import time
from typing import Any

import torch
from torch import Tensor

from brainage.core.links import Receiver, Sender
from brainage.core.placement import Piece
from brainage.core.ranks import ProcessRanks

CPU = torch.device("cpu")


def features_of(sizes: list[int], *, alternate: bool) -> list[Tensor]:
    """Features (B, 3, 2, 4, 5) of so many samples; ``alternate``: every other channels last."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for index, size in enumerate(sizes):
        features = torch.randn(size, 3, 2, 4, 5, generator=generator)
        if alternate and index % 2 == 0:
            features = features.contiguous(memory_format=torch.channels_last_3d)
        found.append(features)
    return found


def everything(features: Tensor, peer: int) -> list[Piece]:
    return [Piece(peer, 0, len(features))]


def pass_on(ranks: ProcessRanks, sizes: list[int], dtype: torch.dtype | None) -> list[Any]:
    """Rank 0 sends, rank 1 returns copies of what it got, with their strides."""
    messages = features_of(sizes, alternate=True)
    if ranks.rank == 0:
        sender = Sender(2, dtype, [1])
        for features in messages:
            sender.send(features, everything(features, 1))
        sender.flush()
        return []
    receiver = Receiver(2, CPU, 0, dtype)
    receiver.expect([everything(features, 0) for features in messages])
    got = []
    for features in messages:
        here = receiver.receive(everything(features, 0))
        got.append((here.clone(), here.stride()[1:]))
    return got


def seconds_to_send(ranks: ProcessRanks, depth: int, num_messages: int, pause: float) -> float:
    """How long rank 0 takes to send, while rank 1 takes a message every ``pause`` seconds."""
    messages = features_of([1] * num_messages, alternate=False)
    ranks.gather(None)
    begun = time.perf_counter()
    if ranks.rank == 0:
        sender = Sender(depth, None, [1])
        for features in messages:
            sender.send(features, everything(features, 1))
        seconds = time.perf_counter() - begun
        sender.flush()
        return seconds
    receiver = Receiver(1, CPU, 0, None)
    for features in messages:
        receiver.receive(everything(features, 0))
        time.sleep(pause)
    return 0.0


def gather_in_vain(ranks: ProcessRanks) -> None:
    """Rank 1 gathers what rank 0 does not give."""
    if ranks.rank == 0:
        time.sleep(2)
    else:
        ranks.gather(None)


def wait_in_vain(ranks: ProcessRanks, num_samples: int) -> float:
    """Rank 1 waits for features that rank 0 does not send; how long it waited."""
    if ranks.rank == 0:
        time.sleep(2)
        return 0.0
    begun = time.perf_counter()
    receiver = Receiver(2, CPU, 0, None)
    try:
        receiver.receive([Piece(0, 0, num_samples)])
    except Exception as error:
        error.add_note(f"{time.perf_counter() - begun:.1f}")
        raise
    return 0.0
