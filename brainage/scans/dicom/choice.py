"""Tell from headers whether a series is T1-weighted, and choose one of a study.

What is said about a choice are series numbers, our own key words and physics, never a value that
could tell who the patient is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from brainage.scans.dicom.headers import ImageHeader
from brainage.scans.dicom.series import Series

MAX_T1_ECHO_TIME_MS = 30.0
MAX_SPIN_ECHO_T1_REPETITION_TIME_MS = 1200.0
MAX_GRADIENT_ECHO_T1_ECHO_TIME_MS = 12.0

_T1_WORDS = re.compile(r"^t1|t1w|mprage|mp2rage|spgr|bravo|^tfl|^mpr$")
_OTHER_WORDS = re.compile(
    r"^(?:loc|pd|pdw|adc|epi|tof|mra|mip|map|inv1|inv2|dti|dwi|asl|swi|swan|dsc|dce|fa)$"
    r"|^t2|flair|^diff|trace|bold|fmri|^func|ep2d|pcasl|pasl|field|fmap|angio|locali[sz]er|scout"
    r"|survey|calib|perf|phase|t1map|screen|mosaic"
)
_OTHER_IMAGE_TYPES = frozenset(
    {"LOCALIZER", "P", "PHASE", "ADC", "FA", "TRACEW", "DIFFUSION", "PERFUSION", "MOSAIC",
     "PROJECTION IMAGE", "MIP", "MNIP", "T1 MAP", "T2 MAP", "FMRI", "ASL", "R2_MAP", "SUBTRACTION"}
)  # fmt: skip
_CONTRAST_WORDS = frozenset({"gd", "gad", "post", "contrast", "postcontrast", "ce"})


@dataclass(frozen=True)
class Weighting:
    """What a series' header says about its contrast.

    ``evidence``: 2 when its name says T1, 1 when its timing does, 0 when nothing speaks for or
    against, -1 when it is something else. ``reason`` says why.
    """

    evidence: int
    reason: str


@dataclass(frozen=True)
class Choice:
    """The series taken of a study, and one line that says why and what was left out."""

    series: Series
    weighting: Weighting
    reason: str


def weighting(series: Series) -> Weighting:
    """Judge one series by its kind, its name and its timing, in this order."""
    header = series.first
    if header.modality not in {"MR", ""}:
        return Weighting(-1, "not MR")
    other_type = sorted(_OTHER_IMAGE_TYPES.intersection(header.image_type))
    if other_type:
        return Weighting(-1, f"its image type says {other_type[0]}")
    by_timing = _by_timing(header)
    words = re.findall(r"[a-z0-9]+", header.description)
    other = _first_match(_OTHER_WORDS, words)
    if other is not None:
        return Weighting(-1, f"'{other}' in its name")
    if by_timing is not None and by_timing.evidence < 0:
        return by_timing
    named = _first_match(_T1_WORDS, words)
    if named is not None:
        return Weighting(2, f"'{named}' in its name")
    return by_timing or Weighting(0, "nothing in its header speaks for or against T1w")


def choose(candidates: Sequence[Series]) -> Choice:
    """The T1w series of a study, or its likeliest when none is (its ``evidence`` is then -1).

    Of several, the one with the better evidence; then without contrast agent, original before
    derived, acquired in 3D, normalised by the scanner, with more slices; then the lowest number.
    """
    judged = [(series, weighting(series)) for series in candidates]
    best, why = max(judged, key=lambda pair: _preference(*pair))
    agent = ", with contrast agent" if _has_contrast(best.first) else ""
    verdict = "taken" if why.evidence >= 0 else "is not T1w, and no other is"
    taken = f"{best.name} {verdict}: {why.reason}{agent}; {len(best.slices)} slices"
    left = "; ".join(
        f"{series.name} left out ({other.reason}; {len(series.slices)} slices)"
        for series, other in judged if series is not best
    )  # fmt: skip
    return Choice(best, why, "; ".join(part for part in (taken, left) if part))


def _first_match(pattern: re.Pattern[str], words: Sequence[str]) -> str | None:
    """The part of a word that matched, which is one of our key words and no free text."""
    for word in words:
        found = pattern.search(word)
        if found:
            return found[0]
    return None


def _by_timing(header: ImageHeader) -> Weighting | None:
    """Judge by echo and repetition time; none when they are not there or say nothing."""
    echo_ms, repetition_ms = header.echo_time_ms, header.repetition_time_ms
    if "EP" in header.sequence:
        return Weighting(-1, "echo-planar")
    if echo_ms is None:
        return None
    if echo_ms >= MAX_T1_ECHO_TIME_MS:
        return Weighting(-1, f"an echo time of {echo_ms:g} ms is no T1 weighting")
    if "GR" in header.sequence:
        short = echo_ms <= MAX_GRADIENT_ECHO_T1_ECHO_TIME_MS and header.is_3d
        return Weighting(1, f"3D gradient echo at {echo_ms:g} ms") if short else None
    if "SE" in header.sequence and repetition_ms is not None and header.inversion_time_ms is None:
        timing = f"spin echo at {echo_ms:g}/{repetition_ms:g} ms"
        short = repetition_ms <= MAX_SPIN_ECHO_T1_REPETITION_TIME_MS
        return Weighting(1, timing) if short else Weighting(-1, f"{timing} is no T1 weighting")
    return None


def _has_contrast(header: ImageHeader) -> bool:
    words = re.findall(r"[a-z0-9]+", header.description)
    return header.contrast_agent or not _CONTRAST_WORDS.isdisjoint(words)


def _preference(series: Series, why: Weighting) -> tuple[float, ...]:
    header = series.first
    number = header.series_number
    return (
        why.evidence,
        not _has_contrast(header),
        "DERIVED" not in header.image_type,
        header.is_3d,
        "NORM" in header.image_type,
        len(series.slices),
        float("-inf") if number is None else -number,
    )
