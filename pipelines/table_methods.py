"""Methods that predict age from a table of features, each tuned inside its training part.

Networks are one and the same multi-layer perceptron under several training rules. Each rule tries
the settings of ``GRID`` on the same fifth of the training part, held back by subject, keeps the
one of smallest error there and is trained with it on the whole training part.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from brainage.backbones.config import MLPConfig
from brainage.backbones.registry import build_stages
from brainage.baselines.gaussian_process import gaussian_process_ages
from brainage.baselines.harmonise import fit_harmonisation
from brainage.baselines.kernel_ridge import kernel_ridge_ages
from brainage.baselines.ridge import ridge_ages
from brainage.baselines.voxels import feature_products
from brainage.core.config import BlocksConfig, HeadConfig, ObjectiveConfig, TaskConfig
from brainage.core.learner import Learner
from brainage.core.training_config import OptimizerConfig
from brainage.data.split_config import SplitConfig
from brainage.data.splits import make_folds
from brainage.data.tables import FeatureTable

Floats = npt.NDArray[np.floating]

INNER_FOLDS = 5
# A measurement that failed can lie twenty standard deviations off; it says no more than four.
MOST_SDS = 4.0
# Below this share of a feature's size its spread is rounding.
RELATIVE_ROUNDING = 1e-9


@dataclass(frozen=True)
class Part:
    """Rows that are learned from and rows that are tested, features standardised by the former."""

    table: FeatureTable
    train: tuple[int, ...]
    test: tuple[int, ...]
    harmonise: str = "none"

    def features(self) -> tuple[Floats, Floats]:
        """(N, F) and (M, F), without what is constant, at most ``MOST_SDS`` from the mean."""
        train: Floats = self.table.features_NF[list(self.train)]
        test: Floats = self.table.features_NF[list(self.test)]
        if self.harmonise == "combat":
            train, test = self._harmonised(train, test)
        mean, sd = train.mean(axis=0), train.std(axis=0)
        varies = sd > RELATIVE_ROUNDING * np.maximum(np.abs(train).max(axis=0), 1e-300)
        standard = ((values[:, varies] - mean[varies]) / sd[varies] for values in (train, test))
        found_train, found_test = (np.clip(values, -MOST_SDS, MOST_SDS) for values in standard)
        return found_train, found_test

    def ages(self) -> Floats:
        """Ages of the training rows, (N,)."""
        return self.table.ages_years[list(self.train)]

    def subjects(self) -> list[str]:
        """Who the training rows are of."""
        return self._of(self.table.subjects, self.train)

    def inner(self) -> "Part":
        """The training part alone, a fifth of its subjects held back to tune on."""
        records = [self.table.records[row] for row in self.train]
        fold = make_folds(records, SplitConfig(folds=INNER_FOLDS), seed=0)[0]
        train = sorted([*fold.train, *fold.validation])
        places = np.array(self.train)
        return replace(self, train=tuple(places[train]), test=tuple(places[list(fold.test)]))

    def _harmonised(self, train: Floats, test: Floats) -> tuple[Floats, Floats]:
        of = self._of
        sites, subjects = self.table.sites, self.table.subjects
        sexes = [record.sex or "unknown" for record in self.table.records]
        fitted = fit_harmonisation(
            train, of(sites, self.train), self.subjects(), self.ages(), of(sexes, self.train)
        )
        return (
            fitted.apply(train, of(sites, self.train)),
            fitted.apply_to_test(test, of(sites, self.test), of(subjects, self.test)),
        )

    @staticmethod
    def _of(values: Sequence[str], rows: Sequence[int]) -> list[str]:
        return [values[row] for row in rows]


@dataclass(frozen=True)
class Setting:
    """What a network's rule may choose."""

    learning_rate: float
    dropout: float


GRID = tuple(
    Setting(learning_rate, dropout) for learning_rate in (2e-3, 5e-3) for dropout in (0.0, 0.3)
)
"""Four settings that every rule tries."""
EPOCHS = 20
HIDDEN_SIZES = (64, 64)
"""Each hidden layer is a block of its own."""
BATCH_SIZE = 32


def fit_network(
    objective: ObjectiveConfig, part: Part, setting: Setting, seed: int
) -> dict[str, Floats]:
    """Ages of the tested rows (M,) by the last block, and by all together where several predict."""
    train, test = (torch.from_numpy(values).float() for values in part.features())
    input_shape = (train.shape[1],)
    learner = Learner(
        build_stages(MLPConfig(hidden_sizes=HIDDEN_SIZES), input_shape, seed),
        TaskConfig(name="soft_bins"),
        input_shape,
        blocks=BlocksConfig(num_blocks=len(HIDDEN_SIZES)),
        objective=objective,
        heads=HeadConfig(dropout=setting.dropout),
        optimizer=OptimizerConfig(learning_rate=setting.learning_rate),
        device="cpu",
        seed=seed,
    )
    ages = torch.from_numpy(part.ages()).float()
    learner.fit(train, ages, epochs=EPOCHS, batch_size=BATCH_SIZE)
    by_block = learner.predict_by_block(test)
    answers = {"last": by_block[max(by_block)]}
    if len(by_block) > 1:
        answers["ensemble"] = learner.predict_together(test)
    return {name: predicted.double().numpy() for name, predicted in answers.items()}


def tune_network(objective: ObjectiveConfig, part: Part, seed: int) -> dict[str, Any]:
    """``chosen``: the place in ``GRID`` of smallest error on the held-back fifth; errors of all."""
    inner = part.inner()
    ages = part.table.ages_years[list(inner.test)]
    errors = [
        float(np.abs(fit_network(objective, inner, setting, seed)["last"] - ages).mean())
        for setting in GRID
    ]
    return {"chosen": int(np.argmin(errors)), "validation_mae_years": errors}


RULES = {
    "bp": ObjectiveConfig(name="bp"),
    "bp_deep_supervision": ObjectiveConfig(name="bp_deep_supervision"),
    "lfnn_l 100%": ObjectiveConfig(name="lfnn_l"),
    "lfnn_l 50%": ObjectiveConfig(name="lfnn_l", leader_fraction=0.5, selection="running"),
}
"""The same network, heads, task and effort; how leaders are selected is what did best on scans."""


def _mean(part: Part) -> Floats:
    return np.full(len(part.test), part.ages().mean())


def _median(part: Part) -> Floats:
    return np.full(len(part.test), float(np.median(part.ages())))


def _ridge(part: Part) -> Floats:
    train, test = part.features()
    return np.asarray(ridge_ages(train, part.ages(), part.subjects(), test), dtype=np.float64)


def _kernel_ridge(part: Part) -> Floats:
    products = feature_products(*part.features())
    found = kernel_ridge_ages(products, part.ages(), part.subjects())
    return np.asarray(found, dtype=np.float64)


def _gaussian_process(part: Part) -> Floats:
    train, test = part.features()
    return np.asarray(gaussian_process_ages(train, part.ages(), test), dtype=np.float64)


SIMPLE: dict[str, Callable[[Part], Floats]] = {
    "mean": _mean,
    "median": _median,
    "ridge": _ridge,
    "kernel ridge": _kernel_ridge,
    "Gaussian process": _gaussian_process,
}
"""Methods without a seed."""


def described_grid() -> list[dict[str, Any]]:
    """``GRID`` as plain values."""
    return [asdict(setting) for setting in GRID]
