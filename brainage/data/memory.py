"""How much memory a process may still take."""

from pathlib import Path

import psutil

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def free_memory_bytes(groups: Path = _CONTROL_GROUPS, own_group: Path = _OWN_GROUP) -> int:
    """Free memory of the machine, or less where a container or a batch system sets a limit.

    Args:
        groups: where Linux shows control groups (version 2); nowhere on other systems.
        own_group: file that names this process's group.
    """
    free: int = psutil.virtual_memory().available
    try:
        name = own_group.read_text(encoding="utf-8").partition("0::")[2].splitlines()[0]
    except (OSError, IndexError):
        return free
    folder = groups / name.strip("/")
    for group in (folder, *folder.parents):
        if (left := _left_in(group)) is not None:
            free = min(free, left)
        if group == groups:
            break
    return free


def _left_in(group: Path) -> int | None:
    """What a group's limit leaves, or None where it has none; cached files count as free."""
    try:
        limit = int((group / "memory.max").read_text(encoding="utf-8"))
        used = int((group / "memory.current").read_text(encoding="utf-8"))
        facts = dict(
            line.split() for line in (group / "memory.stat").read_text("utf-8").splitlines()
        )
        cached = int(facts["inactive_file"])
    except (OSError, ValueError, KeyError):  # "max" is no number
        return None
    return max(0, limit - used + cached)
