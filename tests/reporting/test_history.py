from brainage.reporting.history import metric_history
from brainage.tracking.jsonl import JsonlRecorder, read_events


def test_curves_come_from_the_record_and_a_repeated_step_counts_as_last_recorded(tmp_path):
    recorder = JsonlRecorder(tmp_path / "events.jsonl")
    recorder.event("run_started")
    for step, loss in [(1, 4.0), (2, 3.0), (3, 9.0)]:
        recorder.metrics({"train/loss": loss}, step)
    recorder.close("killed")
    resumed = JsonlRecorder(tmp_path / "events.jsonl")
    resumed.metrics({"train/loss": 2.0, "val/mae_years": float("inf")}, 3)
    resumed.close("finished")
    assert metric_history(read_events(tmp_path / "events.jsonl")) == {
        "train/loss": [(1, 4.0), (2, 3.0), (3, 2.0)],
        "val/mae_years": [(3, float("inf"))],
    }
