"""Group DICOM files into series and studies."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from brainage.scans.dicom.headers import Identity, ImageHeader, Slice


@dataclass(frozen=True)
class Series:
    """The images of one series, each once, in the order of their file names."""

    headers: tuple[ImageHeader, ...]

    @property
    def first(self) -> ImageHeader:
        """The header that speaks for the series."""
        return self.headers[0]

    @property
    def name(self) -> str:
        """How messages call the series: by its number, which says nothing about the patient."""
        number = self.first.series_number
        return "a series without number" if number is None else f"series {number}"

    @property
    def slices(self) -> tuple[Slice, ...]:
        """All slices of all files."""
        return tuple(slice_ for header in self.headers for slice_ in header.slices)

    @property
    def files(self) -> tuple[Path, ...]:
        """Its files."""
        return tuple(header.file for header in self.headers)

    @property
    def folders(self) -> frozenset[Path]:
        """The folders that its files lie in."""
        return frozenset(file.parent for file in self.files)


@dataclass(frozen=True)
class Study:
    """The series of one visit to the scanner, by series number."""

    series: tuple[Series, ...]

    @property
    def identity(self) -> Identity:
        """Who and when; never for output."""
        return self.series[0].first.identity


def group_studies(headers: Iterable[ImageHeader]) -> list[Study]:
    """Studies in the order of their first files; a file that is there twice counts once."""
    by_study: dict[tuple[str, str], dict[str, dict[str, ImageHeader]]] = defaultdict(dict)
    for header in sorted(headers, key=lambda header: header.file):
        who = header.identity
        series = by_study[who.patient, who.study].setdefault(who.series, {})
        series.setdefault(who.instance, header)
    return [
        Study(
            tuple(sorted((Series(tuple(files.values())) for files in study.values()), key=_order))
        )
        for study in by_study.values()
    ]


def _order(series: Series) -> tuple[float, Path]:
    number = series.first.series_number
    return (float("inf") if number is None else number, series.first.file)
