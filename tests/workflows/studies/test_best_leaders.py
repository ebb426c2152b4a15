import torch

from brainage.workflows.studies.best_leaders import LeaderWatch, epoch_row
from brainage.workflows.studies.roles import BlockScores, NetworkScores


def scores(losses, accuracies):
    block = BlockScores(torch.tensor(losses), torch.tensor(accuracies), 0.1, 0.9)
    return NetworkScores({0: block}, 0.2, 0.8)


def test_the_best_leader_is_chosen_by_training_images_alone():
    train = scores([0.9, 0.4, 0.7], [0.5, 0.6, 0.7])
    test = scores([0.1, 0.8, 0.7], [0.9, 0.3, 0.7])
    row = epoch_row(3, train, test)
    leader, output = row["layers"]
    assert row["epoch"] == 3
    assert leader["worker"] == 1
    assert leader["accuracy_percent"] == {"train": 60.0, "test": 30.0}
    assert leader["loss"]["test"] == 0.8
    assert leader["best_of_each_image"]["accuracy_percent"] == {"train": 90.0, "test": 90.0}
    assert output["accuracy_percent"] == {"train": 80.0, "test": 80.0}
    assert output["worker"] is None


def test_every_second_epoch_and_the_last_one_are_evaluated(engine, images):
    watch = LeaderWatch(engine, images, every=2, last=5)
    for epoch in range(1, 6):
        watch.metrics({}, epoch)
    assert [row["epoch"] for row in watch.rows] == [2, 4, 5]
