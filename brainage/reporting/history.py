"""Curves of a run from its own record."""

from collections.abc import Iterable

from brainage.tracking.jsonl import Event


def metric_history(events: Iterable[Event]) -> dict[str, list[tuple[int, float]]]:
    """Every metric in ``events.jsonl`` as (step, value), in the order of the steps.

    A step that was recorded again, by a run resumed from an earlier checkpoint, counts as last
    recorded.
    """
    latest: dict[str, dict[int, float]] = {}
    for event in events:
        if event.kind == "metrics":
            step = int(event.fields["step"])
            for name, value in event.fields["values"].items():
                latest.setdefault(name, {})[step] = float(value)
    return {name: sorted(points.items()) for name, points in latest.items()}
