"""ComBat: differences between sites taken out of features, with what the training part says.

Estimating has to tell the sites' differences from those of age, so it is given the training ages.
Applying must not: a map that is told a test scan's age writes the answer into its features. The map
here is one of a scan's features and site alone, and training scans go through the same map, since a
regression has to see in training what it is given later.

Source: Johnson et al. 2007, Biostatistics 8:118; Fortin et al. 2018, NeuroImage 167:104; estimates
by the package neuroCombat.
"""

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainage.errors import CohortError

Floats = npt.NDArray[np.floating]

MIN_SCANS_OF_SITE = 3
# Below this share of a feature's size its spread is rounding.
RELATIVE_ROUNDING = 1e-9


@dataclass(frozen=True)
class Harmonisation:
    """What ComBat learned from a training part of S sites and F features.

    A feature becomes ``centre + (feature - centre - shift) / scale``. ``centre_F`` is what the
    model expects at the mean training age; ``shift_SF`` and ``scale_SF`` are the sites'.
    ``fitted_on`` holds hashes of the training subjects.
    """

    sites: tuple[str, ...]
    centre_F: Floats
    shift_SF: Floats
    scale_SF: Floats
    fitted_on: frozenset[str]

    def apply(self, features: Floats, sites: Sequence[str]) -> Floats:
        """Features (N, F) as if all were of one site.

        Raises:
            CohortError: if a site was not in the training part.
        """
        rows = self._rows(sites)
        spread = features - self.centre_F - self.shift_SF[rows]
        harmonised: Floats = self.centre_F + spread / self.scale_SF[rows]
        return harmonised

    def apply_to_test(
        self, features: Floats, sites: Sequence[str], subjects: Sequence[str]
    ) -> Floats:
        """The same for scans that are tested on.

        Raises:
            CohortError: if a subject was in the training part, or a site was not.
        """
        both = sorted({name for name in subjects if _hash(name) in self.fitted_on})
        if both:
            more = f" and {len(both) - 10} more" if len(both) > 10 else ""
            raise CohortError(
                f"a harmonisation fitted on test: expected test subjects that it does not know, "
                f"got {', '.join(both[:10])}{more}; fit it on the training part of each fold"
            )
        return self.apply(features, sites)

    def _rows(self, sites: Sequence[str]) -> npt.NDArray[np.int64]:
        _refuse_unknown(self.sites, sites)
        places = {site: row for row, site in enumerate(self.sites)}
        return np.array([places[site] for site in sites], dtype=np.int64)


def refuse_undecided(sites: Sequence[str], ages_years: Floats, tested_sites: Sequence[str]) -> None:
    """Refuse a training part from which a test part cannot be harmonised, before it is needed.

    Args:
        sites: of the N training scans.
        ages_years: (N,), theirs.
        tested_sites: of the scans to be tested.

    Raises:
        CohortError: if a tested site is not among them, a site has too few scans, or ages and
            sites cannot be told apart.
    """
    _refuse_unknown(sorted(set(sites)), tested_sites)
    if len(set(sites)) == 1:
        return
    few = sorted(site for site, n in Counter(sites).items() if n < MIN_SCANS_OF_SITE)
    if few:
        raise CohortError(
            f"harmonisation: expected at least {MIN_SCANS_OF_SITE} training scans of each site, "
            f"got fewer of {', '.join(few)}; leave these out or harmonisation off"
        )
    labels = np.asarray(sites)
    within = [np.ptp(ages_years[labels == site]) for site in set(sites)]
    if max(within) == 0:
        raise CohortError(
            "harmonisation: expected ages that vary within a site, got one age at each; what age "
            "does and what the site does cannot be told apart"
        )


def _refuse_unknown(known: Sequence[str], sites: Sequence[str]) -> None:
    unknown = sorted(set(sites) - set(known))
    if unknown:
        raise CohortError(
            f"harmonisation: expected the sites of the training part ({', '.join(known)}), got "
            f"{', '.join(unknown)}; how a new site differs cannot be known without its scans, so "
            "leave harmonisation off"
        )


def fit_harmonisation(
    features: Floats,
    sites: Sequence[str],
    subjects: Sequence[str],
    ages_years: Floats,
    sexes: Sequence[str] | None = None,
) -> Harmonisation:
    """Learn the sites' shifts and scales from a training part.

    Args:
        features: (N, F) of the training scans.
        sites: where each was made.
        subjects: who each is of.
        ages_years: (N,); age's effect is no site's.
        sexes: of each, where known; its effect is no site's either.

    Raises:
        CohortError: if a site has too few scans, or ages and sites cannot be told apart.
    """
    names = tuple(sorted(set(sites)))
    num_features = features.shape[1]
    harmonisation = Harmonisation(
        names,
        np.zeros(num_features),
        np.zeros((len(names), num_features)),
        np.ones((len(names), num_features)),
        frozenset(_hash(name) for name in subjects),
    )
    spread = features.std(axis=0)
    varies = spread > RELATIVE_ROUNDING * np.maximum(np.abs(features).max(axis=0), 1e-300)
    if len(names) == 1 or not varies.any():
        return harmonisation  # nothing to take out
    refuse_undecided(sites, ages_years, names)
    estimates = _estimate(features[:, varies], sites, ages_years, sexes)
    for name, values in estimates.items():
        getattr(harmonisation, name)[..., varies] = values
    return harmonisation


def _estimate(
    features: Floats, sites: Sequence[str], ages_years: Floats, sexes: Sequence[str] | None
) -> dict[str, Floats]:
    """``centre_F``, ``shift_SF`` and ``scale_SF`` of features that vary."""
    # Deferred: pandas is slow to import, and most runs do not harmonise.
    import pandas as pd  # noqa: PLC0415
    from neuroCombat import neuroCombat  # type: ignore[import-untyped]  # noqa: PLC0415

    covariates = pd.DataFrame({"site": list(sites), "age": ages_years - ages_years.mean()})
    categories = []
    if sexes is not None and _sex_is_no_site_s(sites, sexes):
        covariates["sex"], categories = list(sexes), ["sex"]
    # Neither its messages nor its divisions by a shift of exactly zero are anyone's concern.
    with redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        found = neuroCombat(
            features.T,
            covariates,
            "site",
            categorical_cols=categories,
            continuous_cols=["age"],
            eb=features.shape[1] > 1,
        )["estimates"]
    sd_F = np.sqrt(found["var.pooled"][:, 0])
    estimates = {
        "centre_F": found["stand.mean"][:, 0] + np.mean(found["mod.mean"], axis=1),
        "shift_SF": found["gamma.star"] * sd_F,
        "scale_SF": np.sqrt(found["delta.star"]),
    }
    if not all(np.isfinite(values).all() for values in estimates.values()):
        raise CohortError(
            "harmonisation: ComBat found no finite estimates; a site's features do not vary, or "
            "copy one another"
        )
    return estimates


def _sex_is_no_site_s(sites: Sequence[str], sexes: Sequence[str]) -> bool:
    """Whether a model of both has a single solution: columns of sites, and of sexes but one."""
    of_site = np.array([[own == site for site in set(sites)] for own in sites], dtype=float)
    of_sex = np.array(
        [[own == sex for sex in sorted(set(sexes))[1:]] for own in sexes], dtype=float
    )
    both = np.hstack([of_site, of_sex])
    return of_sex.size > 0 and int(np.linalg.matrix_rank(both)) == both.shape[1]


def _hash(subject: str) -> str:
    return hashlib.sha256(subject.encode()).hexdigest()[:16]
