"""``brainage plan``: where to cut a network for several devices, and what that promises."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from brainage.errors import ConfigError
from brainage.terminal import AsJson, Verbose, finish, reporting, tell

Config = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="A speed or run configuration: tried as given, then under configs/.",
    ),
]
Devices = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Devices to plan for; default: one for each block."),
]
Goal = Annotated[
    Literal["time", "memory"],
    typer.Option("--for", help="Shortest step, or smallest memory of the largest device."),
]
Blocks = Annotated[
    str,
    typer.Option(
        metavar="HOW",
        help="free (one for each place), config (as configured), or numbers, e.g. 4,8,12,16.",
    ),
]
Simulate = Annotated[
    str, typer.Option(metavar="N,N", help="Project to these numbers of devices too.")
]
Bandwidth = Annotated[
    float | None,
    typer.Option(
        metavar="X", min=1e-6, help="Between devices; else measured between processes here."
    ),
]
Latency = Annotated[
    float, typer.Option(metavar="X", min=0, help="Of a message, with the bandwidth.")
]
Cores = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Cores that processes of this machine share; default: all it has."
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change one key, e.g. batch_size=1; repeatable."
    ),
]


def plan(
    config: Config,
    devices: Devices = None,
    goal: Goal = "time",
    blocks: Blocks = "free",
    simulate: Simulate = "",
    gigabytes_per_second: Bandwidth = None,
    latency_microseconds: Latency = 5.0,
    cores: Cores = None,
    overrides: Changes = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Plan blocks for several devices: cuts, replicas, and what they promise.

    Measures every stage of the network on the device at hand and predicts time, memory and traffic
    for blocks, data parallelism, pipelined and checkpointed back-propagation. Predictions are
    labelled projected.

    \b
    Example:
      brainage plan --config speed/single.yaml --devices 2
      brainage plan --config lfnn3d.yaml --devices 4 --for memory --simulate 8,16
      brainage plan --config plan/vit_b16.yaml --blocks 4,8,12,16
    """
    with reporting(as_json, verbose) as stream:
        from brainage.config.plan import load_planned

        settings = load_planned(config, overrides or ())
        named = blocks in {"free", "config"}
        if devices is None and named:
            raise ConfigError("--devices: expected a number of devices, or --blocks with numbers")
        numbers = () if named else _numbers("--blocks", blocks)
        further = _numbers("--simulate", simulate) if simulate else ()
        from brainage.workflows.plan.case import PlanRequest
        from brainage.workflows.plan.run import make_plan

        request = PlanRequest(
            devices=devices,
            goal=goal,
            keep_blocks=blocks == "config",
            blocks=numbers,
            simulate=further,
            gigabytes_per_second=gigabytes_per_second,
            latency_microseconds=latency_microseconds,
            cores=cores,
        )
        return finish(make_plan(settings, request, report=tell), as_json, stream)


def _numbers(option: str, text: str) -> tuple[int, ...]:
    """``4,8`` as numbers of at least 1."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdigit() and int(word) >= 1 for word in words):
        raise ConfigError(f"{option}: expected whole numbers like 4,8, got {text!r}")
    return tuple(int(word) for word in words)
