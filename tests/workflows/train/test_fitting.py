from dataclasses import replace

import numpy as np
import pytest
import torch

from brainage.data.splits import make_split
from brainage.data.volumes import ArrayVolumes
from brainage.errors import CohortError, ConfigError
from brainage.scans.manifest import read_manifest
from brainage.tracking.fanout import FanoutRecorder
from brainage.workflows.train.cohort import prepare_cohort
from brainage.workflows.train.fitting import device_of, fit_split
from tests.workflows.tiny import PREPROCESS, tiny_config

CONFIG = tiny_config(trainer={"epochs": 1})


@pytest.fixture(scope="module")
def prepared(cohort):
    records = read_manifest(cohort.manifest, require_ages=True).records
    return prepare_cohort(
        records, PREPROCESS, cohort.cache, jobs=1, recorder=FanoutRecorder([]),
        on_outcome=lambda outcome: None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def split(prepared):
    return make_split(prepared.records, CONFIG.split, CONFIG.seed)


@pytest.fixture
def fit(prepared, split, tmp_path):
    """Fit a cohort; another one has checkpoints of its own."""
    fits = []

    def fitted(cohort=prepared, name="holdout"):
        fits.append(
            fit_split(
                CONFIG,
                cohort,
                split,
                name=name,
                checkpoints=tmp_path / str(len(fits)),
                fingerprint="f",
                recorder=FanoutRecorder([]),
            )
        )
        return fits[-1]

    return fitted


def changed(cohort, indices):
    """The cohort with other ages and volumes at some places."""
    ages, volumes = cohort.ages_years.copy(), np.stack(list(cohort.volumes))
    ages[list(indices)] += 7
    volumes[list(indices)] *= -1
    return replace(cohort, ages_years=ages, volumes=ArrayVolumes(volumes))


def same_weights(a, b):
    pairs = zip(a.chain.state_dict().values(), b.chain.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_what_is_validated_and_tested_on_teaches_nothing(fit, prepared, split):
    first = fit()
    other = fit(changed(prepared, (*split.validation, *split.test)))
    assert same_weights(first, other)
    assert (first.task, first.training_mean_age_years) == (
        other.task,
        other.training_mean_age_years,
    )


def test_only_validation_scans_decide_when_to_stop(prepared, split, tmp_path):
    config = tiny_config(trainer={"epochs": 3, "early_stopping": {"patience": 1}})

    def fit(cohort, folder):
        return fit_split(
            config, cohort, split, name="holdout", checkpoints=tmp_path / folder, fingerprint="f",
            recorder=FanoutRecorder([]),
        )  # fmt: skip

    first = fit(prepared, "1")
    tested = fit(changed(prepared, split.test), "2")
    assert same_weights(first, tested)
    assert first.result.best_epoch == tested.result.best_epoch is not None
    assert first.result.history[0]["val/mae_years"] == tested.result.history[0]["val/mae_years"]
    assert first.test_ages_by_block[3].tolist() != tested.test_ages_by_block[3].tolist()


def test_stopping_without_scans_to_validate_on_is_refused(prepared, split, tmp_path):
    config = tiny_config(trainer={"early_stopping": {}})
    with pytest.raises(
        CohortError, match=r"final: trainer\.early_stopping needs scans to validate"
    ):
        fit_split(
            config, prepared, replace(split, validation=()), name="final", checkpoints=tmp_path,
            fingerprint="f", recorder=FanoutRecorder([]),
        )  # fmt: skip


def test_every_training_scan_teaches(fit, prepared, split):
    first = fit()
    for index in split.train:
        assert not same_weights(first, fit(changed(prepared, [index])))


def test_test_scans_are_predicted_in_the_split_s_order_by_every_block(fit, prepared, split):
    fitted = fit()
    assert set(fitted.test_ages_by_block) == {1, 2, 3}
    last = fitted.test_ages_by_block[3]
    volumes = torch.from_numpy(np.stack(list(prepared.volumes.subset(split.test))))[:, None]
    with torch.no_grad():
        outputs = fitted.chain.eval().all_outputs(volumes)[-1].prediction_BC
    np.testing.assert_allclose(last, fitted.task.predict(outputs).numpy(), rtol=1e-5)
    assert len(set(last)) == len(split.test)


def test_parts_of_a_run_start_from_weights_of_their_own(fit):
    assert not same_weights(fit(name="fold1"), fit(name="fold2"))


def test_training_ages_that_do_not_differ_are_refused(fit, prepared):
    ages = np.full_like(prepared.ages_years, 40.0)
    with pytest.raises(CohortError, match="holdout: two different training ages are needed"):
        fit(replace(prepared, ages_years=ages))


@pytest.mark.parametrize(
    ("launched", "message"),
    [
        ({}, "^trainer.device: cuda:99 does not exist here"),
        ({"RANK": "98", "WORLD_SIZE": "99", "LOCAL_RANK": "98"}, "^trainer.device: rank 98 is"),
    ],
)
def test_a_device_that_is_not_here_is_refused_by_its_key(launched, message, monkeypatch):
    for name, value in launched.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        device_of(tiny_config(trainer={"device": "cuda:99"}))
