"""Nested cross-validation: what is chosen by, and that an interrupted search goes on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from brainage.bundle.load import load_bundle
from brainage.config.run import RunConfig
from brainage.core.checkpoint import CheckpointStore
from brainage.core.ranks import Alone
from brainage.core.types import SilentRecorder
from brainage.data.splits import Split
from brainage.scans.manifest import read_manifest
from brainage.tracking.jsonl import read_events
from brainage.workflows.train import inner_search, run_fits
from brainage.workflows.train.audience import Nobody
from brainage.workflows.train.cohort import prepare_cohort
from brainage.workflows.train.fitting import fit_split
from brainage.workflows.train.plan_fits import plan_fits, usable_fits
from brainage.workflows.train.run import train
from brainage.workflows.train.run_fits import SharedRun
from brainage.workflows.train.scored_once import networks_digest
from tests.workflows.tiny import PREPROCESS, sha256, tiny_config

SEARCH = {"candidates": {"dull": ["optimizer.learning_rate=1.0e-7"], "keen": []}}
RULE = {"name": "bp", "leader_fraction": 1.0}


def nested_config(cohort, **changes):
    sections = {
        "objective": RULE,
        "search": SEARCH,
        "optimizer": {"learning_rate": 0.01},
        "trainer": {"epochs": 2},
    }
    return tiny_config(cohort, **{**sections, **changes})


@dataclass(frozen=True)
class Call:
    """One fit: ``errors`` are absolute, in years, of the scans it left out."""

    name: str
    split: Split
    config: RunConfig
    errors: Sequence[float]


class Spy:
    """Fits as it is told, and remembers what was fitted on whom."""

    def __init__(self, monkeypatch, stop_at=None):
        self.calls = []
        self.stop_at = stop_at
        for module in (inner_search, run_fits):
            monkeypatch.setattr(module, "fit_split", self.fit)

    def fit(self, config, cohort, split, **options):
        if len(self.calls) == self.stop_at:
            raise KeyboardInterrupt
        fit = fit_split(config, cohort, split, **options)
        errors = []
        if split.test:
            errors = abs(fit.test_answer_years - cohort.ages_years[list(split.test)])
        self.calls.append(Call(options["name"], split, config, errors))
        return fit


@pytest.fixture(scope="module")
def prepared(cohort):
    records = read_manifest(cohort.manifest, require_ages=True).records
    return prepare_cohort(
        records, PREPROCESS, cohort.cache, jobs=1, recorder=SilentRecorder(),
        on_outcome=lambda outcome: None,
    )  # fmt: skip


def fit_all(config, prepared, folder):
    """All fits of a run and nothing around them."""
    planned = usable_fits(plan_fits(prepared.records, config), prepared.records, prepared, config)
    places = {part.name: folder / part.name for part in planned}
    return run_fits.run_fits(SharedRun(config, prepared, planned, places), Alone(), Nobody())


@pytest.fixture(scope="module")
def nested(cohort, prepared, tmp_path_factory):
    config = nested_config(
        cohort,
        split={"folds": 3, "inner_folds": 2},
        trainer={"epochs": 1},
        inference={"kept": "folds"},
    )
    with pytest.MonkeyPatch.context() as patch:
        spy = Spy(patch)
        fits = fit_all(config, prepared, tmp_path_factory.mktemp("fits"))
    return config, spy.calls, fits


def test_what_an_outer_fold_tests_is_in_no_inner_fit(nested):
    _, calls, _ = nested
    outer = {call.name: call.split for call in calls if "/" not in call.name}
    assert set(outer) == {"fold1", "fold2", "fold3"}
    for call in calls:
        part, _, inner = call.name.partition("/")
        if inner:
            used = {*call.split.train, *call.split.validation, *call.split.test}
            assert not used & set(outer[part].test)
            assert used == set(outer[part].train)
    assert len(calls) == 3 * (2 * 2 + 1)


def test_the_candidate_with_the_lowest_inner_error_trains_on_the_whole_training_part(nested):
    config, calls, fits = nested
    for part, fit in fits.items():
        scores = fit.choice.mae_years
        assert fit.choice.candidate == min(scores, key=lambda name: scores[name]) == "keen"
        errors = {"dull": [], "keen": []}
        for call in calls:
            if call.name.startswith(f"{part}/"):
                kind = "dull" if call.config.optimizer.learning_rate == 1e-7 else "keen"
                errors[kind].extend(call.errors)
        for kind, found in errors.items():
            assert scores[kind] == pytest.approx(sum(found) / len(found))
        (refit,) = [call for call in calls if call.name == part]
        assert refit.config.optimizer.learning_rate == config.optimizer.learning_rate
        assert not refit.split.validation


def test_choice_and_errors_are_told(cohort, tmp_path):
    config = nested_config(cohort, split={"inner_folds": 2}, trainer={"epochs": 1})
    summary = train(config, runs_folder=tmp_path, resume=None)
    metrics = json.loads((summary.run_dir / "metrics.json").read_text())
    assert metrics["search"] == summary.search
    assert summary.search["holdout"]["chosen"] == "keen"
    events = read_events(summary.run_dir / "events.jsonl")
    fits = [event.fields for event in events if event.kind == "inner_fit"]
    assert [(each["candidate"], each["inner_fold"]) for each in fits] == [
        ("dull", 1), ("dull", 2), ("keen", 1), ("keen", 2),
    ]  # fmt: skip
    (chosen,) = [event.fields for event in events if event.kind == "candidate_chosen"]
    assert chosen["candidate"] == "keen"
    assert "chose among the candidates" in (summary.run_dir / "report.html").read_text()
    bundle = load_bundle(summary.model_dir)
    assert bundle.config.optimizer.learning_rate == 0.01
    assert not bundle.config.search.candidates
    assert "chosen by inner folds: holdout keen" in summary.describe()
    inner = summary.run_dir / "checkpoints/holdout/inner"
    files = sorted(path.relative_to(inner).as_posix() for path in inner.rglob("*.*"))
    assert files == [f"{c}/inner{k}.json" for c in ("dull", "keen") for k in (1, 2)]


@pytest.fixture(scope="module")
def search(cohort, prepared, tmp_path_factory):
    """All fits of a run with inner folds, in a folder by name."""
    config = nested_config(
        cohort, split={"inner_folds": 2}, trainer={"epochs": 2, "early_stopping": {"patience": 1}}
    )
    folder = tmp_path_factory.mktemp("search")
    return lambda name: fit_all(config, prepared, folder / name)


@pytest.fixture(scope="module")
def whole(search):
    """The fits of a search that was not interrupted, and how they were called."""
    with pytest.MonkeyPatch.context() as patch:
        spy = Spy(patch)
        fits = search("whole")
    assert len(spy.calls) == 5
    return fits, [call.name for call in spy.calls]


def same(fits, expected):
    """Networks bit for bit, predictions, and what was chosen."""
    for name, fit in fits.items():
        other = expected[name]
        assert networks_digest({name: fit.chain}) == networks_digest({name: other.chain})
        assert list(fit.test_answer_years) == list(other.test_answer_years)
        assert fit.choice == other.choice
        assert fit.choice is not None
        assert fit.stop_after == fit.choice.stop_after is not None


@pytest.mark.parametrize("stop_at", [1, 4])
def test_a_search_that_was_interrupted_ends_like_one_that_was_not(
    search, whole, stop_at, monkeypatch
):
    expected, calls = whole
    Spy(monkeypatch, stop_at)
    with pytest.raises(KeyboardInterrupt):
        search(f"interrupted{stop_at}")
    again = Spy(monkeypatch)
    same(search(f"interrupted{stop_at}"), expected)
    assert [call.name for call in again.calls] == calls[stop_at:]


def test_a_search_killed_within_an_inner_fit_goes_on_there(search, whole, monkeypatch):
    saved = []
    save = CheckpointStore.save

    def save_and_die(store, step, tensors, facts, ranks):
        save(store, step, tensors, facts, ranks)
        saved.append((store.folder.name, facts["next_epoch"]))
        if len(saved) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(CheckpointStore, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        search("killed")
    same(search("killed"), whole[0])
    assert saved[:5] == [("inner1", 1), ("inner1", 2), ("inner2", 1), ("inner2", 2), ("inner1", 1)]


def test_a_result_of_another_run_is_not_taken(cohort, prepared, tmp_path, monkeypatch):
    config = nested_config(cohort, split={"inner_folds": 2}, trainer={"epochs": 1})
    fit_all(config, prepared, tmp_path)
    kept = tmp_path / "holdout/inner/dull/inner1.json"
    content = json.loads(kept.read_text())
    kept.write_text(json.dumps({**content, "fingerprint": "another"}))
    kept.with_name("inner2.json").write_text("{damaged")
    again = Spy(monkeypatch)
    fit_all(config, prepared, tmp_path)
    assert [call.name for call in again.calls] == ["holdout/inner1", "holdout/inner2", "holdout"]


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_model_of_one_that_was_not(cohort, tmp_path, monkeypatch):
    config = nested_config(cohort, split={"inner_folds": 2})
    expected = train(config, runs_folder=tmp_path / "whole", resume=None)
    Spy(monkeypatch, stop_at=3)
    with pytest.raises(KeyboardInterrupt):
        train(config, runs_folder=tmp_path / "runs", resume=None)
    Spy(monkeypatch)
    summary = train(config, runs_folder=tmp_path / "runs", resume=tmp_path / "runs/tiny")
    for name in ("model/weights.safetensors", "held_out_predictions.csv"):
        assert sha256(summary.run_dir / name) == sha256(expected.run_dir / name), name
    assert load_bundle(summary.model_dir).model_hash == load_bundle(expected.model_dir).model_hash
    assert summary.search == expected.search
