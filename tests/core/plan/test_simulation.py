"""Programs on a machine in miniature: clock, queues, barriers, shared cores."""

import pytest

from brainage.core.plan.simulation import (
    Barrier,
    Give,
    Machine,
    Meet,
    SharedCores,
    Take,
    Tokens,
    Work,
)


def ends(programs, shared=None):
    """When each program ends; a program is a list of requests."""
    machine = Machine(shared)
    times = {}

    def run(name, requests):
        yield from requests
        times[name] = machine.now

    for name, requests in programs.items():
        machine.start(run(name, requests))
    machine.run()
    return times


def test_programs_with_devices_of_their_own_work_at_once():
    assert ends({"a": [Work(2), Work(1)], "b": [Work(5)]}) == {"a": 3, "b": 5}


def test_who_takes_waits_for_who_gives():
    tokens = Tokens()
    times = ends({"taker": [Take(tokens), Work(1)], "giver": [Work(4), Give(tokens), Work(2)]})
    assert times == {"taker": 5, "giver": 6}


def test_what_lies_there_is_taken_at_once():
    assert ends({"a": [Take(Tokens(1)), Work(1)]}) == {"a": 1}


def test_nobody_gives_and_nobody_goes_on():
    assert ends({"a": [Take(Tokens())], "b": [Work(1)]}) == {"b": 1}


def test_a_barrier_lets_all_go_when_the_last_has_come_and_closes_again():
    barrier = Barrier(2)
    slow = [Work(3), Meet(barrier), Work(1), Meet(barrier)]
    fast = [Work(1), Meet(barrier), Work(5), Meet(barrier)]
    assert ends({"slow": slow, "fast": fast}) == {"slow": 8, "fast": 8}


def test_three_programs_share_two_cores_evenly_until_one_is_done():
    # Each gets two thirds of a core: 2 s of work take 3 s; then two have a core each.
    times = ends({"a": [Work(2)], "b": [Work(4)], "c": [Work(4)]}, SharedCores(2))
    assert times == pytest.approx({"a": 3, "b": 5, "c": 5})


def test_work_of_several_threads_takes_its_part_of_the_cores():
    times = ends({"a": [Work(2, threads=2)], "b": [Work(2, threads=2)]}, SharedCores(2))
    assert times == pytest.approx({"a": 4, "b": 4})


def test_what_needs_no_core_is_not_slowed_by_those_that_do():
    work = {name: [Work(1)] for name in "abcd"}
    times = ends({"wire": [Work(1, threads=0)], **work}, SharedCores(1))
    assert times == pytest.approx({"wire": 1, "a": 4, "b": 4, "c": 4, "d": 4})


def test_a_busy_machine_is_slower_by_what_was_measured():
    cores = SharedCores(3, slowdown=1.5)
    assert cores.speed(1) == 1
    assert cores.speed(2) == pytest.approx(1 / 1.25)
    assert cores.speed(3) == pytest.approx(1 / 1.5)
    assert cores.speed(6) == pytest.approx(0.5 / 1.5)


def test_no_work_takes_no_time():
    assert ends({"a": [Work(0)] * 3}) == {"a": 0}
