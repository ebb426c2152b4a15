"""The ledger knows which models were scored on which scans, and forgets none silently."""

import json

import pytest

from brainage.errors import CohortError, RunFolderError
from brainage.workflows.evaluate.ledger import (
    earlier_use,
    ledger_path,
    note_evaluation,
    refuse_second_model,
    scan_keys,
)


def keys(*letters: str, subject: str = "sub-{}", age: float = 30.0):
    return [scan_keys(subject.format(letter), None, age, letter * 64) for letter in letters]


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "state" / "evaluations.jsonl"


def models(ledger, model, scans):
    return [(each.model, each.shared) for each in earlier_use(ledger, model, scans).others]


def test_no_ledger_knows_no_model(ledger):
    assert earlier_use(ledger, "m1", keys("a")) == ((), False)


def test_another_model_on_some_of_the_scans_is_found_with_their_number(ledger):
    note_evaluation(ledger, "m1", keys("a", "b", "c"))
    note_evaluation(ledger, "m2", keys("b"))
    note_evaluation(ledger, "m3", keys("x"))
    assert models(ledger, "m4", keys("b", "c", "d")) == [("m1", 2), ("m2", 1)]


def test_the_same_model_again_is_no_other(ledger):
    note_evaluation(ledger, "m1", keys("a"))
    note_evaluation(ledger, "m1", keys("a"))
    assert models(ledger, "m1", keys("a")) == []
    assert models(ledger, "m2", keys("a")) == [("m1", 1)]


def test_other_names_and_ages_do_not_hide_equal_bytes(ledger):
    note_evaluation(ledger, "m1", keys("a"))
    assert models(ledger, "m2", keys("a", subject="other", age=50)) == [("m1", 1)]


def test_people_are_known_without_their_files_but_not_by_a_chance_name(ledger):
    note_evaluation(ledger, "m1", keys("a", "b", "c"))
    without = [scan_keys(f"sub-{letter}", None, 30.0, None) for letter in "abc"]
    assert models(ledger, "m2", without) == [("m1", 3)]
    # of three other people one has a name and an age in common
    assert models(ledger, "m2", [without[0], *keys("x", "y")]) == []


def test_a_second_model_needs_to_be_asked_for(ledger):
    note_evaluation(ledger, "m1", keys("a"))
    use = earlier_use(ledger, "m2", keys("a"))
    with pytest.raises(CohortError, match=r"1 of 1 scan was used to score another model \(m1, "):
        refuse_second_model(use, 1, again=False)
    refuse_second_model(use, 1, again=True)
    refuse_second_model(earlier_use(ledger, "m2", keys("b")), 1, again=False)


def test_what_was_scored_before_may_be_scored_again_but_on_no_other_scan(ledger):
    note_evaluation(ledger, "m1", keys("a", "b"))
    note_evaluation(ledger, "m2", keys("a", "b", "c"))
    refuse_second_model(earlier_use(ledger, "m1", keys("a", "b")), 2, again=False)
    with pytest.raises(CohortError, match="3 of 3 scans"):
        refuse_second_model(earlier_use(ledger, "m1", keys("a", "b", "c")), 3, again=False)


def test_the_file_holds_no_name(ledger):
    note_evaluation(ledger, "m1", keys("a"))
    assert "sub-" not in ledger.read_text()
    assert json.loads(ledger.read_text())["model"] == "m1"


def test_a_damaged_line_is_not_passed_over(ledger):
    note_evaluation(ledger, "m1", keys("a"))
    ledger.write_text(ledger.read_text() + '{"model": "m2", "sc\n')
    with pytest.raises(RunFolderError, match=r"evaluations\.jsonl: line 2 is damaged"):
        earlier_use(ledger, "m3", keys("x"))


def test_a_file_that_cannot_be_written_is_told_with_the_way_out(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="set BRAINAGE_EVALUATIONS to a file"):
        note_evaluation(tmp_path / "file" / "ledger.jsonl", "m1", keys("a"))


def test_the_variable_names_the_file_and_else_the_users_state_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("BRAINAGE_EVALUATIONS", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert ledger_path() == tmp_path / "brainage" / "evaluations.jsonl"
    monkeypatch.setenv("BRAINAGE_EVALUATIONS", str(tmp_path / "lab.jsonl"))
    assert ledger_path() == tmp_path / "lab.jsonl"
