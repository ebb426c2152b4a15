import pytest
import torch

from brainage.core.evaluation import Evaluation
from brainage.data.images.registry import open_images
from brainage.workflows.images.fit import FitTask, _errors_by_class, fit_from_json, fit_images
from tests.workflows.images.conftest import panel_config


def evaluation(labels, predictions, block=0):
    return Evaluation(
        predictions_N={0: torch.zeros(len(labels)), block: torch.tensor(predictions).float()},
        losses={},
        targets_N=torch.tensor(labels).float(),
    )


def test_errors_of_a_class_are_the_wrong_ones_among_its_images():
    found = evaluation([0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 1, 0])
    assert _errors_by_class(found, 3) == [66.667, 0.0, 100.0]


def test_a_class_without_images_has_no_error():
    assert _errors_by_class(evaluation([0, 2, 2], [0, 2, 1]), 5) == [0.0, None, 50.0, None, None]


def test_the_last_block_s_answers_count():
    found = evaluation([0, 1], [0, 1], block=3)
    assert _errors_by_class(found, 2) == [0.0, 0.0]


@pytest.mark.parametrize("tests", [True, False])
def test_a_fit_has_validation_errors_of_every_class_that_give_its_error(tests, tmp_path):
    config = panel_config(data={"name": "mnist", "validation_images": 9})
    images = open_images(config.data, config.augmentation, torch.device("cpu"))
    recipe = config.recipe_of("bp", "as given")
    fit = fit_images(
        FitTask(
            method="bp",
            candidate="as given",
            seed=0,
            fingerprint="",
            recipe=recipe,
            checkpoints=tmp_path / "checkpoints",
            tests=tests,
            num_threads=1,
        ),
        images,
    )
    source = images.batches("validation", batch_size=9, seed=0, training=False)
    (batch,) = source.batches(0)
    counts = torch.bincount(batch.targets.long(), minlength=2).tolist()
    assert sum(counts) == 9
    errors = fit.validation_error_percent_by_class
    assert len(errors) == 2
    wrong = sum(count * error for count, error in zip(counts, errors, strict=True))
    assert wrong / 9 == pytest.approx(fit.validation_error_percent, abs=1e-3)
    assert fit_from_json(fit.to_json()) == fit


def test_memory_of_a_fit_that_went_on_from_a_checkpoint_is_not_known(tmp_path):
    config = panel_config()
    images = open_images(config.data, config.augmentation, torch.device("cpu"))
    task = FitTask(
        method="bp",
        candidate="as given",
        seed=0,
        fingerprint="f",
        recipe=config.recipe_of("bp", "as given"),
        checkpoints=tmp_path / "checkpoints",
        tests=True,
        num_threads=1,
    )
    first, second = fit_images(task, images), fit_images(task, images)
    assert first.peak_memory_bytes is not None
    assert second.peak_memory_bytes is None
    assert second.test_error_percent == first.test_error_percent
