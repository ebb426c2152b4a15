"""Errors cross process boundaries, whatever their constructors take."""

import inspect
import pickle

import pytest

from brainage import errors
from brainage.errors import BrainageError, MissingPackage, ScanError

GIVEN: dict[type[BrainageError], tuple[str, ...]] = {
    MissingPackage: ("hd-bet", "brain extraction", "hd-bet"),
    ScanError: ("scan.nii", "read", "is no image"),
}
KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, BrainageError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_the_same_in_another_process(kind: type[BrainageError]) -> None:
    error = kind(*GIVEN.get(kind, ("something is wrong",)))
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is kind
    assert str(other) == str(error)
