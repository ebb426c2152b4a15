"""MNIST with a small fully connected network: the method, its readings and its controls.

The network of the supplement's table S1: 784-320-320-10, hidden layers of 32 workers with 10
neurons each, Adam, batch 128; the learning rate falls along a cosine, since with a constant one the
error jumps by a point from epoch to epoch. Every layer is a block of its own, the output layer too,
so under an isolated rule each learns from its own loss alone. All variants share one recipe, but
for forward-forward, whose loss needs ten times the learning rate (docs/log.md). 55,000 images
train, 5,000 validate, and the 10,000 test images are looked at once, after the last epoch.

Command::

    python -m pipelines.mnist_mlp --panel main --epochs 50 --seeds 3 --out docs/results/FILE.json
"""

import argparse
import itertools
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from brainage.core.config import BlocksConfig, HeadConfig, ObjectiveConfig, TaskConfig
from brainage.core.learner import Learner
from brainage.core.random import random_stream
from brainage.core.timing import describe_device
from brainage.core.training_config import OptimizerConfig, ScheduleConfig
from brainage.data.images.image_set import ImagePart
from brainage.data.images.mnist import read_mnist
from brainage.errors import BrainageError
from pipelines.study import KeptRows, command_line

NUM_VALIDATION = 5000
WIDTH = 320
NUM_WORKERS = 32
NUM_CLASSES = 10
BATCH_SIZE = 128
LEARNING_RATE = 5e-4


@dataclass(frozen=True)
class Variant:
    """One column of the comparison.

    ``before_relu``: workers read their units before the activation, the literal reading of units
    as logits, instead of behind it. ``output_block``: whether there is an output layer behind the
    hidden ones; forward-forward has none.
    """

    objective: ObjectiveConfig
    heads: HeadConfig = field(default_factory=HeadConfig)
    before_relu: bool = False
    output_block: bool = True
    learning_rate: float = LEARNING_RATE


def _heads(**changes: Any) -> HeadConfig:
    """Linear heads of one layer; the output layer has no workers, as in the supplement."""
    return HeadConfig(num_lf_workers=NUM_WORKERS, output_block_workers=False, **changes)


def _lfnn_l(readout: str = "block", *, before_relu: bool = False, **changes: Any) -> Variant:
    objective = ObjectiveConfig(name="lfnn_l", **changes)
    return Variant(objective, _heads(readout=readout), before_relu)


def main_panel() -> dict[str, Variant]:
    """The rules side by side, with the method in its two readings."""
    controls: tuple[Any, ...] = (
        "bp",
        "bp_deep_supervision",
        "greedy",
        "dgl",
        "predsim",
        "feedback_alignment",
        "direct_feedback_alignment",
    )
    panel = {name: Variant(ObjectiveConfig(name=name), _heads()) for name in controls}
    contrast = ObjectiveConfig(name="forward_forward")
    panel["forward_forward"] = Variant(contrast, output_block=False, learning_rate=5e-3)
    for percent in (20, 50, 100):
        fraction = percent / 100
        panel[f"lfnn_l block {percent}%"] = _lfnn_l(leader_fraction=fraction)
        panel[f"lfnn_l units {percent}%"] = _lfnn_l(
            "units", leader_fraction=fraction, before_relu=True
        )
    panel["lfnn block 50%"] = Variant(ObjectiveConfig(name="lfnn", leader_fraction=0.5), _heads())
    return panel


def alignment_panel() -> dict[str, Variant]:
    """Leader fraction x selection x follower distance: which alignment is stable.

    Leaders of each sample, where few leaders are hardest, at three fractions; other selections at
    one.
    """
    panel = {"bp": Variant(ObjectiveConfig(name="bp"), _heads())}
    settings = [
        *itertools.product(("mse_probability", "kl", "mse_logit"), ("sample",), (10, 30, 60)),
        *itertools.product(("mse_probability", "kl", "mse_logit"), ("batch",), (10,)),
        *itertools.product(("mse_probability", "mse_logit"), ("epoch", "running"), (30,)),
    ]
    for readout in ("block", "units"):
        before = readout == "units"
        panel[f"{readout} 100%"] = _lfnn_l(readout, before_relu=before)
        for distance, selection, percent in settings:
            panel[f"{readout} {distance} {selection} {percent}%"] = _lfnn_l(
                readout,
                before_relu=before,
                leader_fraction=percent / 100,
                selection=selection,
                follower_distance=distance,
            )
    return panel


def ablation_panel() -> dict[str, Variant]:
    """Leaders alone, followers alone, both; and one worker, which is local learning without W."""
    both: dict[str, Any] = {"leader_fraction": 0.3}
    return {
        "both": _lfnn_l(**both),
        "leaders only": _lfnn_l(follower_weight=0.0, **both),
        "followers only": _lfnn_l(leader_weight=0.0, **both),
        "all lead": _lfnn_l(),
        "one worker": Variant(
            ObjectiveConfig(name="lfnn_l"),
            HeadConfig(num_lf_workers=1, output_block_workers=False),
        ),
    }


PANELS: dict[str, Callable[[], dict[str, Variant]]] = {
    "main": main_panel,
    "alignment": alignment_panel,
    "ablation": ablation_panel,
}


def make_stages(seed: int, *, before_relu: bool) -> list[nn.Module]:
    """Two hidden layers and the output layer's input, one stage each."""
    with random_stream(seed, "backbone"):
        first, second = nn.Linear(28 * 28, WIDTH), nn.Linear(WIDTH, WIDTH)
    if before_relu:
        return [
            nn.Sequential(nn.Flatten(), first),
            nn.Sequential(nn.ReLU(), second),
            nn.Sequential(nn.ReLU()),
        ]
    return [
        nn.Sequential(nn.Flatten(), first, nn.ReLU()),
        nn.Sequential(second, nn.ReLU()),
        nn.Sequential(nn.Identity()),
    ]


def run(variant: Variant, data: "Images", *, epochs: int, seed: int) -> dict[str, Any]:
    """Train once; error in per cent of every block on test, of the last on validation."""
    num_blocks = 3 if variant.output_block else 2
    learner = Learner(
        make_stages(seed, before_relu=variant.before_relu)[:num_blocks],
        TaskConfig(name="classification", num_classes=NUM_CLASSES),
        (1, 28, 28),
        blocks=BlocksConfig(num_blocks=num_blocks),
        objective=variant.objective,
        heads=variant.heads,
        optimizer=OptimizerConfig(
            name="adam", learning_rate=variant.learning_rate, weight_decay=0.0
        ),
        schedule=ScheduleConfig(name="cosine", warmup_fraction=0.0),
        seed=seed,
    )
    training, validation = data.training(), data.validation()
    result = learner.fit(*training, epochs=epochs, batch_size=BATCH_SIZE)
    images, labels = data.test
    by_block = learner.predict_by_block(images)
    return {
        "test_error_percent": _error(by_block[max(by_block)], labels),
        "ensemble_error_percent": _error(learner.predict_together(images), labels),
        "validation_error_percent": _error(learner.predict(validation[0]), validation[1]),
        "error_percent_by_block": {str(k + 1): _error(v, labels) for k, v in by_block.items()},
        "epoch_seconds": result.seconds / len(result.history),
        "parameters": learner.engine.chain.parameter_counts(),
    }


def _scaled(part: ImagePart) -> tuple[Tensor, Tensor]:
    """Images (N, 1, 28, 28) in [0, 1], and labels."""
    return part.images_NCHW.float() / 255, part.labels_N


def _error(predictions: Tensor, labels: Tensor) -> float:
    return round(100 * float((predictions != labels).double().mean()), 4)


@dataclass(frozen=True)
class Images:
    """MNIST's two parts as (images, labels)."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]

    def training(self) -> tuple[Tensor, Tensor]:
        """The first 55,000 images."""
        return self.train[0][:-NUM_VALIDATION], self.train[1][:-NUM_VALIDATION]

    def validation(self) -> tuple[Tensor, Tensor]:
        """The last 5,000 training images."""
        return self.train[0][-NUM_VALIDATION:], self.train[1][-NUM_VALIDATION:]


def run_panel(
    variants: dict[str, Variant], data: Images, *, epochs: int, seeds: int, kept: Path
) -> Iterator[dict[str, Any]]:
    """A row for each variant and seed. Rows found in ``kept`` are not run again."""
    done = KeptRows(kept, ("variant", "seed", "epochs"))
    for seed in range(seeds):
        for name, variant in variants.items():
            key = {"variant": name, "seed": seed, "epochs": epochs}
            yield done.find_or_make(key, partial(run, variant, data, epochs=epochs, seed=seed))


def summarise(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over seeds of each variant."""
    table = []
    for name in dict.fromkeys(row["variant"] for row in rows):
        errors = [row["test_error_percent"] for row in rows if row["variant"] == name]
        table.append(
            {
                "variant": name,
                "seeds": len(errors),
                "error_percent": round(statistics.mean(errors), 3),
                "sd": round(statistics.stdev(errors), 3) if len(errors) > 1 else None,
            }
        )
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a panel and write its rows and its table as JSON."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.mnist_mlp", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--panel", choices=PANELS, default="main")
    parser.add_argument("--only", nargs="*", help="variants of the panel; all by default")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, help="folder of the IDX files")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the result")
    options = parser.parse_args(arguments)
    variants = PANELS[options.panel]()
    if unknown := set(options.only or ()) - set(variants):
        parser.error(f"no variant {sorted(unknown)[0]!r} in {options.panel}: {list(variants)}")
    if options.only:
        variants = {name: variants[name] for name in options.only}
    folder = options.data or Path(os.environ.get("BRAINAGE_DATA", "../shared/data")) / "mnist"
    try:
        digits = read_mnist(folder)
        data = Images(_scaled(digits.train), _scaled(digits.test))
    except BrainageError as error:
        sys.exit(f"error: {error}")
    rows = []
    kept = options.out.with_suffix(".jsonl")
    for row in run_panel(variants, data, epochs=options.epochs, seeds=options.seeds, kept=kept):
        rows.append(row)
        line = f"{row['variant']}, seed {row['seed']}: {row['test_error_percent']:.2f} %"
        sys.stderr.write(line + "\n")
    content = {
        "command": command_line("pipelines.mnist_mlp", arguments),
        "device": describe_device(torch.device("cpu")),
        "torch": torch.__version__,
        "table": summarise(rows),
        "rows": rows,
    }
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
