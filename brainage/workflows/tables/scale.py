"""How an experiment is smaller than the published one, in words."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from brainage.config.sections import merge_plain

FULL = "full"


def scale_words(smaller: Sequence[str]) -> str:
    """``full``, or ``reduced:`` with what is smaller."""
    return f"reduced: {', '.join(smaller)}" if smaller else FULL


def fewer_repetitions(seeds: int, published: int | None) -> list[str]:
    """What to say of the seeds; nothing if there are as many as published, or that is unknown."""
    if published is None or seeds >= published:
        return []
    return [f"{seeds} of {published} repetitions"]


def changed_settings(
    full: Mapping[str, Any],
    reduced: Mapping[str, Any],
    own: Mapping[str, Any],
    told: Collection[str] = (),
) -> list[str]:
    """Settings that differ from those of the full experiment, with their values.

    Args:
        full: plain settings as published.
        reduced: what is changed in them; may have keys of its own, as of another backbone.
        own: as they were.
        told: dotted keys, or their beginnings, that are told of elsewhere or say nothing of scale.
    """
    changes = []
    for key in _leaves(merge_plain(full, reduced)):
        value, before = _at(own, key), _at(full, key)
        shown = ".".join(key)
        if value != before and not any(_within(shown, each) for each in told):
            changes.append(f"{shown.removeprefix('recipe.')} {value} instead of {before}")
    return changes


def _within(key: str, outer: str) -> bool:
    return key == outer or key.startswith(f"{outer}.")


def _leaves(content: Mapping[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for key, value in content.items():
        path = (*above, key)
        found += _leaves(value, path) if isinstance(value, Mapping) and value else [path]
    return found


def _at(content: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(content, Mapping):
            return None
        content = content.get(key)
    return content
