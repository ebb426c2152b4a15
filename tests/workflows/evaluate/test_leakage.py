"""What had a part in a model's training is found by bytes and by name; folds share nobody."""

import shutil

import pytest

from brainage.errors import BundleError, CohortError
from brainage.scans.manifest import ScanRecord
from brainage.workflows.evaluate.leakage import (
    ScanIdentity,
    identities,
    refuse_repeats,
    refuse_shared_subjects,
    refuse_training_scans,
    training_identities,
)
from brainage.workflows.train.run import train
from tests.workflows.tiny import sha256, tiny_config


def scan(subject: str, letter: str | None = None) -> ScanIdentity:
    return ScanIdentity(f"{subject}.nii", subject, letter * 64 if letter else None)


@pytest.fixture(scope="module")
def calibration(tmp_path_factory):
    """Of a model that was trained on sub-1 (bytes aaa...) and sub-2 (bbb...)."""
    folder = tmp_path_factory.mktemp("scans")
    records = [ScanRecord(folder / f"{name}.nii", name) for name in ("sub-1", "sub-2")]
    return training_identities(records, [f"{letter * 32}-0123" for letter in "ab"])


def refuse(calibration, *scans, other_people=False):
    return refuse_training_scans("m", calibration, scans, other_people=other_people)


def test_a_model_keeps_no_name(calibration):
    assert "sub-1" not in str(calibration)
    assert [len(values) for values in calibration.values()] == [2, 2]


def test_new_people_pass(calibration):
    assert refuse(calibration, scan("sub-3", "c"), scan("sub-11", "d"), scan("sub-4")) == []


@pytest.mark.parametrize("other_people", [False, True])
def test_equal_bytes_are_refused_under_any_name(calibration, other_people):
    with pytest.raises(CohortError, match=r"1 of 2 scans was used in the training of m.*new\.nii"):
        refuse(calibration, scan("sub-3", "c"), scan("new", "b"), other_people=other_people)


def test_an_equal_name_is_refused_unless_the_user_knows_better(calibration):
    with pytest.raises(CohortError, match=r"the first: sub-2; .* add --other-people"):
        refuse(calibration, scan("sub-2", "c"))
    (told,) = refuse(calibration, scan("sub-2", "c"), other_people=True)
    assert "1 of 1 scan" in told
    assert "the user says" in told


def test_a_model_that_does_not_say_what_it_was_trained_on_is_not_evaluated(calibration):
    with pytest.raises(BundleError, match="does not say which scans it was trained on"):
        refuse({"training_subject_hashes": []}, scan("sub-3", "c"))


def test_a_subject_in_two_parts_is_refused():
    refuse_shared_subjects({"train": [scan("a", "a"), scan("a", "b")], "test": [scan("c", "c")]})
    with pytest.raises(CohortError, match="subject of a in two parts, train and test"):
        refuse_shared_subjects({"train": [scan("a", "a")], "test": [scan("a", "b")]})


def test_a_scan_in_two_parts_is_refused_under_any_name():
    with pytest.raises(CohortError, match="scan of b in two parts, train and test"):
        refuse_shared_subjects({"train": [scan("a", "a")], "test": [scan("b", "a")]})


def test_the_same_scan_twice_is_refused():
    refuse_repeats([scan("a", "a"), scan("b", "b"), scan("c"), scan("d")])
    with pytest.raises(CohortError, match=r"c\.nii: the same scan as a\.nii"):
        refuse_repeats([scan("a", "a"), scan("b", "b"), scan("c", "a")])


def test_scans_are_read_for_their_hash_and_a_bad_one_has_none(tmp_path):
    good = tmp_path / "a.nii"
    good.write_bytes(b"bytes")
    found = identities([(good, "sub-1"), (tmp_path / "gone.nii", "sub-2")])
    assert [each.sha256 for each in found] == [sha256(good), None]
    assert [each.subject for each in found] == ["sub-1", "sub-2"]


def test_training_refuses_one_scan_under_two_names_in_two_parts(cohort, tmp_path):
    """Half of the people have copies of one file, so that no split keeps them together."""
    copies = {}
    for index in range(3, 8):
        copies[f"sub-planted{index}"] = tmp_path / f"copy{index}.nii.gz"
        shutil.copy(cohort.scan("sub-real1"), copies[f"sub-planted{index}"])
    manifest = cohort.manifest_with(tmp_path / "manifest.csv", copies)
    config = tiny_config(cohort, data={"manifest": str(manifest)})
    with pytest.raises(CohortError, match=r"scan of sub-.* in two parts, training and"):
        train(config, runs_folder=tmp_path / "runs", resume=None)
    assert not list((tmp_path / "runs").rglob("*.safetensors"))
