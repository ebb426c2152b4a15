"""Keep memory that was freed, on a CPU with the GNU C library."""

import ctypes
import functools
import sys
from collections.abc import Callable

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # names and numbers of malloc.h


@functools.cache
def keep_freed_memory() -> bool:
    """Let this process reuse the memory of large tensors instead of returning it each time.

    Every step frees its activations and allocates as much again. By default the C library hands
    blocks of this size back to the system at once, which then has to clear every page anew: for
    volumes up to a third of a training step. Peak memory stays the same; between steps less of it
    is given back.

    Returns:
        Whether it was done; not on other systems, where nothing is changed.
    """
    mallopt = _from_c_library("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, -1))


def release_freed_memory() -> bool:
    """Hand memory that was freed back to the system, so that what is measured next is new.

    Returns:
        Whether it was done; not on other systems, where nothing is changed.
    """
    trim = _from_c_library("malloc_trim")
    if trim is None:
        return False
    trim(0)
    return True


def _from_c_library(name: str) -> Callable[..., int] | None:
    """A function of the GNU C library; None on other systems."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError):  # another C library
        return None
    return found
