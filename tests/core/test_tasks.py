import pytest
import torch

from brainage.core.config import TaskConfig
from brainage.core.tasks import fit_task, task_from_mapping, task_to_mapping

AGES = torch.tensor([4.0, 9.0, 23.0, 31.0, 55.0])


def test_a_fresh_regression_head_predicts_the_mean_age() -> None:
    task = fit_task(TaskConfig(name="regression"), AGES)
    fresh = torch.tensor(task.initial_bias())
    assert float(task.predict(fresh)) == pytest.approx(float(AGES.mean()))


def test_a_fresh_soft_bin_head_predicts_about_the_mean_age() -> None:
    task = fit_task(TaskConfig(), AGES)
    fresh = torch.tensor(task.initial_bias())
    assert float(task.predict(fresh)) == pytest.approx(float(AGES.mean()), abs=1.0)


def test_soft_target_expects_its_own_age_over_the_whole_training_range() -> None:
    task = fit_task(TaskConfig(num_bins=32), AGES)
    target = task.target_distribution(AGES)
    assert torch.allclose(task.predict(target.log()), AGES, atol=0.2)
    assert torch.allclose(target.sum(-1), torch.ones(len(AGES)))


def test_soft_bin_loss_is_zero_only_at_the_target() -> None:
    task = fit_task(TaskConfig(l1_weight=0.0), AGES)
    perfect = task.target_distribution(AGES).clamp_min(1e-30).log()
    assert task.prediction_loss(perfect, AGES).abs().max() < 1e-6
    assert (task.prediction_loss(perfect.roll(1, -1), AGES) > 0.1).all()


@pytest.mark.parametrize("name", ["regression", "soft_bins", "classification"])
def test_a_task_survives_being_written_down(name: str) -> None:
    config = TaskConfig(name=name, num_classes=3 if name == "classification" else None)
    targets = torch.tensor([0, 2]) if name == "classification" else AGES
    task = fit_task(config, targets)
    assert task_from_mapping(task_to_mapping(task)) == task


@pytest.mark.parametrize("ages", [[30.0], [30.0, 30.0]])
def test_ages_without_spread_are_refused(ages: list[float]) -> None:
    with pytest.raises(ValueError, match="two different training ages"):
        fit_task(TaskConfig(), torch.tensor(ages))


def test_a_class_beyond_the_last_is_refused() -> None:
    with pytest.raises(ValueError, match="class 3"):
        fit_task(TaskConfig(name="classification", num_classes=3), torch.tensor([0, 3]))
