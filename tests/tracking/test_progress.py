import io

import pytest

from brainage.tracking.progress import EpochProgress, StageProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_written_where_there_is_no_terminal():
    stream = io.StringIO()
    with StageProgress("preprocessing", 3, "scan", stream=stream) as stage:
        stage.advance(2, failed=1)
    assert stream.getvalue() == ""
    assert stage.done == 2


def test_a_terminal_sees_what_is_done_how_far_and_the_facts():
    stream = Terminal()
    with StageProgress("preprocessing", 2, "scan", stream=stream) as stage:
        stage.advance(failed=1)
        stage.advance(failed=1)
    shown = stream.getvalue().split("\r")[-1]
    assert "preprocessing" in shown
    assert "2/2" in shown
    assert "failed=1" in shown


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_an_epoch_that_reports_twice_counts_once(stream):
    progress = EpochProgress(3, stream=stream)
    progress.metrics({"train/loss": 0.5}, step=1)
    progress.metrics({"val/mae_years": 4.0}, step=1)
    assert progress.epochs_done == 1
    progress.close("finished")


def test_a_resumed_run_starts_where_it_stopped_and_never_passes_the_end():
    progress = EpochProgress(10, epochs_done=6, stream=io.StringIO())
    assert progress.epochs_done == 6
    progress.metrics({"test/mae_years": 4.0}, step=11)
    assert progress.epochs_done == 10


def test_the_bar_shows_the_latest_loss_and_validation_error():
    stream = Terminal()
    progress = EpochProgress(1, stream=stream)
    progress.metrics({"train/loss": 0.51234, "train/block1/loss": 9.0}, step=0)
    progress.metrics({"val/mae_years": 4.25}, step=1)
    progress.close("finished")
    shown = stream.getvalue().split("\r")[-1]
    assert "loss=0.512" in shown
    assert "val MAE=4.25" in shown
    assert "9" not in shown.split("loss=")[1]
