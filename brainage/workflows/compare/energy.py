"""Energy counters of the machine: joules since some time ago, where there are any.

On Intel and AMD processors Linux shows counters of whole packages, which hold everything that runs
there, so a comparison needs a machine that does nothing else. They may only be readable by root.
"""

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

POWERCAP = Path("/sys/class/powercap")
_MICRO, _MILLI = 1e-6, 1e-3


class EnergyCounter(Protocol):
    """Counts the joules that a device has used."""

    @property
    def name(self) -> str:
        """What counts, for a table."""

    def joules(self) -> float:
        """Joules since the counter was opened."""


@dataclass
class RaplCounter:
    """The packages' counters of Linux (``intel-rapl``), added up.

    A counter starts again at zero after its largest value, within an hour on a busy package, so it
    has to be read more often than that.
    """

    packages: tuple[Path, ...]
    name: str = "processor packages (RAPL)"
    _last: dict[Path, int] = field(default_factory=dict)
    _microjoules: int = 0

    def joules(self) -> float:
        """Joules of all packages since the first reading."""
        for package in self.packages:
            now = _whole_number(package / "energy_uj")
            before = self._last.get(package, now)
            if now < before:
                before -= _whole_number(package / "max_energy_range_uj")
            self._microjoules += now - before
            self._last[package] = now
        return self._microjoules * _MICRO


@dataclass
class NvmlCounter:
    """The counter of one NVIDIA device, through the package ``nvidia-ml-py``."""

    library: Any
    handle: Any
    name: str = "accelerator (NVML)"

    def joules(self) -> float:
        """Joules since the driver was loaded."""
        return float(self.library.nvmlDeviceGetTotalEnergyConsumption(self.handle)) * _MILLI


def find_energy_counter(
    device: torch.device, powercap: Path = POWERCAP
) -> RaplCounter | NvmlCounter | None:
    """The counter of the device that trains, or None where there is none that can be read.

    Args:
        device: a CPU or an accelerator.
        powercap: where Linux shows the counters of processor packages.
    """
    if device.type == "cuda":
        return _nvml_counter(device)
    # intel-rapl:0 is a package; intel-rapl:0:0, a part of it, would count twice.
    packages = [path for path in sorted(powercap.glob("intel-rapl:*")) if path.name.count(":") == 1]
    counter = RaplCounter(tuple(packages))
    try:
        counter.joules()
    except (OSError, ValueError):
        return None
    return counter if packages else None


def _nvml_counter(device: torch.device) -> NvmlCounter | None:
    try:
        library = importlib.import_module("pynvml")
        library.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        counter = NvmlCounter(library, library.nvmlDeviceGetHandleByUUID(uuid))
        counter.joules()
    except Exception:  # the package, the driver, or a device without a counter
        return None
    return counter


def _whole_number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
