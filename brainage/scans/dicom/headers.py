"""Read of DICOM headers what choosing, checking and naming a series needs, and nothing else.

What tells who the patient is stays inside `Identity`, which shows none of it when printed. Messages
of pydicom can quote values, so they are kept silent.
"""

import logging
import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset

_KEYWORDS = (
    "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID", "PatientAge",
    "PatientBirthDate", "PatientSex", "StudyDate", "SeriesDate", "AcquisitionDate", "StudyTime",
    "Modality", "SeriesNumber", "SeriesDescription", "ProtocolName", "SequenceName", "ImageType",
    "ScanningSequence", "MRAcquisitionType", "EchoTime", "RepetitionTime", "InversionTime",
    "FlipAngle", "ContrastBolusAgent", "Rows", "Columns", "PixelSpacing", "NumberOfFrames",
    "ImagePositionPatient", "ImageOrientationPatient", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "EffectiveEchoTime",
)  # fmt: skip

Vector = tuple[float, ...]


@dataclass(frozen=True, repr=False)
class Identity:
    """Who and when: for hashing, grouping and ages only, never for output."""

    patient: str
    study: str
    series: str
    instance: str
    age: str
    birth_date: str
    study_date: str
    study_time: str


@dataclass(frozen=True)
class Slice:
    """One slice: where its first voxel lies, along which axes, at which spacing."""

    position_mm: Vector
    axes: Vector
    """Direction of rows, then of columns; six numbers."""
    spacing_mm: Vector
    """Between rows, then between columns."""
    size: tuple[int, int]
    """Rows, columns."""


@dataclass(frozen=True)
class ImageHeader:
    """One DICOM file with an image; an enhanced one has many slices."""

    file: Path
    identity: Identity = field(repr=False)
    modality: str
    series_number: int | None
    description: str = field(repr=False)
    """Words of description, protocol and sequence; free text, so never shown."""
    image_type: tuple[str, ...]
    sequence: tuple[str, ...]
    is_3d: bool
    echo_time_ms: float | None
    repetition_time_ms: float | None
    inversion_time_ms: float | None
    flip_angle_degrees: float | None
    contrast_agent: bool
    sex: str | None
    slices: tuple[Slice, ...]


def read_headers(files: Iterable[Path]) -> tuple[list[ImageHeader], list[Path]]:
    """Headers of all files that hold images, and the files that cannot be read."""
    headers, unreadable = [], []
    for file in files:
        try:
            with _silent_pydicom():
                header = _read(file)
        except Exception:  # pydicom raises anything for damaged files, with values in the text
            unreadable.append(file)
            continue
        if header is not None:
            headers.append(header)
    return headers, unreadable


@contextmanager
def _silent_pydicom() -> Iterator[None]:
    """No warning, log line or check of values while a header is read."""
    log, settings = logging.getLogger("pydicom"), pydicom_config.settings
    disabled, mode = log.disabled, settings.reading_validation_mode
    log.disabled, settings.reading_validation_mode = True, pydicom_config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled, settings.reading_validation_mode = disabled, mode


def _read(file: Path) -> ImageHeader | None:
    """The header of one file; none when it holds no image (a report, a directory)."""
    found = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=[*_KEYWORDS])
    if not _text(found, "SOPInstanceUID"):
        raise ValueError("no DICOM")
    rows, columns = _number(found, "Rows"), _number(found, "Columns")
    if not rows or not columns:
        return None
    number = _number(found, "SeriesNumber")
    words = (_text(found, key) for key in ("SeriesDescription", "ProtocolName", "SequenceName"))
    shared = _first(found, "SharedFunctionalGroupsSequence")
    echo = _first(shared, "MREchoSequence")
    timing = _first(shared, "MRTimingAndRelatedParametersSequence")
    return ImageHeader(
        file=file,
        identity=_identity(found),
        modality=_text(found, "Modality"),
        series_number=None if number is None else int(number),
        description=" ".join(words).lower(),
        image_type=_texts(found, "ImageType"),
        sequence=_texts(found, "ScanningSequence"),
        is_3d=_text(found, "MRAcquisitionType") == "3D",
        echo_time_ms=_number(found, "EchoTime") or _number(echo, "EffectiveEchoTime"),
        repetition_time_ms=_number(found, "RepetitionTime") or _number(timing, "RepetitionTime"),
        inversion_time_ms=_number(found, "InversionTime"),
        flip_angle_degrees=_number(found, "FlipAngle") or _number(timing, "FlipAngle"),
        contrast_agent=bool(_text(found, "ContrastBolusAgent")),
        sex=sex if (sex := _text(found, "PatientSex").upper()) in {"F", "M"} else None,
        slices=_slices(found, (int(rows), int(columns))),
    )


def _identity(found: Dataset) -> Identity:
    date = next(
        (text for key in ("StudyDate", "SeriesDate", "AcquisitionDate")
         if (text := _text(found, key))), "",
    )  # fmt: skip
    return Identity(
        patient=_text(found, "PatientID"),
        study=_text(found, "StudyInstanceUID"),
        series=_text(found, "SeriesInstanceUID"),
        instance=_text(found, "SOPInstanceUID"),
        age=_text(found, "PatientAge"),
        birth_date=_text(found, "PatientBirthDate"),
        study_date=date,
        study_time=_text(found, "StudyTime"),
    )


def _slices(found: Dataset, size: tuple[int, int]) -> tuple[Slice, ...]:
    frames = found.get("PerFrameFunctionalGroupsSequence")
    if not frames:
        num_frames = int(_number(found, "NumberOfFrames") or 1)
        return (_slice(found, found, found, size),) * num_frames
    shared = _first(found, "SharedFunctionalGroupsSequence")
    names = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
    slices = []
    for frame in frames:
        position, axes, measures = (_first(frame, n) or _first(shared, n) for n in names)
        slices.append(_slice(position, axes, measures, size))
    return tuple(slices)


def _slice(position: Dataset, axes: Dataset, measures: Dataset, size: tuple[int, int]) -> Slice:
    return Slice(
        _numbers(position, "ImagePositionPatient", 3),
        _numbers(axes, "ImageOrientationPatient", 6),
        _numbers(measures, "PixelSpacing", 2),
        size,
    )


def _first(found: Dataset, keyword: str) -> Dataset:
    """The one item of a sequence; an empty data set where there is none."""
    items = found.get(keyword)
    return items[0] if items else Dataset()


def _value(found: Dataset, keyword: str) -> Any:
    with suppress(Exception):
        return found.get(keyword)
    return None


def _text(found: Dataset, keyword: str) -> str:
    value = _value(found, keyword)
    return "" if value is None else str(value).strip()


def _texts(found: Dataset, keyword: str) -> tuple[str, ...]:
    value = _value(found, keyword)
    values = [] if value is None else [value] if isinstance(value, str) else list(value)
    return tuple(str(text).strip().upper() for text in values)


def _number(found: Dataset, keyword: str) -> float | None:
    try:
        number = float(_value(found, keyword))
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _numbers(found: Dataset, keyword: str, count: int) -> Vector:
    """So many finite numbers, or an empty tuple."""
    try:
        numbers = tuple(float(number) for number in _value(found, keyword))
    except (TypeError, ValueError):
        return ()
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else ()
