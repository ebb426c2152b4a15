"""Altered and truncated bytes: a ScanError or a finite scan comes out, never anything else."""

import gzip
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainage.errors import ScanError
from brainage.scans.nifti import parse_scan

NUM_EXAMPLES = 5000
"""Of each of the three ways to spoil a file."""

SHAPE = (16, 17, 18)
AFFINE = np.array([[-1.0, 0.1, 0, 9], [0, 1.2, 0, -8], [0.1, 0, 1.5, 7], [0, 0, 0, 1]])
INTERESTING = [0, 1, 2, 127, 128, 255]


def whole_files() -> dict[str, bytes]:
    """A small scan in every format, byte order and kind of voxel that is read."""
    files = {}
    rng = np.random.default_rng(0)
    for dtype in (np.uint8, np.int16, np.float32, np.float64):
        data = rng.integers(0, 200, SHAPE).astype(dtype)
        for order in "<>":
            for image_class in (nib.Nifti1Image, nib.Nifti2Image):
                header = image_class.header_class(endianness=order)
                header.set_data_dtype(np.dtype(dtype).newbyteorder(order))
                image = image_class(data, AFFINE, header)
                image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"note"))
                files[f"{image_class.__name__}{order}{np.dtype(dtype)}"] = image.to_bytes()
        if dtype is not np.float64:
            files[f"mgh {np.dtype(dtype)}"] = nib.MGHImage(data, AFFINE).to_bytes()
    return files


FILES = whole_files()
HEADER_BYTES = 560
"""NIfTI-2 has the longest header, 540 bytes; then extensions follow."""

byte = st.one_of(st.sampled_from(INTERESTING), st.integers(0, 255))
changes = st.lists(st.tuples(st.integers(0, HEADER_BYTES), byte), min_size=1, max_size=12)
words = st.tuples(
    st.integers(0, HEADER_BYTES),
    st.sampled_from(
        [np.array(value, dtype).tobytes()
         for dtype in ("<i2", ">i2", "<i4", ">i4", "<f4", ">f4", "<f8", ">f8", "<i8", ">i8")
         for value in (0, 1, -1, 3, 7, 1024, 32767)]
        + [np.array(value, dtype).tobytes()
           for dtype in ("<f4", ">f4", "<f8", ">f8")
           for value in (np.nan, np.inf, -np.inf, 1e38, 1e-38)]
    ),
)  # fmt: skip


def outcome(content: bytes) -> str:
    """``ok`` or the stage of the ScanError; all else fails the test."""
    try:
        scan = parse_scan(Path("fuzzed"), content, "")
    except ScanError as error:
        message = str(error)
        if "\n" in message or len(message) > 1000:
            raise AssertionError(f"no clear line: {message!r}") from error
        return error.stage
    assert scan.data_XYZ.dtype == np.float32
    assert scan.data_XYZ.ndim == 3
    assert np.isfinite(scan.data_XYZ).all()
    assert np.isfinite(scan.affine).all()
    assert abs(np.linalg.det(scan.affine[:3, :3])) > 0
    return "ok"


@pytest.fixture
def tried(record_testsuite_property, capsys, request):
    """Counts outcomes, and tells how many inputs were tried."""
    outcomes: Counter[str] = Counter()
    yield outcomes
    record_testsuite_property(f"{request.node.name} inputs", outcomes.total())
    with capsys.disabled():
        print(f"\n{request.node.name}: {outcomes.total()} inputs tried: {dict(outcomes)}")


def fuzz(num_examples):
    return settings(
        max_examples=num_examples,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@pytest.mark.slow
@fuzz(NUM_EXAMPLES)
@given(name=st.sampled_from(sorted(FILES)), changes=changes, words=st.lists(words, max_size=3))
def test_altered_headers(tried, name, changes, words):
    content = bytearray(FILES[name])
    for place, value in changes:
        content[place] = value
    for place, value in words:
        content[place : place + len(value)] = value
    tried[outcome(bytes(content))] += 1


@pytest.mark.slow
@fuzz(NUM_EXAMPLES)
@given(name=st.sampled_from(sorted(FILES)), data=st.data(), packed=st.booleans())
def test_truncated_files(tried, name, data, packed):
    content = gzip.compress(FILES[name], 1) if packed else FILES[name]
    kept = data.draw(st.integers(0, len(content) - 1))
    result = outcome(content[:kept])
    assert result != "ok" or name.startswith(
        "mgh"
    )  # MGH ends with optional settings of the scanner
    tried[result] += 1


@pytest.mark.slow
@fuzz(NUM_EXAMPLES)
@given(
    name=st.sampled_from(sorted(FILES)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), byte), min_size=1, max_size=4),
    tail=st.binary(max_size=20),
)
def test_altered_gzip_streams(tried, name, changes, tail):
    content = bytearray(gzip.compress(FILES[name], 1))
    for place, value in changes:
        content[int(place * len(content))] = value
    tried[outcome(bytes(content) + tail)] += 1


@fuzz(60)
@given(name=st.sampled_from(sorted(FILES)), changes=changes)
def test_some_altered_headers(name, changes):
    """The same as above, short, for every run."""
    content = bytearray(FILES[name])
    for place, value in changes:
        content[place] = value
    assert outcome(bytes(content)) in {"ok", "read", "check"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_files_that_are_altered_are_good_ones(name):
    assert outcome(FILES[name]) == "ok"
    assert outcome(gzip.compress(FILES[name], 1)) == "ok"
