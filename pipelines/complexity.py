"""Complexity of the public image data sets, and the line that `adaptive` leadership uses.

Published best leader fractions of LFNN-l (tables S2 and S7; the mean where several fractions or
networks share the lowest test error) are set against the complexity measured here. CIFAR-10 are
JPEG copies, Tiny-ImageNet is a subset, ImageNet are twenty images: the line rests on that.

Command::

    python -m pipelines.complexity --data $BRAINAGE_DATA --out docs/results/complexity_cpu.json
"""

import argparse
import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from brainage.core.complexity import MOST_SAMPLES, adaptive_leader_fraction, data_complexity
from brainage.data.images.mnist import read_mnist
from brainage.errors import BrainageError
from pipelines.study import command_line

IMAGENET_SIZE = 224

BEST_FRACTION = {"mnist": 0.475, "cifar10": 0.7, "tiny_imagenet": 0.9, "imagenet": 1.0}
"""Published: MNIST 0.4-0.7 at 275,000 parameters and 0.4 at 438,000; others one each."""


def _mnist(data: Path) -> Tensor:
    return read_mnist(data / "mnist").train.images_NCHW[:MOST_SAMPLES].float() / 255


def _parquet(path: Path, column: str) -> Tensor:
    """Images spread evenly over a table, because tables may be sorted by class."""
    table = pd.read_parquet(path, columns=[column])
    rows = np.linspace(0, len(table) - 1, MOST_SAMPLES).astype(int)
    pictures = [Image.open(io.BytesIO(row["bytes"])) for row in table[column].iloc[rows]]
    return torch.stack([_tensor(picture) for picture in pictures])


def _folder(folder: Path) -> Tensor:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    size = (IMAGENET_SIZE, IMAGENET_SIZE)
    return torch.stack([_tensor(Image.open(path).resize(size)) for path in paths])


def _tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).float() / 255


SOURCES: dict[str, Callable[[Path], Tensor]] = {
    "mnist": _mnist,
    "cifar10": lambda data: _parquet(data / "cifar10/train-00000-of-00001.parquet", "img"),
    "tiny_imagenet": lambda data: _parquet(
        data / "tiny_imagenet_subset/train-00000-of-00001.parquet", "image"
    ),
    "imagenet": lambda data: _folder(data / "imagenet_sample/val"),
}


def measure(data: Path) -> dict[str, Any]:
    """Both measures of every data set, the line through them, and what the map makes of them."""
    rows = []
    for name, read in SOURCES.items():
        images = read(data)
        complexity = data_complexity(images)
        rows.append(
            {
                "data": name,
                "images": len(images),
                "heterogeneity": complexity.heterogeneity,
                "irregularity": complexity.irregularity,
                "published_best_fraction": BEST_FRACTION[name],
                "adaptive_fraction": adaptive_leader_fraction(complexity),
            }
        )
    table = pd.DataFrame(rows)
    slope, at_one = np.polyfit(table["irregularity"] - 1, table["published_best_fraction"], 1)
    order = {
        measure: bool(table[measure].is_monotonic_increasing)
        for measure in ("heterogeneity", "irregularity")
    }
    line = {"slope": float(slope), "fraction_at_one": float(at_one)}
    return {"rows": rows, "line_in_irregularity": line, "orders_data_as_published": order}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the result as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.complexity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the result")
    options = parser.parse_args(arguments)
    try:
        content = measure(options.data)
    except (BrainageError, OSError) as error:
        sys.exit(f"error: {error}")
    content = {"command": command_line("pipelines.complexity", arguments), **content}
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
