"""Fix what would make ITK's results depend on the machine's load: threads and the random seed.

ITK sums its registration metric per thread, so the last bits of a matrix, and with them the
tensor, depend on the number of threads. Both copies of ITK (in antspyx and in SimpleITK) read
these variables when they are first used, so every module that uses one calls `fix_itk` first.
SimpleITK may have been used before, by TorchIO's augmentation: it is told again, see `simple_itk`.
"""

import importlib
import os
from types import ModuleType

ITK_SEED = 20231007


def fix_itk() -> None:
    """One thread and a fixed seed for every ITK call of this process and of its children."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    os.environ["ANTS_RANDOM_SEED"] = str(ITK_SEED)


def simple_itk() -> ModuleType:
    """SimpleITK, loaded late because it is slow to load, with one thread for all of its filters."""
    fix_itk()
    sitk = importlib.import_module("SimpleITK")
    # Also of the filters within a filter, which a filter's own number of threads does not reach.
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    return sitk
