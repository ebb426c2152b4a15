import pytest

from brainage.workflows.images.processes import Died, in_processes

# Builtins, which every process finds; `eval` takes a task and the names that are shared.
DIES = "__import__('os').kill(__import__('os').getpid(), 9)"


def test_a_process_that_dies_costs_its_task_alone() -> None:
    found = dict(in_processes(["2 * n", DIES, "3 * n"], eval, {"n": 10}, jobs=2))
    assert found == {"2 * n": 20, DIES: Died(-9), "3 * n": 30}
    assert "exit code -9" in Died(-9).reason


@pytest.mark.slow
def test_what_a_process_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_processes(["1 / n", "1 + n"], eval, {"n": 0}, jobs=1))
