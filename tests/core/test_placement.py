"""Who has which blocks and which samples: everything once, nothing forgotten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainage.core.placement import (
    ParallelConfig,
    Placement,
    own_samples,
    pieces,
    settle_placement,
    spread,
)

counts = st.lists(st.integers(1, 4), min_size=1, max_size=5)


@given(counts, st.data())
def test_every_block_and_every_rank_has_one_place(blocks: list[int], data: st.DataObject) -> None:
    replicas = data.draw(st.lists(st.integers(1, 3), min_size=len(blocks), max_size=len(blocks)))
    placement = Placement(tuple(blocks), tuple(replicas))
    places = placement.places
    held = [block for place in places for block in range(place.first, place.stop)]
    assert held == list(range(placement.num_blocks))
    ranks = [rank for place in places for rank in place.ranks]
    assert ranks == list(range(placement.world_size))
    assert all(rank in places[placement.place_of(rank)] for rank in ranks)


@given(st.integers(0, 20), st.integers(1, 6))
def test_replicas_share_out_a_batch_and_the_first_is_never_idle(
    num_samples: int, num_replicas: int
) -> None:
    parts = [own_samples(num_samples, each, num_replicas) for each in range(num_replicas)]
    assert [sample for part in parts for sample in part] == list(range(num_samples))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert (len(parts[0]) > 0) == (num_samples > 0)


@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 5))
def test_what_is_sent_is_what_is_received(num_samples: int, before: int, behind: int) -> None:
    """Seen from both sides of a boundary, every sample travels once, between the same two ranks."""
    sent, received = set(), set()
    for sender in range(before):
        mine = own_samples(num_samples, sender, before)
        for piece in pieces(num_samples, mine, range(behind)):
            samples = mine[piece.start : piece.stop]
            sent |= {(sender, piece.peer, sample) for sample in samples}
    for receiver in range(behind):
        mine = own_samples(num_samples, receiver, behind)
        for piece in pieces(num_samples, mine, range(before)):
            samples = mine[piece.start : piece.stop]
            received |= {(piece.peer, receiver, sample) for sample in samples}
    assert sent == received
    assert sorted(sample for _, _, sample in sent) == list(range(num_samples))


@given(st.integers(1, 12), st.integers(1, 12))
def test_without_settings_blocks_and_devices_are_spread_evenly(
    num_blocks: int, world_size: int
) -> None:
    placement = settle_placement(ParallelConfig(), num_blocks, world_size)
    assert placement.num_blocks == num_blocks
    assert placement.world_size == world_size
    for each in (placement.blocks_per_place, placement.replicas):
        assert max(each) - min(each) <= 1


def test_what_is_left_over_goes_to_the_first_parts() -> None:
    assert spread(7, 3) == (3, 2, 2)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (ParallelConfig(blocks_per_place=(1, 2)), "expected 4 blocks in all"),
        (ParallelConfig(replicas=(1, 1)), "expected 3 devices in all"),
        (ParallelConfig(replicas=(1, 1, 1, 1, 1)), "expected at most 4 places"),
        (ParallelConfig(blocks_per_place=(1, 1, 1, 1)), "4 places need as many devices, got 3"),
        (ParallelConfig(blocks_per_place=(4,), replicas=(1, 2)), "as many replicas"),
    ],
)
def test_numbers_that_do_not_add_up_are_refused(config: ParallelConfig, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        settle_placement(config, num_blocks=4, world_size=3)


@pytest.mark.parametrize(
    "changes",
    [
        {"blocks_per_place": (0, 1)},
        {"replicas": ()},
        {"queue_depth": 0},
        {"timeout_seconds": 0},
        {"max_restarts": -1},
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        ParallelConfig(**changes)
