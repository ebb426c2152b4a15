"""Memory and disk; nothing heavy is imported for them."""

import os
import shutil
import tempfile
from pathlib import Path

from brainage.data.memory import free_memory_bytes
from brainage.workflows.doctor.finding import Finding

GROUP = "machine"

LEAST_MEMORY_GB = 2.0
"""Predicting a whole head takes 1.3 GB at its peak, in brain extraction."""

LEAST_DISK_GB = 1.0
"""A thousand preprocessed scans at 4 mm take 0.2 GB, at 2 mm eight times as much a volume."""


def memory() -> list[Finding]:
    """Memory that is free, within the limits of a container or batch job."""
    free_gb = free_memory_bytes() / 1e9
    enough = free_gb >= LEAST_MEMORY_GB
    return [
        Finding(
            group=GROUP,
            name="memory",
            status="ok" if enough else "problem",
            found=f"{free_gb:.1f} GB free",
            advice=""
            if enough
            else f"free at least {LEAST_MEMORY_GB:g} GB for each scan at a time (--jobs)",
            values={"free_gb": round(free_gb, 2)},
        )
    ]


def disk() -> list[Finding]:
    """Free space, and the right to write, where results and temporary files go."""
    try:
        temporary = tempfile.gettempdir()
    except FileNotFoundError as error:
        none = Finding(
            group=GROUP,
            name="temporary folder",
            status="problem",
            found=str(error.strerror or error),
            advice="set TMPDIR to a folder that can be written",
        )
        return [_folder("working folder", Path.cwd(), "go to another folder"), none]
    return [
        _folder("working folder", Path.cwd(), "go to a folder that can be written, with room"),
        _folder("temporary folder", Path(temporary), "set TMPDIR to another folder"),
    ]


def _folder(name: str, path: Path, advice: str) -> Finding:
    free_gb = shutil.disk_usage(path).free / 1e9
    writable = os.access(path, os.W_OK)
    enough = writable and free_gb >= LEAST_DISK_GB
    found = f"{path}: {free_gb:.1f} GB free" + ("" if writable else ", cannot be written")
    return Finding(
        group=GROUP,
        name=name,
        status="ok" if enough else "problem",
        found=found,
        advice="" if enough else advice,
        values={"free_gb": round(free_gb, 2), "writable": writable},
    )
