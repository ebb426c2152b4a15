"""Keep memory that was freed, on a CPU with the GNU C library."""

import ctypes
import functools
import sys

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
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, -1))


def release_freed_memory() -> bool:
    """Hand memory that was freed back to the system, so that what is measured next is new.

    Returns:
        Whether it was done; not on other systems, where nothing is changed.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):  # another C library
        return False
    trim(0)
    return True
