"""What is checked of a comparison before anything is written, and the folder it is kept in."""

from pathlib import Path

import torch

from brainage.bundle.network import build_network, settle_cuts
from brainage.config.compare import (
    CompareConfig,
    compare_config_hash,
    dump_compare_config,
    load_compare_config,
)
from brainage.core.tasks import fit_task
from brainage.errors import ConfigError
from brainage.workflows.train.fitting import device_of
from brainage.workflows.train.run_folder import RunFolder, begin_or_resume


def settle_arms(config: CompareConfig) -> CompareConfig:
    """The comparison with cuts found where they are measured, kept so that resuming cuts the same.

    Every arm's network is built once before anything is written; what does not fit is refused here.

    Raises:
        ConfigError: names the arm.
    """
    input_shape = (1, *config.run.preprocess.grid.shape_XYZ)
    cuts = {}
    for name in config.arms:
        run = config.arm(name, config.seeds[0])
        try:
            settled = settle_cuts(run, input_shape, device_of(run))
            task = fit_task(settled.task, torch.tensor([20.0, 80.0]))
            build_network(settled, task, input_shape, settled.seed)
        except (ConfigError, ValueError) as error:
            raise ConfigError(f"arms.{name}: {error}") from error
        if settled.blocks.cuts is not None and run.blocks.cuts is None:
            cuts[name] = settled.blocks.cuts
    return config.with_cuts(cuts)


def open_comparison(config: CompareConfig, runs_folder: Path, resume: Path | None) -> RunFolder:
    """A new folder with the settled configuration, or that of an interrupted comparison.

    Raises:
        ConfigError: if the comparison to resume has another configuration.
        RunFolderError: if the folder cannot be used.
    """
    return begin_or_resume(
        runs_folder,
        config.name,
        resume,
        content=dump_compare_config(config),
        same=lambda path: (
            compare_config_hash(load_compare_config(path)) == compare_config_hash(config)
        ),
    )
