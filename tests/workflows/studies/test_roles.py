import pytest
import torch

from brainage.workflows.studies.roles import (
    best_workers,
    mean_leaders,
    network_scores,
    random_masks,
)


def all_outputs(engine, source):
    inputs, labels = (torch.cat(each) for each in zip(*source.batches(0), strict=True))
    engine.chain.eval()
    with torch.no_grad():
        return engine.chain.all_outputs(inputs), labels


def test_scores_are_those_of_all_samples_at_once(engine, test_images):
    scores = network_scores(engine, test_images)
    outputs, labels = all_outputs(engine, test_images)
    task = engine.objective.task
    for index in (0, 1):
        workers = outputs[index].workers_BWC
        losses = task.prediction_loss(workers, labels[:, None])
        found = scores.blocks[index]
        assert torch.allclose(found.loss_W, losses.double().mean(0), atol=1e-6)
        right = (workers.argmax(2) == labels[:, None]).double()
        assert torch.allclose(found.accuracy_W, right.mean(0))
        assert found.best_loss == pytest.approx(float(losses.min(1).values.mean()), abs=1e-6)
        best = right[torch.arange(len(labels)), losses.argmin(1)]
        assert found.best_accuracy == pytest.approx(float(best.mean()))
    answer = outputs[-1].prediction_BC
    assert scores.loss == pytest.approx(
        float(task.prediction_loss(answer, labels).mean()), abs=1e-6
    )
    assert scores.accuracy == pytest.approx(float((answer.argmax(1) == labels).double().mean()))


def test_leaders_have_the_lowest_mean_loss(engine, test_images):
    scores = network_scores(engine, test_images)
    leaders = mean_leaders(scores, 0.5)
    for index, block in scores.blocks.items():
        assert leaders[index].sum() == 2
        assert block.loss_W[leaders[index]].max() < block.loss_W[~leaders[index]].min()
        assert leaders[index][best_workers(scores)[index]]


@pytest.mark.parametrize(("followers", "size"), [(False, 3), (True, 7)])
def test_sets_by_lot_are_as_large_as_the_real_ones(followers, size):
    generator = torch.Generator().manual_seed(0)
    masks = random_masks([10, 10], 0.3, followers=followers, generator=generator)
    assert [int(mask.sum()) for mask in masks] == [size, size]
