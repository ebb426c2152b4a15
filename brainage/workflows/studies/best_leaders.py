"""Figure S1: the best leader of every block, and the output layer, over training.

The best leader of a block is the worker with the lowest mean loss over the *training* images after
an epoch; its numbers on the test images are those of the same worker, so no test label takes part
in the choice. ``best_of_each_image`` in the rows is another reading: the worker with the lowest
loss on each image by itself, which labels choose, on the test images, too.
"""

from typing import Any

from brainage.core.engine import SingleDeviceEngine
from brainage.core.types import SilentRecorder
from brainage.data.images.registry import Images
from brainage.workflows.studies.roles import NetworkScores, best_workers, network_scores

EVALUATION_BATCH = 1000
PARTS = ("train", "test")


def scores_of(engine: SingleDeviceEngine, images: Images, part: str) -> NetworkScores:
    """Scores of a part: ``train``, ``validation`` or ``test``."""
    source = images.batches(part, batch_size=EVALUATION_BATCH, seed=0, training=False)
    return network_scores(engine, source)


class LeaderWatch(SilentRecorder):
    """Evaluates the workers when an epoch is over; ``rows`` has what was found.

    Args:
        engine: that is being trained.
        images: with training and test images.
        every: epochs between two evaluations.
        last: number of the last epoch, from 1.
    """

    def __init__(self, engine: SingleDeviceEngine, images: Images, *, every: int, last: int):
        self._engine = engine
        self._images = images
        self._every = every
        self._last = last
        self.rows: list[dict[str, Any]] = []

    def metrics(self, values: object, step: int) -> None:  # noqa: ARG002 - the protocol's argument
        """Evaluate after epoch ``step``, from 1."""
        if step % self._every == 0 or step == self._last:
            scores = {part: scores_of(self._engine, self._images, part) for part in PARTS}
            self.rows.append(epoch_row(step, scores["train"], scores["test"]))


def epoch_row(epoch: int, train: NetworkScores, test: NetworkScores) -> dict[str, Any]:
    """The numbers of one epoch: ``epoch``, ``layers`` with a row for every block and the output.

    A layer has its ``name``, ``accuracy_percent`` and ``loss`` by part, the number of its best
    ``worker`` (from 0; None for the output layer), and the other reading, if it has workers.

    Args:
        epoch: its number, from 1.
        train: scores over the training images.
        test: scores over the test images.
    """
    chosen = best_workers(train)
    both = {"train": train, "test": test}
    layers: list[dict[str, Any]] = []
    for index, worker in chosen.items():
        own = {part: scores.blocks[index] for part, scores in both.items()}
        layers.append(
            {
                "name": f"block {index + 1}, best leader",
                "worker": worker,
                "accuracy_percent": {
                    part: _percent(float(block.accuracy_W[worker])) for part, block in own.items()
                },
                "loss": {part: round(float(b.loss_W[worker]), 6) for part, b in own.items()},
                "best_of_each_image": {
                    "accuracy_percent": {p: _percent(b.best_accuracy) for p, b in own.items()},
                    "loss": {part: round(block.best_loss, 6) for part, block in own.items()},
                },
            }
        )
    layers.append(
        {
            "name": "output layer",
            "worker": None,
            "accuracy_percent": {p: _percent(scores.accuracy) for p, scores in both.items()},
            "loss": {part: round(scores.loss, 6) for part, scores in both.items()},
        }
    )
    return {"epoch": epoch, "layers": layers}


def _percent(share: float) -> float:
    return round(100 * share, 4)
