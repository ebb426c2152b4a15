import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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


PARENT = """
import sys
from brainage.workflows.images.processes import in_processes
if __name__ == "__main__":
    task = f"[open({sys.argv[1]!r}, 'w').write(str(__import__('os').getpid())), " \
        "__import__('time').sleep(60)]"
    list(in_processes([task], eval, {}, jobs=1))
"""


@pytest.mark.slow
def test_a_process_ends_when_its_parent_is_killed(tmp_path) -> None:
    script, told = tmp_path / "parent.py", tmp_path / "pid"
    script.write_text(PARENT, encoding="utf-8")
    parent = subprocess.Popen([sys.executable, str(script), str(told)])
    try:
        assert within(60, lambda: told.exists() and told.read_text() != "")
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    child = int(told.read_text())
    assert within(10, lambda: not is_running(child))


def within(seconds: float, condition) -> bool:
    last = time.monotonic() + seconds
    while not condition() and time.monotonic() < last:
        time.sleep(0.1)
    return condition()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        return stat.rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
