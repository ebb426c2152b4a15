"""Features on their way from one place to the next: sent early, received ahead, in bounded queues.

A message holds the features of one batch or micro-batch. A sender posts it right after its forward
pass and goes on; it waits only when ``queue_depth`` messages are under way. A receiver posts the
receives of coming messages into buffers that it keeps, so that they fill while it computes.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from brainage.core.placement import Piece
from brainage.core.ranks import short_reason
from brainage.errors import RankError

_DTYPES = (torch.float32, torch.bfloat16, torch.float64, torch.float16)
_MOST_AXES = 8


@dataclass(frozen=True)
class FeatureForm:
    """What is the same in every message: shape of one sample's features, and their type."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def size(self) -> int:
        """Numbers of one sample."""
        return torch.Size(self.shape).numel()

    @classmethod
    def of(cls, features: Tensor) -> "FeatureForm":
        """The form of features (B, ...)."""
        return cls(tuple(features.shape[1:]), features.dtype)

    def header(self, device: torch.device) -> Tensor:
        """As numbers that can be sent."""
        numbers = [_DTYPES.index(self.dtype), len(self.shape), *self.shape]
        numbers += [0] * (2 + _MOST_AXES - len(numbers))
        return torch.tensor(numbers, dtype=torch.int64, device=device)

    @classmethod
    def read(cls, header: Tensor) -> "FeatureForm":
        """From what ``header`` made."""
        kind, num_axes, *shape = header.tolist()
        return cls(tuple(shape[:num_axes]), _DTYPES[kind])

    def view(self, flat: Tensor, strides: Tensor) -> Tensor:
        """A flat buffer of whole samples as features (B, ...) that lie as they did at the sender.

        A layer's output for one sample may lie otherwise than for several, and a kernel that finds
        another layout rounds otherwise.
        """
        num_samples = flat.numel() // self.size
        axes = strides.tolist()[: len(self.shape)]
        return flat.as_strided((num_samples, *self.shape), (self.size, *axes))


def strides_of(features: Tensor) -> Tensor:
    """Strides of the axes behind the batch, as numbers that can be sent."""
    strides = features.stride()[1:]
    padded = [*strides, *[0] * (_MOST_AXES - len(strides))]
    return torch.tensor(padded, dtype=torch.int64, device=features.device)


def dense(features: Tensor) -> Tensor:
    """Features (B, ...) whose samples follow one another without gaps; as they are, if they do."""
    order = sorted(range(1, features.ndim), key=features.stride, reverse=True)
    if features.permute(0, *order).is_contiguous():
        return features
    return features.contiguous()


def flat_view(features: Tensor) -> Tensor:
    """The numbers of dense features in the order in which they lie in memory."""
    return features.as_strided((features.numel(),), (1,))


class Sender:
    """Sends the features of a place's last block to the ranks of the next place.

    Args:
        depth: messages that may be under way.
        dtype: of the numbers on their way; None leaves them as they are.
        announce_to: ranks that are told the form of the features before the first message.
    """

    def __init__(self, depth: int, dtype: torch.dtype | None, announce_to: Sequence[int]) -> None:
        self.depth = depth
        self.dtype = dtype
        self._to_tell = list(announce_to)
        # What is being sent is held here until it has left.
        self._under_way: deque[tuple[list[dist.Work], tuple[Tensor, Tensor]]] = deque()

    def send(self, features: Tensor, pieces: Sequence[Piece]) -> None:
        """Post one message, after waiting until the queue has room for it.

        Args:
            features: (B, ...) of this rank's samples, without a graph.
            pieces: which of them go to whom.

        Raises:
            RankError: if a receiver is gone or does not take them in time.
        """
        features = dense(features)
        form = FeatureForm.of(features)
        strides = strides_of(features)
        flat = flat_view(features)
        if self.dtype is not None:
            flat = flat.to(self.dtype)
        while len(self._under_way) >= self.depth:
            self._wait_for_oldest(pieces)
        works = []
        with _named(f"cannot send features to {_ranks(pieces)}"):
            for peer in self._to_tell:
                dist.send(form.header(flat.device), peer)
            self._to_tell = []
            for piece in pieces:
                part = flat[piece.start * form.size : piece.stop * form.size]
                works.append(_posted(dist.isend(strides, piece.peer)))
                works.append(_posted(dist.isend(part, piece.peer)))
        self._under_way.append((works, (strides, flat)))

    def flush(self) -> None:
        """Wait until everything has left.

        Raises:
            RankError: if a receiver is gone or does not take it in time.
        """
        while self._under_way:
            self._wait_for_oldest(())

    def _wait_for_oldest(self, pieces: Sequence[Piece]) -> None:
        works, _ = self._under_way[0]
        with _named(f"features were not taken by {_ranks(pieces) or 'the next place'}"):
            for work in works:
                work.wait()
        self._under_way.popleft()


class _Posted(NamedTuple):
    """A message whose receives are posted: into ``flat``, and the strides of each piece."""

    works: list[dist.Work]
    flat: Tensor
    strides: Tensor
    pieces: Sequence[Piece]


class Receiver:
    """Receives the features that the ranks of the place before send.

    Args:
        depth: buffers, each for one message: one is computed on, the others fill meanwhile.
        device: where the features go.
        announcer: the rank that tells their form.
        dtype: of the numbers on their way; None leaves them as they are.
    """

    def __init__(
        self, depth: int, device: torch.device, announcer: int, dtype: torch.dtype | None
    ) -> None:
        self.depth = depth
        self.device = device
        self.announcer = announcer
        self.dtype = dtype
        self._form: FeatureForm | None = None
        self._buffers: list[Tensor] = []
        self._expected: deque[Sequence[Piece]] = deque()
        self._posted: deque[_Posted] = deque()
        self._num_posted = 0

    def expect(self, messages: Sequence[Sequence[Piece]]) -> None:
        """Hear of messages to come, in order: which samples come from whom."""
        self._expected.extend(messages)

    def receive(self, pieces: Sequence[Piece]) -> Tensor:
        """The next message: features (B, ...), valid until the next call.

        Args:
            pieces: of this message; the ones expected next, if any are.

        Raises:
            RankError: if a sender is gone, or nothing comes in time.
        """
        if not self._expected and not self._posted:
            self._expected.append(pieces)
        self._post()
        message = self._posted.popleft()
        assert list(message.pieces) == list(pieces), "messages come as they were expected"
        with _named(f"no features came from {_ranks(pieces)}"):
            for work in message.works:
                work.wait()
        form = self._form
        assert form is not None
        return form.view(message.flat.to(form.dtype), message.strides[0])

    def _post(self) -> None:
        """Post receives until all buffers but the last message's are in use."""
        while self._expected and len(self._posted) < self.depth:
            pieces = self._expected.popleft()
            form = self._known_form()
            flat = self._buffer(max(piece.stop for piece in pieces) * form.size)
            strides = torch.zeros(len(pieces), _MOST_AXES, dtype=torch.int64, device=self.device)
            works = []
            with _named(f"no features came from {_ranks(pieces)}"):
                for piece, each in zip(pieces, strides, strict=True):
                    part = flat[piece.start * form.size : piece.stop * form.size]
                    works.append(_posted(dist.irecv(each, piece.peer)))
                    works.append(_posted(dist.irecv(part, piece.peer)))
            self._posted.append(_Posted(works, flat, strides, pieces))

    def _known_form(self) -> FeatureForm:
        if self._form is None:
            header = torch.zeros(2 + _MOST_AXES, dtype=torch.int64, device=self.device)
            with _named(f"no features came from rank {self.announcer}"):
                dist.recv(header, self.announcer)
            self._form = FeatureForm.read(header)
        return self._form

    def _buffer(self, size: int) -> Tensor:
        """The buffer whose turn it is; a larger one in its place if it is too small."""
        assert self._form is not None
        turn = self._num_posted % self.depth
        self._num_posted += 1
        if turn == len(self._buffers):
            self._buffers.append(torch.empty(0, device=self.device))
        kept = self._buffers[turn]
        dtype = self.dtype or self._form.dtype
        if kept.numel() < size or kept.dtype != dtype:
            kept = self._buffers[turn] = torch.empty(size, dtype=dtype, device=self.device)
        return kept[:size]


class _named:  # noqa: N801 - used like a function
    """Turns what ``torch.distributed`` raises into an error that says which rank waits for whom."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RuntimeError) and not isinstance(error, RankError):
            reason = short_reason(error)
            raise RankError(f"rank {dist.get_rank()}: {self.what}: {reason}") from error


def _posted(work: dist.Work | None) -> dist.Work:
    assert work is not None, "this process belongs to the group"
    return work


def _ranks(pieces: Sequence[Piece]) -> str:
    peers = sorted({piece.peer for piece in pieces})
    return ("rank " if len(peers) == 1 else "ranks ") + ", ".join(map(str, peers)) if peers else ""
