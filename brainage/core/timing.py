"""Clock and memory. What is inside the clock is said where it is used."""

import gc
import resource
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

STILL_LEARNING_RATE = 0.0
"""Learning rate of steps that are timed: weights stay while the work is the same.

The same batch over and over would be learned by heart after a few steps. Its gradients then become
subnormal numbers, with which a CPU computes many times more slowly.
"""

WARMUP_STEPS = 3
"""Steps left out of every median: the first ones allocate memory and choose kernels."""

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class StepTimes:
    """Median and interquartile range of step times, in seconds."""

    median: float
    iqr: float
    num_steps: int


def summarise_steps(seconds: Sequence[float], warmup: int = WARMUP_STEPS) -> StepTimes | None:
    """Median and interquartile range without the warm-up; None when fewer than two steps remain."""
    kept = list(seconds[warmup:])
    if len(kept) < 2:
        return None
    low, middle, high = statistics.quantiles(kept, n=4)
    return StepTimes(middle, high - low, len(kept))


def synchronize(device: torch.device) -> None:
    """Wait for the device, so that a clock read afterwards includes its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory_bytes(device: torch.device) -> int:
    """Highest memory in use so far: allocated on the accelerator, or resident of this process.

    On a CPU this is the process's high-water mark, interpreter and libraries included.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def choose_device(name: str) -> torch.device:
    """The device of a configuration's name; ``auto`` takes an accelerator when there is one.

    Raises:
        ValueError: if an accelerator is named that this machine does not have. The message says so
            without the setting's name, which the caller knows.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"{name} does not exist here ({torch.cuda.device_count()} accelerators)")
    return device


def describe_device(device: torch.device) -> str:
    """Name of the device for a table, e.g. ``CPU, 2 threads``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' * (threads > 1)}"


def memory_above_start(device: torch.device, action: Callable[[], None]) -> int:
    """Highest memory while ``action`` runs, minus the memory before it, in bytes.

    On an accelerator: what torch has allocated. On a CPU: resident memory of this process, whose
    high-water mark is first brought down to the present (Linux, ``/proc/self/clear_refs``). Where
    that cannot be done, the mark of the whole process stands in, minus what it was before; then
    only memory beyond all earlier use is seen. Use a fresh process on a CPU: an allocator that
    keeps freed memory hides what reuses it.
    """
    gc.collect()
    if device.type == "cuda":
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        action()
        synchronize(device)
        return peak_memory_bytes(device) - before
    try:
        _CLEAR_REFS.write_text("5", encoding="ascii")
    except OSError:
        before = peak_memory_bytes(device)
        action()
        return peak_memory_bytes(device) - before
    before = _status_bytes("VmRSS")
    action()
    return _status_bytes("VmHWM") - before


def _status_bytes(key: str) -> int:
    """A number of ``/proc/self/status``, which are in kB."""
    (line,) = (
        line
        for line in _STATUS.read_text(encoding="ascii").splitlines()
        if line.startswith(f"{key}:")
    )
    return int(line.split()[1]) * 1024
