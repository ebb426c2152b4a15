"""All perturbations, in the order in which they are done and shown."""

from collections.abc import Sequence
from difflib import get_close_matches

from brainage.errors import ConfigError
from brainage.stress import (
    bias,
    cortex,
    defacing,
    field_of_view,
    intensity,
    k_space,
    mirror,
    noise,
    resolution,
    rotation,
    translation,
    ventricles,
)
from brainage.stress.perturbation import Perturbation


def all_perturbations(seed: int) -> tuple[Perturbation, ...]:
    """Every perturbation of the package; names and levels are unique together."""
    return (
        *rotation.perturbations(),
        *translation.perturbations(),
        *field_of_view.perturbations(),
        *defacing.perturbations(),
        *bias.perturbations(seed),
        *noise.perturbations(seed),
        *k_space.perturbations(),
        *resolution.perturbations(),
        *intensity.perturbations(),
        *mirror.perturbations(),
        *ventricles.perturbations(),
        *cortex.perturbations(),
    )


def chosen_perturbations(seed: int, only: Sequence[str] = ()) -> tuple[Perturbation, ...]:
    """The perturbations with these names or families; none named takes all.

    Raises:
        ConfigError: for a name that there is not, with those that there are.
    """
    everything = all_perturbations(seed)
    known = dict.fromkeys(word for each in everything for word in (each.family, each.name))
    for name in only:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ConfigError(f"only: expected some of {', '.join(known)}, got '{name}'{hint}")
    wanted = set(only)
    return tuple(each for each in everything if not wanted or wanted & {each.family, each.name})
