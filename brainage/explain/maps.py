"""Both maps of one scan, each with its check against random weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brainage.bundle.answer import block_of
from brainage.bundle.model import Member, ModelBundle
from brainage.explain.answer import Advance, AnswerNetwork
from brainage.explain.baseline import mean_volume, template_volume
from brainage.explain.config import Baseline, ExplainConfig, Method, rows_at_a_time
from brainage.explain.gradients import Attribution, integrated_gradients
from brainage.explain.occlusion import num_cubes, occlusion_map
from brainage.explain.randomised import randomised_members
from brainage.explain.sanity import RandomisedMap, SanityCheck, compare, rank_correlation
from brainage.preprocess.pipeline import PreprocessedScan
from brainage.preprocess.state import Image, Mask

UNITS: dict[Method, str] = {
    "occlusion": "years",
    "integrated_gradients": "years per ml",
}
BASELINES: dict[Baseline, str] = {
    "template": "the template's brain, preprocessed as a scan",
    "mean": "mean of the scan's brain",
}
# Completeness that an eye does not see in a map.
COMPLETE_YEARS = 0.1
COMPLETE_FRACTION = 0.05


@dataclass(frozen=True, kw_only=True)
class SaliencyMap:
    """One map on the model's grid; 0 outside ``mask_XYZ``.

    Positive places make the brain look older. The mask is the scan's brain; for integrated
    gradients from the template, the template's brain is in it, too. ``facts`` are what was asked
    and found, of plain types; ``warnings`` what a reader has to know.
    """

    method: Method
    values_XYZ: Image
    mask_XYZ: Mask
    sanity: SanityCheck
    facts: dict[str, Any]
    warnings: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """Of its values."""
        return UNITS[self.method]


class MapMaker:
    """Makes the maps of one scan.

    Args:
        bundle: the model.
        scan: preprocessed as the model asks.
        answer: whose age is explained, as the bundle has it.
        config: how.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        scan: PreprocessedScan,
        answer: str,
        config: ExplainConfig,
    ) -> None:
        self._bundle = bundle
        self._scan = scan
        self._answer = answer
        self._config = config
        self._rows = rows_at_a_time(scan.volume_XYZ.shape)
        self._last_block = block_of(answer) or bundle.predicting_blocks[-1]
        self._spacing_mm = bundle.config.preprocess.grid.spacing_mm
        self._cube = config.cube_voxels(self._spacing_mm)
        self._stride = config.stride_voxels(self._spacing_mm)

    def num_rows(self, method: Method) -> int:
        """Volumes that the networks are asked about for a map and its check."""
        if method == "occlusion":
            shape = self._scan.volume_XYZ.shape
            fine, coarse = (num_cubes(shape, self._cube, s) for s in (self._stride, self._cube))
            # Each round asks about the whole volume first.
            return (fine + 1) + 2 * (coarse + 1)
        return (self._config.num_steps + 2) * (1 + self._last_block)

    def age_years(self) -> float:
        """The age that is explained."""
        volume_XYZ = self._scan.volume_XYZ
        network = AnswerNetwork(self._bundle.members, self._answer, np.zeros_like(volume_XYZ))
        return network.age_years(volume_XYZ)

    def make(self, method: Method, advance: Advance = lambda _rows: None) -> SaliencyMap:
        """One map with its check.

        Args:
            method: which.
            advance: told how many volumes were answered, of those that ``num_rows`` counts.
        """
        return self._occlusion(advance) if method == "occlusion" else self._gradients(advance)

    def _occlusion(self, advance: Advance) -> SaliencyMap:
        mask_XYZ = self._scan.mask_XYZ
        baseline_XYZ = mean_volume(self._scan.volume_XYZ, mask_XYZ)

        def years(members: Sequence[Member], stride: int) -> Image:
            network = AnswerNetwork(members, self._answer, baseline_XYZ, advance)
            added = occlusion_map(
                network,
                network.difference(self._scan.volume_XYZ),
                cube=self._cube,
                stride=stride,
                rows=self._rows,
            )
            # A cube at the edge of the brain covers air, too.
            return np.where(mask_XYZ, added.numpy(), np.float32(0))

        values_XYZ = years(self._bundle.members, self._stride)
        # Cubes side by side tell maps apart as well as overlapping ones, in an eighth of the time.
        coarse_XYZ = years(self._bundle.members, self._cube)
        other_XYZ = years(self._randomised(1), self._cube)
        check = compare(coarse_XYZ, other_XYZ, mask_XYZ, self._blocks_from(1))
        facts = {
            "cube_voxels": self._cube,
            "cube_mm": self._cube * self._spacing_mm,
            "stride_voxels": self._stride,
            "stride_mm": self._stride * self._spacing_mm,
            "replaced_by": "mean of the scan's brain",
        }
        return self._finished(
            "occlusion", values_XYZ, mask_XYZ, baseline_XYZ, checks=(check,), facts=facts
        )

    def _gradients(self, advance: Advance) -> SaliencyMap:
        baseline_XYZ, mask_XYZ = self._baseline()
        voxel_ml = self._spacing_mm**3 / 1000

        def attribution(members: Sequence[Member]) -> Attribution:
            network = AnswerNetwork(members, self._answer, baseline_XYZ, advance)
            return integrated_gradients(
                network,
                network.difference(self._scan.volume_XYZ),
                num_steps=self._config.num_steps,
                rows=self._rows,
            )

        mine = attribution(self._bundle.members)
        values_XYZ: Image = (mine.years_XYZ / voxel_ml).numpy()
        checks = []
        for first in range(self._last_block, 0, -1):
            other_XYZ = attribution(self._randomised(first)).years_XYZ.numpy()
            checks.append(compare(values_XYZ, other_XYZ, mask_XYZ, self._blocks_from(first)))
        added = mine.age_years - mine.baseline_age_years
        facts = {
            "num_steps": self._config.num_steps,
            "baseline": BASELINES[self._config.baseline],
            "baseline_age_years": mine.baseline_age_years,
            "age_minus_baseline_years": added,
            "sum_years": float(values_XYZ.sum(dtype=np.float64) * voxel_ml),
            "completeness_delta_years": mine.completeness_years,
        }
        warnings: tuple[str, ...] = ()
        if abs(mine.completeness_years) > max(COMPLETE_YEARS, COMPLETE_FRACTION * abs(added)):
            warnings = (
                f"integrated gradients: the map misses the age by {mine.completeness_years:+.2f} "
                f"years of {added:+.2f}; ask for more than {self._config.num_steps} steps, and for "
                "the template as baseline",
            )
        return self._finished(
            "integrated_gradients",
            values_XYZ,
            mask_XYZ,
            baseline_XYZ,
            checks=tuple(checks),
            facts=facts,
            warnings=warnings,
        )

    def _baseline(self) -> tuple[Image, Mask]:
        """The volume that gradients start from, and all places where it or the scan has brain."""
        if self._config.baseline == "mean":
            mask_XYZ = self._scan.mask_XYZ
            return mean_volume(self._scan.volume_XYZ, mask_XYZ), mask_XYZ
        template = template_volume(self._bundle.config.preprocess)
        return template.data_XYZ, template.mask_XYZ | self._scan.mask_XYZ

    def _randomised(self, first_block: int) -> tuple[Member, ...]:
        return randomised_members(self._bundle, first_block, self._config.seed)

    def _blocks_from(self, first: int) -> tuple[int, ...]:
        return tuple(range(first, self._last_block + 1))

    def _finished(
        self,
        method: Method,
        values_XYZ: Image,
        mask_XYZ: Mask,
        baseline_XYZ: Image,
        *,
        checks: tuple[RandomisedMap, ...],
        facts: dict[str, Any],
        warnings: tuple[str, ...] = (),
    ) -> SaliencyMap:
        replaced = np.abs(self._scan.volume_XYZ - baseline_XYZ)
        sanity = SanityCheck(
            method=method,
            comparisons=checks,
            spearman_with_difference=rank_correlation(
                np.abs(values_XYZ[mask_XYZ]), replaced[mask_XYZ]
            ),
            highest_correlation=self._config.highest_correlation,
        )
        return SaliencyMap(
            method=method,
            values_XYZ=values_XYZ,
            mask_XYZ=mask_XYZ,
            sanity=sanity,
            facts=facts,
            warnings=(*warnings, *(() if sanity.passed else (sanity.warning(),))),
        )
