import pytest

from tests.baselines.planted import planted_scans


@pytest.fixture(scope="module")
def scans():
    return planted_scans()
