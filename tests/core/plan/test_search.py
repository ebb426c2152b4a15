"""The search against all possibilities."""

import math
from collections.abc import Iterator
from itertools import combinations, pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainage.core.plan.search import best_places

small = st.integers(1, 9)


def all_edges(first: int, stop: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Every way to part stages into consecutive non-empty groups."""
    for inner in combinations(range(first + 1, stop), parts - 1):
        yield (first, *inner, stop)


@st.composite
def problems(draw):
    num_stages = draw(st.integers(1, 5))
    table = {
        (first, stop): (draw(small), draw(small))
        for first in range(num_stages)
        for stop in range(first + 1, num_stages + 1)
    }
    on_top = {key: draw(st.integers(0, 4)) for key in table}
    return num_stages, draw(st.integers(1, 5)), draw(st.integers(1, 3)), table, on_top


def brute_force(problem, num_blocks: int | None) -> tuple[float, int]:
    """Least cost of the most costly place, and the fewest devices that reach it."""
    num_stages, num_devices, max_replicas, table, on_top = problem

    def place_cost(first: int, stop: int, blocks: int, replicas: int) -> float:
        def cost(edges):
            parts = [table[pair] for pair in pairwise(edges)]
            return sum(a / replicas for a, _ in parts) + max(p / replicas for _, p in parts)

        within = [cost(edges) for edges in all_edges(first, stop, blocks)]
        return min(within, default=math.inf) + on_top[first, stop]

    found = []
    for places in range(1, min(num_stages, num_devices) + 1):
        for edges in all_edges(0, num_stages, places):
            for replicas in product(range(1, max_replicas + 1), repeat=places):
                if sum(replicas) > num_devices:
                    continue
                counts = [(1,) * places]
                if num_blocks:
                    counts = [
                        each
                        for each in product(range(1, num_blocks + 1), repeat=places)
                        if sum(each) == num_blocks
                    ]
                for blocks in counts:
                    costs = [
                        place_cost(*pair, b, r)
                        for pair, b, r in zip(pairwise(edges), blocks, replicas, strict=True)
                    ]
                    found.append((max(costs), sum(replicas)))
    return min(found, default=(math.inf, 0))


@settings(max_examples=60, deadline=None)
@given(problems(), st.one_of(st.none(), st.integers(1, 5)))
def test_no_other_way_is_better(problem, num_blocks):
    num_stages, num_devices, max_replicas, table, on_top = problem

    def search():
        return best_places(
            num_stages,
            num_devices,
            block_cost=lambda a, b, r: (table[a, b][0] / r, table[a, b][1] / r),
            place_cost=lambda a, b, r: on_top[a, b],
            max_replicas=max_replicas,
            num_blocks=num_blocks,
        )

    expected = brute_force(problem, num_blocks)
    if num_blocks and num_blocks > num_stages:
        assert expected[0] == math.inf
        with pytest.raises(ValueError, match="cannot be laid"):
            search()
        return
    places = search()
    assert max(place.cost for place in places) == pytest.approx(expected[0])
    assert sum(place.replicas for place in places) == expected[1]
    edges = [edge for place in places for edge in place.edges[:-1]]
    assert [*edges, num_stages] == sorted({*edges, num_stages})
    assert places[0].edges[0] == 0
    assert sum(place.num_blocks for place in places) == (num_blocks or len(places))


def test_a_block_that_is_not_allowed_is_not_used():
    def cost(first, stop, replicas):
        return (math.inf if (first, stop) == (0, 1) else 1.0), 0.0

    (place,) = best_places(2, 2, block_cost=cost, place_cost=lambda a, b, r: 0.0)
    assert place.edges == (0, 2)
