"""Features arrive as they were sent, in bounded queues; who waits in vain says for whom."""

import pytest
import torch

from brainage.errors import RankError
from tests.distributed.messages import (
    features_of,
    gather_in_vain,
    pass_on,
    seconds_to_send,
    wait_in_vain,
)
from tests.distributed.processes import run_ranks

pytestmark = pytest.mark.distributed

SIZES = [4, 1, 3, 4, 2, 7]


def test_features_keep_their_values_and_their_layout() -> None:
    """Also where the layout changes between messages, as it does for a batch of one."""
    sent = features_of(SIZES, alternate=True)
    _, received = run_ranks(2, pass_on, SIZES, None)
    for features, (got, strides) in zip(sent, received, strict=True):
        assert torch.equal(got, features)
        assert strides == features.stride()[1:]


def test_half_size_transport_rounds_and_keeps_the_type() -> None:
    sent = features_of(SIZES, alternate=True)
    _, received = run_ranks(2, pass_on, SIZES, torch.bfloat16)
    for features, (got, _) in zip(sent, received, strict=True):
        assert got.dtype == features.dtype
        assert torch.equal(got, features.bfloat16().float())


def test_a_queue_is_bounded() -> None:
    """A sender is ahead by the depth of its queue, not by more."""
    shallow = run_ranks(2, seconds_to_send, 1, 8, 0.1)[0]
    deep = run_ranks(2, seconds_to_send, 8, 8, 0.1)[0]
    assert deep < 0.3
    assert shallow > 0.5


def test_ranks_that_wait_for_a_hung_one_give_up() -> None:
    _, error = run_ranks(2, gather_in_vain, timeout_seconds=1)
    assert isinstance(error, RankError)
    assert "rank 1: another rank is gone or hangs" in str(error)


def test_a_peer_that_hangs_times_out_and_is_named() -> None:
    _, error = run_ranks(2, wait_in_vain, 3, timeout_seconds=1)
    assert isinstance(error, RankError)
    assert "rank 1: no features came from rank 0" in str(error)
    assert "Timed out" in str(error)
