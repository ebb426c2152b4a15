"""Brain age by cross-validation under many settings of the training rules, all else equal.

Each setting sees the same preprocessed scans, folds and seeds. Recipes are chosen by the scans that
every fold keeps for validation (``validation_mae_years``); the error reported is that of the scans
the fold left out. A fit that is in the file of rows is not run again, so an interrupted study goes
on where it stopped. Differences are paired: of each scan, the absolute error averaged over seeds is
compared, and subjects are drawn again for the interval.

Command::

    python -m pipelines.age_rules --panel recipes --seeds 1 --out docs/results/FILE.json
"""

import argparse
import json
import logging
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from brainage.config.load import config_hash, load_config
from brainage.config.run import RunConfig
from brainage.core.allocator import keep_freed_memory
from brainage.core.timing import describe_device
from brainage.data.splits import make_folds
from brainage.errors import BrainageError, ConfigError
from brainage.scans.manifest import read_manifest
from brainage.tracking.fanout import FanoutRecorder
from brainage.workflows.train.baselines import kernel_ridge_of_split
from brainage.workflows.train.cohort import Cohort, prepare_cohort
from brainage.workflows.train.fitting import fit_split
from pipelines.study import KeptRows, command_line, mean_with_interval

_log = logging.getLogger(__name__)

SILENT = FanoutRecorder([])
BASE = ("engine.channels_last=true", "trainer.validate_every=1000", "num_threads=1")

BP = ("objective.name=bp",)
ALL_LEAD = ("objective.name=lfnn_l",)
RECIPES: dict[str, tuple[str, ...]] = {
    "lr 1e-3": (),
    "lr 3e-3": ("optimizer.learning_rate=3.0e-3",),
    "dropout 0.3, EMA": ("heads.dropout=0.3", "engine.ema_decay=0.98"),
    "40 epochs": ("trainer.epochs=40",),
    "40 epochs, dropout 0.3, EMA": (
        "trainer.epochs=40",
        "heads.dropout=0.3",
        "engine.ema_decay=0.98",
    ),
    "16 to 128 channels": ("backbone.channels=[16, 32, 64, 128]",),
}
"""What both rules try: equal effort."""

ARTEFACTS = (
    "augmentation.motion_probability=0.2",
    "augmentation.ghosting_probability=0.1",
    "augmentation.anisotropy_probability=0.2",
    "augmentation.spike_probability=0.05",
)
DATA: dict[str, tuple[str, ...]] = {
    "as scanned": (),
    "artefacts": ARTEFACTS,
    "balanced by age": ("data.balance=age",),
    "40 epochs, artefacts, EMA": ("trainer.epochs=40", *ARTEFACTS, "engine.ema_decay=0.98"),
}
"""What training volumes undergo, and how often each is shown."""


def _followers(*changes: str) -> tuple[str, ...]:
    return (*ALL_LEAD, "objective.leader_fraction=0.5", *changes)


_PLAIN = ("task.name=regression",)
_RUNNING = _followers("objective.selection=running")
_PLAIN_50 = _followers(*_PLAIN, "objective.follower_distance=geman_mcclure")
PANELS: dict[str, dict[str, tuple[str, ...]]] = {
    "recipes": {
        f"{rule}, {name}": (*settings, *changes)
        for name, changes in RECIPES.items()
        for rule, settings in (("bp", BP), ("lfnn_l", ALL_LEAD))
    },
    "rules": {
        "bp": BP,
        "bp_deep_supervision": ("objective.name=bp_deep_supervision",),
        "lfnn_l 100%": ALL_LEAD,
        "lfnn_l 50%": _RUNNING,
    },
    "followers": {
        "100%": ALL_LEAD,
        "50% sample": _followers(),
        "50% batch": _followers("objective.selection=batch"),
        "50% epoch": _followers("objective.selection=epoch"),
        "50% running": _RUNNING,
        "50% running, kl": (*_RUNNING, "objective.follower_distance=kl"),
        "50% running, grown": (*_RUNNING, "objective.follower_warmup_fraction=0.5"),
        "50% running, leaders only": (*_RUNNING, "objective.follower_weight=0.0"),
    },
    "data": {
        f"{rule}, {name}": (*settings, *changes)
        for name, changes in DATA.items()
        for rule, settings in (("bp", BP), ("lfnn_l", ALL_LEAD))
    },
    "plain_ages": {
        "100%": (*ALL_LEAD, *_PLAIN),
        "50% mse_logit": _followers(*_PLAIN, "objective.follower_distance=mse_logit"),
        "50% geman_mcclure": _PLAIN_50,
        "50% geman_mcclure, running": (*_PLAIN_50, "objective.selection=running"),
    },
}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Study:
    """What all fits of a study share."""

    base: str
    cohort: Cohort
    config: RunConfig

    def fit(self, overrides: Sequence[str], seed: int, fold: int) -> dict[str, Any]:
        """One fit: predictions of the scans that the fold left out, and what it took."""
        config = replace(load_config(self.base, [*BASE, *overrides]), seed=seed)
        split = make_folds(self.cohort.records, config.split, seed)[fold]
        with TemporaryDirectory(prefix="brainage-") as folder:
            fit = fit_split(
                config,
                self.cohort,
                split,
                name=f"fold{fold + 1}",
                checkpoints=Path(folder),
                fingerprint="study",
                recorder=SILENT,
            )
        by_block = fit.test_ages_by_block
        answers = {f"block{k}": ages for k, ages in by_block.items()}
        answers["last"] = by_block[max(by_block)]
        if fit.test_ensemble_ages is not None:
            answers["ensemble"] = fit.test_ensemble_ages
        last = fit.result.history[-1]
        return {
            "scans": list(split.test),
            "predicted": {name: [round(float(a), 3) for a in v] for name, v in answers.items()},
            "validation_scans": len(split.validation),
            "validation_mae_years": {
                "last": last["val/mae_years"],
                "ensemble": last.get("val/ensemble/mae_years"),
            },
            "step_seconds": fit.result.step_seconds,
        }

    def baselines(self, seed: int, fold: int) -> dict[str, Any]:
        """Kernel ridge on the voxels and the training mean, on the same fold."""
        split = make_folds(self.cohort.records, self.config.split, seed)[fold]
        mean = float(self.cohort.ages_years[list(split.train)].mean())
        ridge = kernel_ridge_of_split(self.cohort, split)
        return {
            "scans": list(split.test),
            "predicted": {"kernel ridge": ridge.tolist(), "mean": [mean] * len(split.test)},
        }


def open_study(base: str) -> Study:
    """Preprocess the cohort of a configuration, or find it done."""
    config = load_config(base, BASE)
    if config.split.folds is None:
        raise ConfigError(f"split.folds: {base} has none, and a study needs them; expected e.g. 5")
    manifest = read_manifest(
        Path(config.data.manifest), config.data.root_folder(), require_ages=True
    )
    cohort = prepare_cohort(
        manifest.records,
        config.preprocess,
        Path(config.data.cache_dir),
        jobs=config.data.preprocess_jobs,
        recorder=SILENT,
        on_outcome=lambda outcome: None,  # noqa: ARG005
    )
    return Study(base, cohort, config)


def run_panel(
    study: Study, panel: dict[str, tuple[str, ...]], seeds: int, kept: Path
) -> Iterator[dict[str, Any]]:
    """A row for every setting, seed and fold.

    Rows found in ``kept``, of the same configuration and cohort, are not run again, under whatever
    name their overrides had there.
    """
    done = KeptRows(kept, ("study", "overrides", "seed", "fold"))
    identity = study.cohort.fingerprint(config_hash(study.config))
    folds = study.config.split.folds
    assert folds is not None, "open_study refuses a configuration without folds"
    for seed in range(seeds):
        for name, overrides in {"baselines": ("baselines",), **panel}.items():
            for fold in range(folds):
                key = {
                    "study": identity,
                    "overrides": list(overrides),
                    "seed": seed,
                    "fold": fold,
                }
                if name == "baselines":
                    make = partial(study.baselines, seed, fold)
                else:
                    make = partial(study.fit, overrides, seed, fold)
                yield {"setting": name, **done.find_or_make(key, make)}


def errors_by_seed(
    rows: Sequence[dict[str, Any]], setting: str, answer: str, ages: Floats
) -> Floats:
    """Absolute errors (seeds, scans) in years of one setting's answer."""
    seeds = sorted({row["seed"] for row in rows if row["setting"] == setting})
    errors = np.full((len(seeds), len(ages)), np.nan)
    for row in rows:
        if row["setting"] == setting:
            scans = row["scans"]
            errors[seeds.index(row["seed"]), scans] = np.abs(
                np.array(row["predicted"][answer]) - ages[scans]
            )
    return errors


def summarise(rows: Sequence[dict[str, Any]], cohort: Cohort) -> dict[str, Any]:
    """Error of every setting and answer over seeds, and the differences from the first setting."""
    ages = cohort.ages_years.astype(np.float64)
    names = list(dict.fromkeys(row["setting"] for row in rows))
    table, means = [], {}
    for name in names:
        mine = [row for row in rows if row["setting"] == name]
        entry: dict[str, Any] = {"setting": name, "seeds": len({row["seed"] for row in mine})}
        for answer in mine[0]["predicted"]:
            errors = errors_by_seed(rows, name, answer, ages)
            means[name, answer] = errors.mean(0)
            by_seed = errors.mean(1).tolist()
            sd = statistics.stdev(by_seed) if len(by_seed) > 1 else None
            entry[answer] = {"mae_years": statistics.mean(by_seed), "sd": sd, "by_seed": by_seed}
        if "validation_mae_years" in mine[0]:
            entry["validation_mae_years"] = _validation(mine)
            timed = [row["step_seconds"] for row in mine if row["step_seconds"] is not None]
            entry["step_seconds"] = statistics.median(timed) if timed else None
        table.append(entry)
    subjects = [record.subject for record in cohort.records]
    first = names[1]
    contrasts = [
        {
            "a": f"{name} {answer}",
            "b": f"{first} last",
            "delta_mae_years": found["mean"],
            "low": found["low"],
            "high": found["high"],
        }
        for (name, answer), errors in means.items()
        if (name, answer) != (first, "last") and answer in {"last", "ensemble", "kernel ridge"}
        for found in [mean_with_interval(errors - means[first, "last"], subjects)]
    ]
    return {"table": table, "contrasts": contrasts}


def _validation(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Mean over the fits, each by its number of validation scans."""
    weights = [row["validation_scans"] for row in rows]
    means: dict[str, float | None] = {}
    for answer in ("last", "ensemble"):
        values = [row["validation_mae_years"][answer] for row in rows]
        known = None not in values
        means[answer] = float(np.average(values, weights=weights)) if known else None
    return means


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a panel and write its rows and its table as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.age_rules",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--panel", choices=PANELS, default="recipes")
    parser.add_argument("--only", nargs="*", help="settings of the panel; all by default")
    parser.add_argument("--config", default="cohort/lfnn3d.yaml", help="base of all settings")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the result")
    parser.add_argument("--rows", type=Path, help="JSON lines of all fits, that panels can share")
    options = parser.parse_args(arguments)
    panel = PANELS[options.panel]
    if unknown := set(options.only or ()) - set(panel):
        parser.error(f"no setting {sorted(unknown)[0]!r} in {options.panel}: {list(panel)}")
    if options.only:
        panel = {name: panel[name] for name in options.only}
    torch.set_num_threads(1)
    keep_freed_memory()
    try:
        study = open_study(options.config)
        rows = []
        kept = options.rows or options.out.with_suffix(".jsonl")
        for row in run_panel(study, panel, options.seeds, kept):
            rows.append(row)
            sys.stderr.write(f"{row['setting']}, seed {row['seed']}, fold {row['fold'] + 1}\n")
    except BrainageError as error:
        sys.exit(f"error: {error}")
    content = {
        "command": command_line("pipelines.age_rules", arguments),
        "config": options.config,
        "settings": {name: list(overrides) for name, overrides in panel.items()},
        "scans": len(study.cohort.records),
        "device": describe_device(torch.device("cpu")),
        "torch": torch.__version__,
        **summarise(rows, study.cohort),
    }
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
