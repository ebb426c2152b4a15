"""Random streams that depend on where they are used, never on what was drawn before.

Dropout, initial weights, order and augmentation are seeded from (seed, purpose, position). A
resumed run, another number of devices or another order of work therefore sees the same numbers,
and no generator state needs to be stored.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed from a path of numbers and words, e.g. ``derive_seed(seed, "dropout", 3, 0)``.

    Equal parts give equal seeds on every machine; different parts give unrelated ones.
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


@contextmanager
def random_stream(*parts: int | str) -> Iterator[None]:
    """Seed torch's generators for the body; the caller's generator states come back after it."""
    # device_count() is 0 on a machine without an accelerator, and does not start one.
    devices = list(range(torch.cuda.device_count()))
    seed = derive_seed(*parts)
    with torch.random.fork_rng(devices=devices):
        # torch.manual_seed would also queue a call, with a traceback, for every accelerator that
        # might yet appear: half of a small network's step, and a queue that only grows.
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed_all(seed)
        yield
