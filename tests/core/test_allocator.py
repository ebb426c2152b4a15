"""Freed memory that stays with the process is not cleared page by page again."""

import subprocess
import sys

import pytest

from brainage.core.allocator import keep_freed_memory, release_freed_memory

COUNT = """
import resource, sys, torch
from brainage.core.allocator import keep_freed_memory, release_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for repeat in range(24):
    if repeat == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(8 * 2**20)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize())
"""


def handed_out(choice: str) -> int:
    """Bytes the system cleared for four tensors of 32 MB after twenty like them were freed."""
    command = [sys.executable, "-c", COUNT, choice]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return int(done.stdout)


@pytest.mark.skipif(not keep_freed_memory(), reason="needs Linux with the GNU C library")
def test_large_tensors_find_the_memory_of_those_before() -> None:
    assert handed_out("keep") < 2**20
    assert handed_out("return") > 100 * 2**20


RELEASE = """
import torch
from brainage.core.allocator import keep_freed_memory, release_freed_memory
from brainage.core.timing import _status_bytes
keep_freed_memory()
many = [torch.ones(2**20) for _ in range(40)]
del many
before = _status_bytes("VmRSS")
assert release_freed_memory()
print(before - _status_bytes("VmRSS"))
"""


@pytest.mark.skipif(not keep_freed_memory(), reason="needs Linux with the GNU C library")
def test_kept_memory_can_be_handed_back() -> None:
    command = [sys.executable, "-c", RELEASE]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert int(done.stdout) > 100 * 2**20


def test_other_systems_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory.__wrapped__() is False
    assert release_freed_memory() is False


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_mallopt(_: object) -> object:
        raise OSError("no such library")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("brainage.core.allocator.ctypes.CDLL", without_mallopt)
    assert keep_freed_memory.__wrapped__() is False
    assert release_freed_memory() is False
