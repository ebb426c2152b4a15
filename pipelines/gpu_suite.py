"""Everything that can be checked and measured on one accelerator, in one call and one JSON file.

    python -m pipelines.gpu_suite --out docs/results/gpu_suite_MODEL.json

Needs torch and this package alone. Correctness first: training on the accelerator against the CPU,
isolation, resumption, blocks on several devices where there are several. Then step time and memory
of LFNN-l beside back-propagation. ``--device cpu --small`` tries the suite itself, in a minute.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from brainage.backbones.config import BackboneConfig, CNN3DConfig, SFCNConfig, ViTConfig
from brainage.backbones.registry import build_stages
from brainage.core.batches import TensorBatches
from brainage.core.build import build_chain
from brainage.core.checkpoint import CheckpointStore
from brainage.core.config import (
    BlocksConfig,
    HeadConfig,
    ObjectiveConfig,
    ObjectiveName,
    TaskConfig,
)
from brainage.core.engines import build_engine
from brainage.core.local_ranks import run_local_ranks
from brainage.core.measure import Precision
from brainage.core.objectives import Objective
from brainage.core.partition import resolve_cuts, stage_counts
from brainage.core.placement import ParallelConfig
from brainage.core.ranks import Alone, ProcessRanks, Ranks
from brainage.core.speed import SpeedCase, measure_speed
from brainage.core.tasks import fit_task
from brainage.core.timing import describe_device
from brainage.core.trainer import Trainer
from brainage.core.training_config import (
    EngineConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainerConfig,
)
from brainage.core.types import SilentRecorder

SHAPE = (1, 24, 28, 24)
NUM_SCANS = 14
TOLERANCE = 5e-3
"""Relative difference of weights that sums in another order may make in a dozen small steps."""

METHODS: dict[str, ObjectiveName] = {
    "bp": "bp",
    "bp_checkpointed": "bp",
    "bp_deep_supervision": "bp_deep_supervision",
    "lfnn_l": "lfnn_l",
}
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def small_trainer(
    device: torch.device,
    ranks: Ranks,
    folder: Path | None = None,
    objective: ObjectiveConfig | None = None,
    epochs: int = 3,
) -> Trainer:
    """A short training of a small 3D network, in full precision."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(NUM_SCANS, *SHAPE, generator=generator)
    ages = 20 + 50 * torch.rand(NUM_SCANS, generator=generator)
    objective = objective or ObjectiveConfig(leader_fraction=0.5)
    task = fit_task(TaskConfig(name="soft_bins"), ages)
    stages = build_stages(
        CNN3DConfig(channels=(4, 8, 8, 16), kernel_size=3, padding="same"), SHAPE, 1
    )
    chain = build_chain(
        stages, [1] * 4, SHAPE, task, objective, heads=HeadConfig(pooled_size=2), seed=1
    )
    optimizer = OptimizerConfig(name="sgd", learning_rate=0.01)
    engine = build_engine(
        chain,
        Objective(objective, task, 4),
        optimizer,
        device=device,
        seed=1,
        parallel=ParallelConfig(),
        ranks=ranks,
    )
    return Trainer(
        engine,
        TensorBatches(inputs, ages, batch_size=4, seed=1),
        None,
        config=TrainerConfig(epochs=epochs, batch_size=4),
        optimizer=optimizer,
        schedule=ScheduleConfig(name="constant", warmup_fraction=0.0),
        recorder=SilentRecorder(),
        checkpoints=None if folder is None else CheckpointStore(folder, "suite"),
    )


def trained_weights(trainer: Trainer) -> dict[str, Tensor]:
    """Weights on the CPU after training, by the block's number in the whole network."""
    trainer.fit()
    engine = trainer.engine
    return {
        f"{engine.first_block + index}.{name}": value.detach().cpu()
        for index, block in enumerate(engine.chain)
        for name, value in block.named_parameters()
    }


def largest_difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """Largest difference of a tensor, relative to its largest value."""
    return max(float((a[k] - b[k]).abs().max() / b[k].abs().max().clamp_min(1e-6)) for k in b)


def check_against_cpu(device: torch.device) -> float:
    """The accelerator's weights differ from the CPU's by rounding alone."""
    there = trained_weights(small_trainer(device, Alone()))
    here = trained_weights(small_trainer(torch.device("cpu"), Alone()))
    return largest_difference(there, here)


def check_repeatable(device: torch.device) -> float:
    """A second run gives the same weights."""
    runs = [trained_weights(small_trainer(device, Alone())) for _ in range(2)]
    return largest_difference(*runs)


def check_isolation(device: torch.device) -> float:
    """Later blocks have no influence on the first: their other initial weights change nothing."""
    firsts = []
    for scale in (1.0, 1.5):
        trainer = small_trainer(device, Alone())
        with torch.no_grad():
            for block in list(trainer.engine.chain)[1:]:
                for parameter in block.parameters():
                    parameter.mul_(scale)
        weights = trained_weights(trainer)
        firsts.append({k: v for k, v in weights.items() if k.startswith("0.")})
    return largest_difference(*firsts)


def check_resume(device: torch.device) -> float:
    """A run that stopped after an epoch and went on is the run that did not stop."""
    with tempfile.TemporaryDirectory() as folder:
        small_trainer(device, Alone(), Path(folder), epochs=1).fit()
        resumed = trained_weights(small_trainer(device, Alone(), Path(folder)))
    return largest_difference(resumed, trained_weights(small_trainer(device, Alone())))


def _rank_weights(ranks: ProcessRanks, kind: str) -> dict[str, Tensor]:
    device = torch.device("cuda", ranks.rank) if kind == "cuda" else torch.device("cpu")
    return trained_weights(small_trainer(device, ranks))


def check_blocks(device: torch.device) -> float:
    """Blocks on two devices give the weights of one."""
    of_ranks = run_local_ranks(2, _rank_weights, device.type, device=device.type)
    together = {name: value for rank in of_ranks for name, value in rank.items()}
    return largest_difference(together, trained_weights(small_trainer(device, Alone())))


def correctness(device: torch.device) -> list[dict[str, Any]]:
    """Every check with its largest difference and whether that is small enough."""
    several = device.type == "cpu" or torch.cuda.device_count() > 1
    checks: list[tuple[Callable[[torch.device], float], float]] = [
        (check_against_cpu, TOLERANCE),
        (check_repeatable, TOLERANCE),
        (check_isolation, 0.0),
        (check_resume, TOLERANCE),
    ]
    checks += [(check_blocks, TOLERANCE)] if several else []
    rows = []
    for check, allowed in checks:
        found = check(device)
        meaning = (check.__doc__ or "").strip()
        rows.append(
            {"check": meaning, "difference": found, "allowed": allowed, "passed": found <= allowed}
        )
    return rows


@dataclass(frozen=True)
class Network:
    """One network at one size."""

    backbone: BackboneConfig
    input_shape: tuple[int, ...]
    batch_size: int
    task: TaskConfig


def networks(small: bool) -> list[Network]:
    """Networks of whole brains at 1 mm, and ViT-B/16 on images; small ones to try the suite."""
    ages = TaskConfig(name="soft_bins")
    if small:
        tiny = CNN3DConfig(channels=(4, 8, 8, 16), kernel_size=3, padding="same")
        return [Network(tiny, SHAPE, 2, ages)]
    brain = (1, 160, 192, 160)
    classes = TaskConfig(name="classification", num_classes=1000)
    return [
        Network(CNN3DConfig(channels=(16, 32, 64, 128)), brain, 2, ages),
        Network(SFCNConfig(), brain, 2, ages),
        Network(ViTConfig(), (3, 224, 224), 64, classes),
    ]


def speed_cases(network: Network, engine: EngineConfig, device: torch.device) -> list[SpeedCase]:
    """The network under every method, cut into four blocks of equal measured memory."""
    build = partial(build_stages, network.backbone, network.input_shape, 0)
    stages = build()
    blocks = resolve_cuts(
        stages,
        network.input_shape,
        network.batch_size,
        BlocksConfig(balance="activation_bytes"),
        device=device,
        precision=engine.precision,
    )
    targets = [torch.tensor([20.0, 80.0]), torch.arange(2)][network.task.name == "classification"]
    first = SpeedCase(
        method="bp",
        backbone=network.backbone.name,
        build_stages=build,
        input_shape=network.input_shape,
        batch_size=network.batch_size,
        stage_counts=tuple(stage_counts(len(stages), blocks)),
        task=fit_task(network.task, targets),
        heads=HeadConfig(pooled_size=1),
        objective=ObjectiveConfig(name="bp"),
        optimizer=OptimizerConfig(),
        engine=engine,
        device=str(device),
    )
    return [
        replace(
            first,
            method=method,
            objective=ObjectiveConfig(name=rule),
            engine=replace(engine, recompute_activations=method == "bp_checkpointed"),
        )
        for method, rule in METHODS.items()
    ]


def speed(device: torch.device, *, small: bool, rounds: int) -> Iterator[dict[str, Any]]:
    """Step time and memory of every network and precision; what does not fit is said."""
    for network in networks(small):
        for precision in PRECISIONS:
            engine = EngineConfig(precision=precision, channels_last=len(network.input_shape) == 4)
            found: dict[str, Any] = {"backbone": network.backbone.name, "precision": precision}
            try:
                rows = measure_speed(speed_cases(network, engine, device), rounds=rounds)
                found["rows"] = [asdict(row) for row in rows]
            except torch.cuda.OutOfMemoryError as error:
                found["failed"] = str(error).splitlines()[0]
            yield found


def main(arguments: list[str] | None = None) -> int:
    """Run the suite; 1 if a check failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu")
    parser.add_argument("--small", action="store_true", help="small sizes, to try the suite")
    parser.add_argument("--rounds", type=int, default=15, help="timed steps of each method")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("no accelerator is at hand; --device cpu --small tries the suite")
    begun = time.perf_counter()
    result: dict[str, Any] = {
        "device": describe_device(device),
        "num_devices": torch.cuda.device_count(),
        "torch": torch.__version__,
        "clock": "forward, losses, backward, update, until the device is done; median of steps "
        "of all methods in turn",
        "checks": correctness(device),
        "speed": list(speed(device, small=options.small, rounds=options.rounds)),
    }
    result["seconds"] = time.perf_counter() - begun
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    failed = [row for row in result["checks"] if not row["passed"]]
    for row in failed:
        sys.stderr.write(f"failed: {row['check']} ({row['difference']:.2g})\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
