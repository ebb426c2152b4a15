"""Which training scans an epoch takes, when some kinds of scans are rare."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import torch

from brainage.core.random import derive_seed
from brainage.data.config import Balance
from brainage.data.splits import Split
from brainage.errors import CohortError
from brainage.scans.record import UNKNOWN, ScanRecord

_FIELDS: Mapping[Balance, tuple[str, ...]] = {
    "none": (),
    "age": (),
    "site": ("site",),
    "sex": ("sex",),
    "age_and_site": ("site",),
}


def refuse_unknown_groups(
    records: Sequence[ScanRecord], splits: Mapping[str, Split], balance: Balance
) -> None:
    """Refuse to balance over what no training scan of a split has.

    Raises:
        CohortError: names the split and the column of the manifest.
    """
    for name, split in splits.items():
        for field in _FIELDS[balance]:
            if not any(getattr(records[index], field) for index in split.train):
                raise CohortError(
                    f"data.balance: expected '{field}' of the training scans of {name} for "
                    f"'{balance}', got none of {len(split.train)} with one; fill the manifest's "
                    f"column '{field}' or choose another balance"
                )


def sampling_groups(
    records: Sequence[ScanRecord], balance: Balance, bin_years: float
) -> list[str] | None:
    """The group of each scan, by name, or None where nothing is balanced.

    Age bins have equal width and start at 0 years. Scans without a site or sex are a group of
    their own.

    Args:
        records: the training scans, all with ages.
        balance: what to balance over.
        bin_years: width of an age bin.
    """
    if balance == "none":
        return None
    return [_group(record, balance, bin_years) for record in records]


def describe_groups(groups: Sequence[str]) -> str:
    """How many groups there are, and how large: ``groups: 9, of 1 (0 to 5 years) to ...``."""
    counts = Counter(groups).most_common()
    (most, largest), (least, smallest) = counts[0], counts[-1]
    return f"groups: {len(counts)}, of {smallest} ({least}) to {largest} scans ({most})"


def draw_balanced(groups: Sequence[str], seed: int, epoch: int) -> list[int]:
    """As many indices as there are scans, with replacement, every group equally likely.

    The chance of a scan is one over (number of groups times size of its group): inverse to how
    frequent its like are. Only (seed, epoch) decide what is drawn.
    """
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    generator = torch.Generator().manual_seed(derive_seed(seed, "balance", epoch))
    drawn = torch.rand(len(groups), 2, generator=generator, dtype=torch.float64).tolist()
    lists = list(members.values())
    order = []
    for group_share, member_share in drawn:
        alike = lists[int(group_share * len(lists))]
        order.append(alike[int(member_share * len(alike))])
    return order


def occurrences(order: Sequence[int]) -> list[int]:
    """For each place of an order, how often its index has come before."""
    seen: Counter[int] = Counter()
    counts = []
    for index in order:
        counts.append(seen[index])
        seen[index] += 1
    return counts


def _group(record: ScanRecord, balance: Balance, bin_years: float) -> str:
    site, sex = record.site or UNKNOWN, record.sex or UNKNOWN
    if balance == "site":
        return site
    if balance == "sex":
        return sex
    assert record.age_years is not None
    first = math.floor(record.age_years / bin_years) * bin_years
    bin_name = f"{first:g} to {first + bin_years:g} years"
    return bin_name if balance == "age" else f"{bin_name} at {site}"
