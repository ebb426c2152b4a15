"""Altered bytes in a file of a series: a ScanError or a finite scan comes out of the whole way."""

from collections import Counter

import numpy as np
import pytest

from brainage.errors import ScanError
from brainage.scans.nifti import read_scan
from brainage.scans.source import find_scans
from tests.scans.dicom_files import voxels, write_series

NUM_EXAMPLES = 300
HEADER_BYTES = 1600


@pytest.fixture(autouse=True)
def subject_key(monkeypatch):
    monkeypatch.setenv("BRAINAGE_SUBJECT_KEY", "a key of the tests")


def outcome(folder):
    """``ok`` or the stages of what failed; all but a ScanError fails the test."""
    stages = set()
    for record in find_scans(folder).records:
        try:
            scan = read_scan(record.scan)
        except ScanError as error:
            stages.add(error.stage)
        else:
            assert np.isfinite(scan.data_XYZ).all()
            stages.add("ok")
    return "+".join(sorted(stages))


@pytest.mark.slow
def test_altered_files_of_a_series(tmp_path, capsys, record_testsuite_property):
    files = write_series(tmp_path, voxels((24, 20, 17)))
    rng = np.random.default_rng(0)
    outcomes: Counter[str] = Counter()
    for _ in range(NUM_EXAMPLES):
        file = files[rng.integers(len(files))]
        whole = file.read_bytes()
        content = bytearray(whole)
        for place in rng.integers(0, HEADER_BYTES, rng.integers(1, 30)):
            content[place] = rng.integers(0, 256)
        cut = rng.random() < 0.2
        file.write_bytes(content[: rng.integers(1, len(content))] if cut else content)
        outcomes[outcome(tmp_path)] += 1
        file.write_bytes(whole)
    assert outcome(tmp_path) == "ok"
    record_testsuite_property("altered series", outcomes.total())
    with capsys.disabled():
        print(f"\n{outcomes.total()} altered series tried: {dict(outcomes)}")
