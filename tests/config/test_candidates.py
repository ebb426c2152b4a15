"""Candidates of a search: what they may change, and that all of them are checked at once."""

import pytest

from brainage.config.candidates import candidate_configs
from brainage.config.load import config_from_mapping, config_hash, dump_config
from brainage.config.yaml_text import parse_yaml
from brainage.errors import ConfigError

CANDIDATES = {
    "plain": [],
    "small": ["backbone.channels=[4, 4, 4, 4]", "optimizer.learning_rate=1.0e-4"],
}


def content(**changes):
    nested = {"split": {"folds": 3, "inner_folds": 2}, "search": {"candidates": CANDIDATES}}
    return {"name": "run", **nested, **changes}


def refusal(**changes) -> str:
    with pytest.raises(ConfigError) as caught:
        config_from_mapping(content(**changes))
    return str(caught.value)


def test_a_candidate_is_the_configuration_with_its_changes_and_without_the_search():
    config = config_from_mapping(content())
    plain, small = candidate_configs(config).values()
    assert small.backbone.channels == (4, 4, 4, 4)
    assert small.optimizer.learning_rate == 1e-4
    assert plain.optimizer == config.optimizer
    for candidate in (plain, small):
        assert not candidate.search.candidates
        assert candidate.split.inner_folds is None
        assert candidate.split.folds == 3
    assert config_hash(plain) != config_hash(small)


def test_candidates_survive_being_written():
    config = config_from_mapping(content())
    again = config_from_mapping(parse_yaml(dump_config(config), "here"))
    assert again == config
    assert list(again.search.candidates) == ["plain", "small"]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("trainer.epoch=3", "search.candidates.b: trainer.epoch: unknown key, did you mean"),
        ("trainer.epochs=0", "search.candidates.b: trainer.epochs: expected at least 1, got 0"),
        ("blocks.num_blocks=40", "search.candidates.b: blocks.num_blocks: expected at most"),
        ("split.folds=9", "search.candidates.b: expected keys of augmentation, backbone,"),
        ("preprocess.grid.spacing_mm=3", "search.candidates.b: expected keys of"),
        ("data.manifest=other.csv", "search.candidates.b: expected keys of"),
        ("seed=3", "search.candidates.b: expected keys of"),
        ("trainer", "search.candidates.b: --set trainer: expected key=value"),
    ],
)
def test_a_candidate_that_cannot_be_is_refused_by_name(override, told):
    assert refusal(search={"candidates": {"a": [], "b": [override]}}).startswith(told)


def test_sampling_may_be_tried():
    config = config_from_mapping(
        content(search={"candidates": {"a": [], "b": ["data.balance=age"]}})
    )
    assert candidate_configs(config)["b"].data.balance == "age"


def test_cuts_measured_for_one_network_are_not_another_s():
    told = refusal(blocks={"balance": "seconds"})
    assert "expected blocks.balance 'stages' with a candidate that changes backbone" in told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"search": {}}, "search.candidates: expected at least two with split.inner_folds"),
        ({"split": {"folds": 3}}, "split.inner_folds: expected a number of folds to choose"),
        ({"search": {"candidates": {"a": []}}}, "search.candidates: expected none, or at least"),
        ({"search": {"candidates": {"a/b": [], "c": []}}}, "search.candidates: expected names of"),
        ({"search": {"candidates": {"a": "x=1", "c": []}}}, "search.candidates.a: expected a list"),
    ],
)
def test_a_search_and_inner_folds_need_each_other(changes, told):
    assert refusal(**changes).startswith(told)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"inference": {"kept": "folds"}}, "inference.kept: expected 'refit' without split.folds"),
        (
            {"inference": {"test_time_augmentation": 0}},
            "inference.test_time_augmentation: expected from 1 to 32, got 0",
        ),
        (
            {"objective": {"name": "greedy"}, "trainer": {"early_stopping": {}}},
            "trainer.early_stopping: expected null for objective 'greedy'",
        ),
        (
            {"trainer": {"early_stopping": {"patience": 0}}},
            "trainer.early_stopping.patience: expected at least 1, got 0",
        ),
    ],
)
def test_what_cannot_be_kept_or_stopped_is_refused(changes, told):
    with pytest.raises(ConfigError) as caught:
        config_from_mapping({"name": "run", **changes})
    assert str(caught.value).startswith(told)
