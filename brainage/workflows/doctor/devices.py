"""Cores, accelerators and process groups that torch can use."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch

from brainage.workflows.doctor.finding import Finding, Status

GROUP = "devices"


def processor() -> list[Finding]:
    """Cores this process may use, and how many of them torch takes."""
    count = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else count
    threads = torch.get_num_threads()
    limit = os.environ.get("OMP_NUM_THREADS")
    found = f"{usable} of {count} cores usable, {threads} of them by torch"
    found += f" (OMP_NUM_THREADS={limit})" if limit else ""
    too_many = threads > usable
    return [
        Finding(
            group=GROUP,
            name="processor",
            status="problem" if too_many else "ok",
            found=found,
            advice=f"export OMP_NUM_THREADS={usable}: more threads than cores wait for each other"
            if too_many
            else "",
            values={"cores": usable, "threads": threads},
        )
    ]


def accelerators() -> list[Finding]:
    """Every GPU that torch can use, tried with one number; or why there is none."""
    found = [_cuda(index) for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append(_tried("mps", "Apple GPU", {}))
    return found or [_no_accelerator()]


def _cuda(index: int) -> Finding:
    facts = torch.cuda.get_device_properties(index)
    gigabytes = facts.total_memory / 1e9
    return _tried(
        f"cuda:{index}", f"{facts.name}, {gigabytes:.0f} GB", {"memory_gb": round(gigabytes, 1)}
    )


def _tried(device: str, what: str, values: dict[str, Any]) -> Finding:
    try:
        works = float((torch.ones(2, device=device) * 2).sum()) == 4
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        return Finding(
            group=GROUP,
            name=device,
            status="problem",
            found=f"{what}, does not compute: {reason}",
            advice="install the torch that fits its driver (pytorch.org), or train with "
            "--set trainer.device=cpu",
            values=values,
        )
    status: Status = "ok" if works else "problem"
    return Finding(group=GROUP, name=device, status=status, found=what, values=values)


def _no_accelerator() -> Finding:
    unused = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
    if not unused:
        return Finding(
            group=GROUP,
            name="accelerator",
            status="missing",
            found="none; the processor predicts and trains",
        )
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    return Finding(
        group=GROUP,
        name="accelerator",
        status="missing",
        found=f"an NVIDIA driver is there, but torch {torch.__version__} ({built}) uses no GPU",
        advice="install the torch that fits the driver: see pytorch.org/get-started",
    )


def process_groups() -> list[Finding]:
    """What training on several devices can speak through."""
    distributed = torch.distributed.is_available()
    gloo = distributed and torch.distributed.is_gloo_available()
    nccl = distributed and torch.distributed.is_nccl_available()
    return [
        Finding(
            group=GROUP,
            name="gloo",
            status="ok" if gloo else "missing",
            found="training on several processors"
            if gloo
            else "not in this torch; training uses one process",
        ),
        Finding(
            group=GROUP,
            name="nccl",
            status="ok" if nccl else "missing",
            found="training on several GPUs" if nccl else "not in this torch; several GPUs need it",
        ),
    ]
